# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it means that an agent's service refuses it, by HTTP's status and by words.

Only what an agent tells as an error comes here: what it says otherwise may have the same words.
"""

from __future__ import annotations

import re
import time

from . import limits
from .row import BUSY_STATUS, LOGIN_STATUS

# HTTP's status, as several agents have it in their sentences.
_STATUS = re.compile(r"(?:\bstatus:?|\bAPI Error:) ([0-9]{3})\b")
# The code in JSON that is a part of a sentence.
_CODE = re.compile(r'"code":\s?([0-9]{3})\b')
# How qwen and gemini put what their service said into brackets.
_BRACKETS = re.compile(r"\[(API Error: [^\n]*)\](?=\s|\Z)")
_LOGIN = (
    "not logged in",
    "incorrect api key",
    "invalid api key",
    "api key not valid",
    "no auth type is selected",
    "invalid auth method",
    "missing environment variable",
    "must specify the gemini_api_key",
)
# Nobody answered, or a connection broke off: that passes as an overload does.
_BUSY = (
    "connection error",
    "connection failed",
    "waiting for network",
    "stream disconnected",
    "cannot connect to api",
    "fetch failed",
    "terminated",
    "econnrefused",
    "overloaded",
    "experiencing high demand",
    "rate limit reached for",
)


def of_text(text: str, status: int | None = None) -> tuple[str, limits.Limit | None]:
    """The class of the failure, and the limit if it is one.

    status: HTTP's, if the agent has a field for it; else the text may tell it.
    """
    text = _BRACKETS.sub(r"\1", text)
    if status is None:
        match = _STATUS.search(text) or _CODE.search(text)
        status = int(match.group(1)) if match else None
    if status in LOGIN_STATUS:
        return "login", None

    limit = limits.of_text(text, time.time())
    if limit is not None:
        return "quota", limit
    if status == 429 or status in BUSY_STATUS:
        return "quota", limits.Limit("busy")
    words = text.lower()
    if any(each in words for each in _LOGIN):
        return "login", None
    if status is None and any(each in words for each in _BUSY):
        return "quota", limits.Limit("busy")
    return "agent", None
