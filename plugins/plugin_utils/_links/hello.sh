#!/bin/sh
# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Looks at a node before it is asked for the first time: which Python may run the node program, and
# whether the program is there. link.py sends this to the node's /bin/sh, with `set --` before it.
#
# $1: the program's hash; the others: interpreters to try, the preferred one first.
#
# Answers in lines of KEY=VALUE, each after a record separator, for a login shell may print too:
# python (its path, blank if none is new enough), state (our folder there), program (there, missing).

digest=$1
shift
state="${XDG_STATE_HOME:-$HOME/.local/state}/distributed-gummy"

found=
for candidate in "$@"; do
  found=$(command -v "$candidate" 2>/dev/null) || continue
  # A shim may be there and not run, so each is started.
  "$found" -I -S -c "import sys; sys.exit(sys.version_info < (3, 9))" </dev/null >/dev/null 2>&1 && break
  found=
done

program=missing
[ -f "$state/bin/$digest.zip" ] && program=there

printf '\036%s=%s\n' python "$found" state "$state" program "$program"
