# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accounts have no quota left, as far as that is known.

One node's word is not enough to let an account rest, for its agent may be wrong or lie. The first
time a node says so, that node is not used for the account until the time that it told, and one job
of the account tries another node, while the others wait for a moment. When a second node says so
too (one with a voice of its own, see voices.py), the account rests.

The same holds for an account that is out of credits, but for ever: no time brings them back. An
agent that is told no time of the limit's end makes its node pause for a while, which grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .voices import are_several, voice_of

# How long the other jobs of an account wait for the one that tries, in seconds.
QUOTA_TRIAL = 15.0

# The first pause of a node whose agent does not say until when, in seconds; each further one in a
# row is twice as long, up to the second figure.
QUOTA_PAUSE = 900.0
QUOTA_PAUSE_MOST = 5 * 3600.0


@dataclass
class _Account:
    """What was said of one account."""

    # Node -> its voice, and until when it says that there is no quota.
    said: dict[str, tuple[str, float]] = field(default_factory=dict)

    # Node -> its voice, and its words, where it says that a person has to pay.
    spent: dict[str, tuple[str, str]] = field(default_factory=dict)

    # Node -> how often in a row it told no time.
    untimed: dict[str, int] = field(default_factory=dict)

    # Until when the account rests, as two nodes say.
    rests_until: float = 0.0

    # Whether the next job that is placed is the one that tries another node, and until when the
    # others wait for that one.
    awaits_trial: bool = False
    on_trial_until: float = 0.0


class Accounts:
    """The accounts of a run by name."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def rests(self, name: str, now: float) -> bool:
        """Whether no job of the account may be placed now."""
        account = self._accounts.get(name)
        if account is None:
            return False
        return max(account.rests_until, account.on_trial_until) > now

    def avoided(self, name: str, now: float) -> frozenset[str]:
        """The nodes that are not used for the account now."""
        account = self._accounts.get(name)
        if account is None:
            return frozenset()
        return frozenset(node for node, (_voice, until) in account.said.items() if until > now)

    def spent_on(self, name: str) -> frozenset[str]:
        """The nodes that are not used for the account any more, for it is out of credits."""
        account = self._accounts.get(name)
        return frozenset(account.spent if account is not None else ())

    def why_spent(self, name: str) -> str:
        """What the nodes say of an account that is out of credits, if two do; else blank."""
        account = self._accounts.get(name)
        if account is None or not are_several(voice for voice, _words in account.spent.values()):
            return ""
        return self.spent_words(name)

    def spent_words(self, name: str) -> str:
        """What a node says of it."""
        _voice, words = next(iter(self._accounts[name].spent.values()))
        return words

    def pause_of(self, name: str, node: str, now: float) -> float:
        """How long the node pauses for the account, if its agent does not say until when."""
        account = self._accounts.setdefault(name, _Account())
        _voice, known_until = account.said.get(node, ("", 0.0))
        # Jobs that ran side by side have met one limit.
        if known_until <= now or node not in account.untimed:
            account.untimed[node] = account.untimed.get(node, 0) + 1
        pause: float = QUOTA_PAUSE * 2.0 ** (account.untimed[node] - 1)
        return min(pause, QUOTA_PAUSE_MOST)

    def on_credit(self, name: str, node: str, store: str | None, words: str) -> None:
        """The node says that the account is out of credits."""
        account = self._accounts.setdefault(name, _Account())
        voice = voice_of(node, store)
        account.spent[node] = (voice, words)
        account.said[node] = (voice, float("inf"))

    def on_quota(self, name: str, node: str, store: str | None, until: float, now: float) -> bool:
        """The node says that there is no quota before this time; whether the account rests now."""
        account = self._accounts.setdefault(name, _Account())
        _voice, known_until = account.said.get(node, ("", 0.0))
        account.said[node] = (voice_of(node, store), max(until, known_until))

        # What two voices agree in is the earlier of their times.
        latest: dict[str, float] = {}
        for voice, said_until in account.said.values():
            if said_until > now:
                latest[voice] = max(said_until, latest.get(voice, 0.0))
        if len(latest) < 2:
            account.awaits_trial = account.on_trial_until <= now
            return False

        account.awaits_trial = False
        account.on_trial_until = 0.0
        account.rests_until = sorted(latest.values())[-2]
        return True

    def rests_until(self, name: str) -> float:
        return self._accounts[name].rests_until

    def back_at(self, name: str, now: float) -> float | None:
        """When the first node may be used for it again; None: nobody told a time."""
        account = self._accounts.get(name)
        if account is None:
            return None
        if account.rests_until > now:
            return account.rests_until
        times = [until for _voice, until in account.said.values() if until > now]
        soonest = min(times, default=float("inf"))
        return None if soonest == float("inf") else soonest

    def on_placed(self, name: str, now: float) -> float | None:
        """A job of the account was placed; until when the others wait for it, if they do."""
        account = self._accounts.get(name)
        if account is None or not account.awaits_trial:
            return None
        account.awaits_trial = False
        account.on_trial_until = now + QUOTA_TRIAL
        return account.on_trial_until

    def on_quota_left(self, name: str, node: str, now: float) -> bool:
        """A job of the account ended on this node otherwise; whether others waited for that."""
        account = self._accounts.get(name)
        if account is None or node in self.avoided(name, now):
            return False
        account.untimed.pop(node, None)
        if account.on_trial_until <= now:
            return False
        account.on_trial_until = 0.0
        return True
