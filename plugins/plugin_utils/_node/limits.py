# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits that an agent meets, as its words tell them.

An agent tells them in fields of its events, which its row reads. Words count only where there is no
such field, and only those about the account that it uses: a disk, another service and a test may
have limits too. So a pattern begins where the sentence does.
"""

from __future__ import annotations

import calendar
import datetime
import re
from typing import NamedTuple

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Limit(NamedTuple):
    """A limit that the agent's account has met."""

    # reset: there is quota again at some time. credit: none until a person pays. busy: the service
    # has too much to do, or got too many requests within a minute.
    kind: str
    # When there is quota again, in seconds since 1970, if the agent says so.
    reset_at: int | None = None


# What may stand before such a sentence: the agent's own name for an error, with its number.
_BEFORE = r"^\s*(?:(?:API Error|Error|Request rejected)\b[\s:·]*(?:\(?[0-9]{3}\)?[\s:·]*)?)*"
# Where such a sentence, or its first part, ends.
_END = r"(?=\s*(?:\Z|[.,;!·∙|\n]|to (?:access|continue|get)\b|please\b|resets?\b|try again))"
# The limits of an account by their names.
_NAMED = (
    r"(?:(?:your|the|org(?:anization)?'s|team's|workspace's|plan's)\s){0,2}"
    r"(?:[0-9]+-hour|session|hourly|daily|weekly|monthly|usage|spend(?:ing)?|extra|free|plan|"
    r"opus|sonnet|haiku|fable|claude|message|premium|model|credit|token|api|ai)"
)

_RESETS = re.compile(
    _BEFORE + r"(?:"
    r"you(?:'ve| have) (?:hit|reached|exceeded|used up) (?:your|the) limit\b"
    r"|you(?:'ve| have) (?:hit|reached|exceeded|used up) (?:your )?"
    + _NAMED
    + r"(?:\s[\w-]+){0,2} limits?\b"
    r"|you(?:'re| are) out of extra usage"
    r"|(?:claude ai |claude |your |the )?(?:(?:[0-9]+-hour|session|daily|weekly|monthly|usage|opus|"
    r"sonnet|haiku|fable)\s){1,2}limit (?:was |has been )?(?:reached|exceeded|hit)\b"
    r"|limit reached(?=\s*[·∙|])"
    r"|you(?:'ve| have) exhausted your (?:daily|weekly|monthly)? ?quota\b(?: on this model)?"
    r")" + _END,
    re.IGNORECASE,
)
_CREDIT = re.compile(
    _BEFORE + r"(?:"
    r"(?:your )?credit balance is (?:too low|exhausted)"
    r"|you(?:'re| are) out of (?:usage )?credits"
    r"|your (?:workspace|organization|account|team) is out of credits"
    r"|you(?:'ve| have)? hit your spend cap"
    r"|quota exceeded\. check your plan and billing(?: details)?"
    r"|you exceeded your current quota, please check your plan and billing(?: details)?"
    r"|insufficient[_ ](?:quota|credits|balance)\b"
    r")" + _END,
    re.IGNORECASE,
)
_BUSY = re.compile(
    _BEFORE + r"(?:"
    r"(?:repeated )?(?:529 )?overloaded(?:_error| errors?)?\b"
    r"|(?:the )?(?:server|service|api|model|selected model) is (?:currently |temporarily )?"
    r"(?:overloaded|at capacity|busy)"
    r"|selected model is at capacity"
    r"|(?:429 )?too many requests"
    r"|number of request tokens has exceeded your per-minute rate limit(?: \(https\S{1,80}\))?"
    r"|this request would exceed your account's rate limit"
    r"|exceeded retry limit, last status: (?:429|503|529)(?: [a-z ]{1,40})?"
    r")" + _END,
    re.IGNORECASE,
)
# As in "Claude AI usage limit reached|1735689600", also in milliseconds.
_EPOCH = re.compile(r"\|\s*([0-9]{10})(?:[0-9]{3})?(?![0-9])")
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
# "resets 7pm (Europe/Berlin)", "resets Dec 3, 3:06pm (UTC)", "try again at Nov 29th, 2026 2:29 AM".
_WORDS = re.compile(
    r"\b(?:resets?|try again|available again|back)\b(?: at| on|:)?\s+"
    r"(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? "
    r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?(?:,? (?P<year>20[0-9]{2}))?(?:,| at)? ?)?"
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))?(?::[0-9]{2})?\s?(?P<half>am|pm)?\b"
    r"(?:\s*\((?P<zone>[A-Za-z0-9_+/-]{1,40})\))?",
    re.IGNORECASE,
)
# "try again in 3 days 4 hours 20 minutes".
_SPAN = re.compile(
    r"\b(?:resets?|try again|available again|back) in "
    r"((?:[0-9]{1,4} ?(?:days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)\b[ ,]*"
    r"(?:and )?){1,4})",
    re.IGNORECASE,
)
_SPAN_PART = re.compile(r"([0-9]{1,4}) ?([dhms])", re.IGNORECASE)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
# Seconds that a time of day may be over and still be meant: it was told a moment ago.
_LATE = 900


