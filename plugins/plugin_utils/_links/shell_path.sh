# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Functions by which a script finds programs as a person does who logs in.

# briefly WORD...: not for long where the time can be limited, for start-up files may hang.
briefly() {
  if command -v timeout > /dev/null; then timeout 2 "$@"; else "$@"; fi
}

# shell_path -lc|-ic: sets path to the PATH that the login shell, started for a login or by a person
# who types, makes of session_path; fails where that shell hangs. It may print other things as well,
# so that its PATH stands between two marks.
shell_path() {
  mark=$(printf '\036')
  # shellcheck disable=SC2154  # whoever calls it sets session_path
  # shellcheck disable=SC2016  # the shell expands its own PATH
  listing=$(PATH=$session_path; briefly "${SHELL:-/bin/sh}" "$1" 'printf "\036%s\036" "$PATH"')
  [ $? -ne 124 ] || return 1
  case $listing in
    *"$mark"*"$mark"*) path=${listing%"$mark"*} path=${path##*"$mark"} ;;
    *) path=$session_path ;;
  esac
}
