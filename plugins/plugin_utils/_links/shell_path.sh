# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Functions by which a script finds programs as a person does who logs in.

# limited SECONDS COMMAND...: start-up files and programs may hang, and a shell that is typed into
# ignores a mere SIGTERM. The exit status is 137 where the time was over.
limited() {
  seconds=$1
  shift
  if command -v timeout > /dev/null; then
    timeout -s KILL "$seconds" "$@"
  elif command -v perl > /dev/null; then
    # shellcheck disable=SC2016  # these are Perl's variables
    perl -e '
      my $seconds = shift;
      my $child = fork;
      if (!$child) { setpgrp; exec @ARGV; exit 127 }
      $SIG{ALRM} = sub { kill -9, $child; exit 137 };
      alarm $seconds;
      waitpid $child, 0;
      exit $? >> 8;
    ' "$seconds" "$@"
  else
    "$@"
  fi
}

# shell_path -lc|-ic: sets path to the PATH that the login shell, started for a login or by a person
# who types, makes of session_path; fails where that shell hangs. It may print other things as well,
# so that its PATH stands between two marks.
shell_path() {
  mark=$(printf '\036')
  # shellcheck disable=SC2154  # whoever calls it sets session_path
  # shellcheck disable=SC2016  # the shell expands its own PATH
  listing=$(PATH=$session_path; limited 2 "${SHELL:-/bin/sh}" "$1" 'printf "\036%s\036" "$PATH"')
  [ $? -ne 137 ] || return 1
  case $listing in
    *"$mark"*"$mark"*) path=${listing%"$mark"*} path=${path##*"$mark"} ;;
    *) path=$session_path ;;
  esac
}

# Sets usual to the folders into which installers put programs, as a PATH. The node program has the
# same list (places.py), and a test compares the two.
usual_path() {
  usual=
  for folder in "$HOME/.local/bin" "$HOME/bin" "$HOME/.claude/local" "$HOME/.npm-global/bin" \
    "$HOME/.bun/bin" "$HOME/.deno/bin" "$HOME/.volta/bin" "$HOME/.cargo/bin" "$HOME/.asdf/shims" \
    "$HOME/.local/share/mise/shims" "$HOME/.nix-profile/bin" "$HOME/.linuxbrew/bin" \
    /home/linuxbrew/.linuxbrew/bin /opt/homebrew/bin /opt/local/bin /usr/local/bin \
    /nix/var/nix/profiles/default/bin /run/current-system/sw/bin /snap/bin /usr/bin /bin; do
    [ ! -d "$folder" ] || usual=$usual:$folder
  done
  usual=${usual#:}
}

# Sets profile to the start-up file in the home that a bash reads at a login: the first there is.
login_profile() {
  for profile in .bash_profile .bash_login .profile; do
    [ ! -e "$HOME/$profile" ] || break
  done
}
