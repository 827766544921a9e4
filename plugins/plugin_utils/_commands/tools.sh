# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Looks for what an agent is installed with; shell_path.sh stands before it.
#
# Answers in lines of KEY=VALUE, each after a record separator, for start-up files may print too:
# os, uid, home, path (the login shell's PATH; blank: that shell hangs), shell, profile (the start-up
# file that a bash reads at a login), the paths of the programs that are there, node_version, and at
# last end. The programs that are looked for are this script's words.

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
  tell shell "${SHELL:-/bin/sh}"
  login_profile
  # shellcheck disable=SC2154  # login_profile sets it
  tell profile "$profile"

  # A person has a program too where only a shell that is typed into finds it, or none.
  usual_path
  # shellcheck disable=SC2154  # usual_path sets usual
  PATH=${login:-$session_path}:$typed:$usual:/usr/local/go/bin
  for program in "$@"; do
    found=$(command -v "$program") || continue
    tell "$program" "$found"
  done
  version=$(node --version) && tell node_version "$version"
  tell end yes
}

look "$@" < /dev/null 2> /dev/null
