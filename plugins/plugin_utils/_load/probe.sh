# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# What else is measured of a node; load.sh and shell_path.sh stand before it.

# Finds the first Python that is new enough, else the last that there is.
find_python() {
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
    python_path=$(command -v "$python") || continue
    found=$("$python" --version) || continue
    minor=${found#Python 3.} minor=${minor%%.*}
    case $minor in *[!0-9]*) continue ;; esac
    best="$found $python_path"
    [ "$minor" -lt 9 ] || break
  done
  say python "$best"
}

# Looks for programs on the PATH of the login shell and in the usual folders. Whoever types has more,
# which only the node program asks for. As root claude works in a sandbox only.
find_agents() {
  # shellcheck disable=SC2154  # load.sh sets session_path
  shell_path -lc || path=$session_path
  usual_path
  # shellcheck disable=SC2154  # usual_path sets usual
  (PATH=$path:$session_path:$usual && say git "$(git --version)")
  found=$(
    # shellcheck disable=SC2154  # usual_path sets usual
    PATH=$path:$session_path:$usual
    for program in gummy claude jq codex opencode qwen gemini git rsync; do
      command -v "$program" > /dev/null && printf ' %s' "$program"
    done
  )
  case $found in
    *claude*) [ "$(id -u)" != 0 ] || [ "${IS_SANDBOX:-}" = 1 ] || found="$found is-root" ;;
  esac
  say programs "$found"
}

# What is slow or may hang comes last.
probe() {
  load
  df -Pk "${HOME:-/}" | { read -r line; read -r line; say disk "$line"; }
  find_python
  say git "$(git --version)"
  second_cpu_sample
  find_agents
  # shellcheck disable=SC1010  # `done` is the key of a line here
  say done
}

probe < /dev/null 2> /dev/null
