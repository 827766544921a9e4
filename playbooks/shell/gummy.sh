# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Short ways to type the playbooks, for bash and zsh: source this file in ~/.bashrc or ~/.zshrc.
# Nothing of a text is read by a shell or by Ansible: it goes over as JSON.

# Beside the playbooks, whose names it completes; for zsh $0 is the file that is sourced.
_gummy_playbooks=$(cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")/.." > /dev/null && pwd)

# gummy-run TEXT [word of ansible-playbook ...]
gummy-run() {
  [ -n "${1-}" ] || { echo "usage: gummy-run 'TEXT' [word of ansible-playbook ...]" >&2; return 2; }
  local vars
  vars=$(_gummy_json gummy_prompt "$1") || return
  ansible-playbook distributed.gummy.run -e "$vars" "${@:2}"
}

# gummy-play PLAYBOOK [JOB] [word of ansible-playbook ...]; the JOB is one of logs, cancel, harvest.
gummy-play() {
  [ -n "${1-}" ] || { echo "usage: gummy-play PLAYBOOK [JOB] [word ...]" >&2; return 2; }
  local vars
  case ${2--} in
    -*) ansible-playbook "distributed.gummy.$1" "${@:2}" ;;
    *)
      vars=$(_gummy_json gummy_job "$2") || return
      ansible-playbook "distributed.gummy.$1" -e "$vars" "${@:3}"
      ;;
  esac
}

# -I: no module of the current folder, which may be anybody's, is imported.
_gummy_json() {
  command python3 -I -c 'import json, sys; print(json.dumps({sys.argv[1]: sys.argv[2]}))' "$@"
}

# RUN/name of the jobs that this controller's records know.
_gummy_jobs() {
  find "${XDG_STATE_HOME:-$HOME/.local/state}/distributed-gummy/runs" -mindepth 2 -maxdepth 2 \
    -name journal.jsonl -exec grep -Eo '"job": "[A-Za-z0-9._-]+"' /dev/null {} + 2> /dev/null |
    sed -n 's|^.*/\([^/]*\)/journal.jsonl:"job": "\(.*\)"$|\1/\2|p' | sort -u
}

_gummy_complete() {
  local words=
  case $COMP_CWORD:${COMP_WORDS[1]} in
    1:*) words=$(cd -- "$_gummy_playbooks" && printf '%s\n' *.yml | sed 's/\.yml$//') ;;
    2:logs | 2:cancel | 2:harvest) words=$(_gummy_jobs) ;;
  esac
  # shellcheck disable=SC2207  # the words have no blanks, and old bashes no mapfile
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}

# zsh has `complete` once its own completion is there (compinit).
[ -z "${ZSH_VERSION-}" ] || ! type compdef > /dev/null || { autoload -Uz bashcompinit && bashcompinit; }
! type complete > /dev/null 2>&1 || complete -o default -F _gummy_complete gummy-play
