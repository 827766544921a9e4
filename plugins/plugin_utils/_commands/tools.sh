# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Looks for what an agent is installed with; shell_path.sh stands before it.
#
# Answers in lines of KEY=VALUE, each after a record separator, for start-up files may print too:
# os, uid, home, path (the login shell's PATH; blank: that shell hangs), the paths of the programs
# that are there, node_version, and at last end.

tell() { printf '\036%s=%s\n' "$1" "$2"; }

look() {
  session_path=$PATH
  login=
  typed=
  # shellcheck disable=SC2154  # shell_path sets path
  shell_path -lc && login=$path
  shell_path -ic && typed=$path
  tell os "$(uname -s)"
  tell uid "$(id -u)"
  tell home "$HOME"
  tell path "$login"

  # A person has a program too where only a shell that is typed into finds it, or none.
  PATH=${login:-$session_path}:$typed:$HOME/.local/bin:$HOME/bin
  PATH=$PATH:/opt/homebrew/bin:/home/linuxbrew/.linuxbrew/bin:$HOME/.linuxbrew/bin:/usr/local/bin
  PATH=$PATH:/usr/local/go/bin:/usr/bin:/bin
  for program in gummy claude jq brew git go npm node apt-get dnf pacman apk; do
    found=$(command -v "$program") || continue
    tell "$program" "$found"
  done
  version=$(node --version) && tell node_version "$version"
  tell end yes
}

look < /dev/null 2> /dev/null