def of_text(text: str, now: float) -> Limit | None:
    """The limit of the account that these words of an agent tell; None if they tell none.

    now: in seconds since 1970. A sentence that is cut is no sentence, so give the whole text.
    """
    # The apostrophe may be a curly one.
    text = text.replace("\u2019", "'")[:2000]
    if _CREDIT.search(text):
        return Limit("credit")
    if _RESETS.search(text):
        return Limit("reset", reset_time(text, now))
    if _BUSY.search(text):
        return Limit("busy")
    return None


def reset_time(text: str, now: float) -> int | None:
    """When the words say that there is quota again; None if they don't.

    A time without a zone is one of this machine's own zone.
    """
    epoch = _EPOCH.search(text)
    if epoch:
        return int(epoch.group(1))

    span = _SPAN.search(text)
    if span:
        parts = _SPAN_PART.findall(span.group(1))
        return int(now + sum(int(size) * _SECONDS[unit.lower()] for size, unit in parts))

    words = _WORDS.search(text)
    # A number alone is no time of day.
    if words is None or not (words["half"] or words["minute"]):
        return None
    try:
        return _next_time(words, now)
    except (ValueError, OverflowError):
        return None


def _next_time(words: re.Match[str], now: float) -> int | None:
    """The next time that these words fit. Raises ValueError for what is no time."""
    hour = int(words["hour"])
    half = (words["half"] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    minute = int(words["minute"] or 0)

    at = _in_zone(words["zone"])
    if at is None:
        return None
    today = at(now)
    if words["month"] is None:
        days = [today + datetime.timedelta(days=offset) for offset in (-1, 0, 1, 2)]
    else:
        month = _MONTHS[words["month"].lower()[:3]]
        years = [int(words["year"])] if words["year"] else [today.year + add for add in (-1, 0, 1)]
        days = []
        for year in years:
            # The 29th of February is not in every year.
            if int(words["day"]) <= calendar.monthrange(year, month)[1]:
                days.append(today.replace(year=year, month=month, day=int(words["day"])))

    for day in days:
        wanted = day.replace(hour=hour, minute=minute, second=0, microsecond=0)
        seconds = wanted.timestamp()
        if words["year"] or seconds > now - _LATE:
            return int(seconds)
    return None


def _in_zone(name: str | None) -> Callable[[float], datetime.datetime] | None:
    """What makes a date in this zone of seconds since 1970; None: the zone is not known here."""
    if name is None:
        # Naive dates are those of this machine.
        return datetime.datetime.fromtimestamp
    zone: datetime.tzinfo = datetime.timezone.utc
    if name.upper() not in ("UTC", "GMT", "Z"):
        import zoneinfo

        try:
            zone = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return None

    def at(seconds: float) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(seconds, zone)

    return at
