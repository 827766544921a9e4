# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signature of an attempt's end, made on the node and made again on the controller to compare.

The supervisor gets the key when it is started, and keeps it in memory alone. So whoever writes an
end in its place, into the files of the store or into a reply, has no key to sign it with.
"""

from __future__ import annotations

import json

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def sign(key: str, attempt: str, ended: Mapping[str, Any]) -> str:
    """The signature, in hex, of how the attempt's agent ended.

    key: in hex. ended: its class, its proof and its exit status count.
    """
    # No other verb needs it, and a verb is short.
    import hmac

    signed = json.dumps([attempt, ended.get("class"), ended.get("proof"), ended.get("exit_status")])
    return hmac.new(bytes.fromhex(key), signed.encode(), "sha256").hexdigest()
