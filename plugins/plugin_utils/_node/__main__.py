# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of the node program's zip.

It parses on every Python, so that an old one can say that it is too old, in JSON.
"""

import json
import sys

if __name__ == "__main__":
    if sys.version_info < (3, 9):
        version = "%d.%d" % sys.version_info[:2]
        message = (
            "Python %s at %s is too old for the node program:"
            " install Python 3.9 or newer on this node" % (version, sys.executable)
        )
        # A wire.RefusedReply.
        reply = {"state": "refused", "class": "python", "blame": "node", "message": message}
        sys.stdout.write("\x1e" + json.dumps(reply) + "\n")
        sys.exit(1)

    # The session stands above the verbs, which it answers with.
    if sys.argv[1:] == ["session"]:
        from _node import session

        sys.exit(session.serve())

    from _node import verbs

    sys.exit(verbs.main(sys.argv[1:]))
