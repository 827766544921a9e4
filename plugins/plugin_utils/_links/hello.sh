#!/bin/sh
# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Looks at a node before it is asked for the first time: which Python may run the node program, and
# whether the program is there. link.py sends this to the node's /bin/sh, with `set --` before it.
#
# $1: the hash of the program as it was installed, which is its name, blank if that is not known.
# The others: interpreters to try, the preferred one first.
#
# Answers in lines of KEY=VALUE, each after a record separator, for a login shell may print too:
# python (its path, blank if none is new enough), state (our folder there), program (the hash that
# the file of that name has now, blank if there is none).

installed=$1
shift
state="${XDG_STATE_HOME:-$HOME/.local/state}/distributed-gummy"

found=
for candidate in "$@"; do
  found=$(command -v "$candidate" 2>/dev/null) || continue
  # A shim may be there and not run, so each is started.
  "$found" -I -S -c "import sys; sys.exit(sys.version_info < (3, 9))" </dev/null >/dev/null 2>&1 && break
  found=
done

program=
file="$state/bin/$installed.zip"
sha256="import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
[ -n "$found" ] && [ -f "$file" ] && program=$("$found" -I -S -c "$sha256" <"$file" 2>/dev/null)

printf '\036%s=%s\n' python "$found" state "$state" program "$program"
