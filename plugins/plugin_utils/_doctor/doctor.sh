# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2030,SC2031  # where PATH is another one for a moment, that is meant
# Functions that tell what could keep a node from doing jobs. load.sh and shell_path.sh stand before
# them, and behind them what script.py makes of the table of agents: `pythons`, `programs` and `agents`, and the call
# of `doctor`. It needs nothing but a shell, reads, and writes nothing.

# shell_listing PATH FLAG: what the user's shell says of its PATH, between two marks, and of its
# environment. Such a shell is to remember nothing of it.
shell_listing() {
  # shellcheck disable=SC2016  # that shell expands its own PATH
  limited 5 env PATH="$1" HISTFILE=/dev/null TERM=dumb \
    "${SHELL:-/bin/sh}" "$2" 'printf "\036%s\036" "$PATH"; env'
}

# Sets path, or nothing if the listing has none.
path_in() {
  case $1 in
    *"$mark"*"$mark"*) path=${1%"$mark"*} path=${path##*"$mark"} ;;
    *) path= ;;
  esac
}

# The PATHs with which programs are looked for: of this session, and of the user's shell when it is
# a login shell, and an interactive one.
paths() {
  mark=$(printf '\036')
  say shell "${SHELL:-/bin/sh}"
  # shellcheck disable=SC2154  # load.sh sets session_path
  say path session "$session_path"
  listing=$(shell_listing "$session_path" -lc)
  path_in "$listing"
  login_path=$path
  environment=${listing##*"$mark"}
  say path login "$login_path"
  listing=$(shell_listing "${login_path:-$session_path}" -ic)
  path_in "$listing"
  interactive_path=$path
  say path interactive "$interactive_path"
  login_profile
  # shellcheck disable=SC2154  # login_profile sets it
  say profile "$profile"
}

# program PLACES NAME [WORD]: where it is found, and what the first of the places has to say to the
# word, which asks for its version.
program() {
  places=$1
  shift
  best=
  for place in $places; do
    eval "path=\$${place}_path"
    [ -n "$path" ] || continue
    found=$(PATH=$path && command -v "$1") || continue
    say program "$1" "$place" "$found"
    [ -n "$best" ] || best=$found best_path=$path
  done
  usual_path
  # shellcheck disable=SC2154  # usual_path sets usual
  if found=$(PATH=$usual && command -v "$1"); then
    say program "$1" folder "$found"
    [ -n "$best" ] || best=$found best_path=${found%/*}
  fi
  for folder in "$HOME"/.nvm/versions/node/*/bin; do
    if [ -z "$best" ] && [ -x "$folder/$1" ] && [ ! -d "$folder/$1" ]; then
      say program "$1" elsewhere "$folder/$1"
      best=$folder/$1 best_path=$folder
    fi
  done
  [ -n "$best" ] || return
  say real "$1" "$(readlink -f "$best")"
  [ -z "${2-}" ] ||
    say version "$1" "$(PATH=$best_path:$PATH && limited 3 "$best" "$2" | head -n 1)"
}

# python NAME...: the first that is new enough, else the last that there is.
python() {
  best=
  for candidate in "$@"; do
    found=$(PATH=$session_path && command -v "$candidate") || continue
    version=$(limited 3 "$found" -I -S -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
    [ -n "$version" ] || continue
    best="$version $found"
    minor=${version#3.} minor=${minor%%.*}
    case $minor in *[!0-9]*) continue ;; esac
    [ "$minor" -lt 9 ] || break
  done
  say python "$best"
}

# agent_login AGENT VARIABLE FOLDER FILE SETTINGS PATTERN: whether its file of the login is there,
# or its settings name another way in. Nothing of what is in them is told.
agent_login() {
  # shellcheck disable=SC2154  # `paths` sets it
  folder=$(printf '%s\n' "$environment" | sed -n "s/^$2=//p" | head -n 1)
  folder=${folder:-$HOME/$3}
  [ ! -s "$folder/$4" ] || say login "$1" file
  if grep -Eq "$6" "$folder/$5"; then say login "$1" settings; fi
}

# agent_setting AGENT VARIABLE FOLDER SETTINGS NAME PATTERN: whether a setting is made.
agent_setting() {
  folder=$(printf '%s\n' "$environment" | sed -n "s/^$2=//p" | head -n 1)
  if grep -Eq "$6" "${folder:-$HOME/$3}/$4"; then say setting "$1" "$5"; fi
}

# agent_variables AGENT NAME...: which of these variables the login shell sets, not to what.
agent_variables() {
  agent=$1
  shift
  for name in "$@"; do
    case "
$environment" in
      *"
$name="?*) say login "$agent" "$name" ;;
    esac
  done
}

git_identity() {
  name=$(cd / && git config --get user.name)
  email=$(cd / && git config --get user.email)
  if [ -n "$name" ] && [ -n "$email" ]; then say identity yes; else say identity no; fi
}

# The program that installs others: the system's own, else Homebrew.
package_manager() {
  for manager in apt-get dnf yum zypper pacman apk brew; do
    if command -v "$manager" > /dev/null; then
      say manager "$manager"
      return
    fi
  done
}

# disk FOLDER: its file system: how much of it is free, what it is, and of which kind.
disk() {
  line=$(df -Pk "$1" | tail -n 1)
  say disk "$line"
  point=${line##*% }
  kind=
  if [ -r /proc/mounts ]; then
    while read -r _device mounted type _rest; do
      [ "$mounted" != "$point" ] || kind=$type
    done < /proc/mounts
  else
    kind=$(mount | while read -r mounted; do
      case $mounted in *" on $point ("*) type=${mounted##*(} && echo "${type%%,*}" ;; esac
    done | tail -n 1)
  fi
  say filesystem "$kind"
}

# What systemd does with processes of who logs out, and when machines sleep.
rest_and_sleep() {
  if command -v loginctl > /dev/null; then
    say logind "$(limited 2 loginctl show-user -p KillUserProcesses -p IdleAction | tr '\n' ' ')"
    user=$(id -un)
    if [ -e "/var/lib/systemd/linger/$user" ]; then
      say linger yes
    else
      say linger "$(limited 2 loginctl show-user "$user" -p Linger --value)"
    fi
  fi
  if command -v systemctl > /dev/null; then
    say sleep_target "$(limited 2 systemctl is-enabled sleep.target)"
  fi
  if command -v pmset > /dev/null; then
    say sleep_after "$(limited 2 pmset -g | sed -n 's/^ *sleep  *\([0-9]*\).*/\1/p' | head -n 1)"
  fi
}

# The store: its format, and whether the folder that it is or would be in can be written.
store() {
  # shellcheck disable=SC2154  # `load` has set id
  folder=${XDG_STATE_HOME:-$HOME/.local/state}/distributed-gummy/$id
  [ ! -r "$folder/store.json" ] ||
    say store "$(sed -n 's/.*"format": *\([0-9]*\).*/\1/p' "$folder/store.json" | head -n 1)"
  while [ ! -e "$folder" ] && [ "$folder" != / ] && [ "$folder" != . ]; do
    folder=$(dirname "$folder")
  done
  if [ -d "$folder" ] && [ -w "$folder" ] && [ -x "$folder" ]; then
    say writable yes "$folder"
  else
    say writable no "$folder"
  fi
  disk "$folder"
}

# What is slow or may hang comes last.
doctor() {
  say clock "$(date +%s)"
  load
  say uid "$(id -u)"
  say sandbox "${IS_SANDBOX:-}"
  store
  if [ -e "$HOME/.gummy/lib/core.sh" ] || [ -d "$HOME/.gummy/specialists" ]; then
    say specialists home
  fi
  package_manager
  pythons
  rest_and_sleep
  [ "$(id -u)" != 0 ] || ! command -v sshd > /dev/null ||
    say max_sessions "$(limited 3 sshd -T | sed -n 's/^maxsessions //p')"
  paths
  PATH=$PATH:$login_path
  git_identity
  # These are the session's, where it has them.
  program 'session login interactive' rsync --version
  program 'session login interactive' git --version
  programs
  agents
  # shellcheck disable=SC1010  # `done` is the key of a line here
  say done
}
