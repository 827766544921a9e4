# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a good end, as a node tells it, has the signature of the supervisor that we started.

A failure needs none: it proves nothing that anybody could want to forge.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Literal

from .._node.signature import sign

# unsigned: this controller has no key to compare with.
Verdict = Literal["valid", "wrong", "unsigned"]

# Why an end with a wrong signature is not taken for a success.
WRONG = (
    "its signature is wrong: somebody other than its supervisor says that it ended well, so look "
    "at its work and at its node before you use it"
)
# What is told of an end that can't be compared.
UNSIGNED = "unsigned: this controller has no key of the attempt, so its node's word stands"


def judge(ended: Mapping[str, Any], attempt: str, key: str | None) -> Verdict | None:
    """What the signature in this record of an end is worth; None: it is no good end.

    key: of the attempt, in hex; None: this controller has none.
    """
    if ended.get("class") is not None:
        return None
    if key is None:
        return "unsigned"
    signature = str(ended.get("signature") or "")
    if hmac.compare_digest(signature.encode(), sign(key, attempt, ended).encode()):
        return "valid"
    return "wrong"
