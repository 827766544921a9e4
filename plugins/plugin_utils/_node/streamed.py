# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the readers of agents that print events have in common."""

from __future__ import annotations

import re

from .events import Events
from .row import (
    DENIED_MOST,
    DENIED_SHOWN,
    ERRORS_MOST,
    SHOWN,
    Agent,
    Ran,
    Reader,
    Result,
    last_line,
)
from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from . import wire
    from .row import Said

# Colours and the like, with which some programs write also where no terminal is.
STYLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# What is said of one that ends without its result, by its name.
NO_RESULT = "%s did not end properly: it printed no result event"


class StreamReader(Reader):
    """The state of one agent, by the events that it has printed. `name` is how people call it."""

    name: str

    def __init__(self) -> None:
        self._events = Events(self.take)
        # stderr's end.
        self._errors = bytearray()
        self.session: str | None = None
        # Its last words, and whether the last thing that it said is its result.
        self.words = ""
        self.finished = False
        # What it waits for, as a sentence.
        self.waits = ""
        # What it was not allowed to do, by an id of its own.
        self.denied: dict[str, str] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event."""
        raise NotImplementedError

    def so_far(self) -> Result:
        """What it told of itself, without how it ended."""
        raise NotImplementedError

    def verdict(self, status: int | None) -> Result:
        """How it ended. status: as in Ran."""
        raise NotImplementedError

    def feed(self, stream: str, data: bytes) -> None:
        if stream == "out":
            self._events.feed(data)
        else:
            self._errors += data
            del self._errors[:-ERRORS_MOST]

    def end(self) -> None:
        self._events.end()

    @property
    def errors(self) -> str:
        """The end of what it printed on stderr."""
        return self._errors.decode("utf-8", "replace")

    def said(self) -> Said:
        known = self.so_far()
        said: Said = {
            "cost_usd": known.cost_usd,
            "tokens": known.tokens,
            "turns": known.turns,
            "session_id": known.session_id,
            "agent_version": known.agent_version,
            "denied": list(known.denied),
            "words": self.words,
            "waits": self.waits,
            "finished": self.finished,
        }
        return said

    def silent_words(self, status: int | None) -> str:
        """Its end without a result, as a sentence; stderr may say why. status: as in Ran."""
        message = NO_RESULT % self.name
        if status:
            message = "%s ended with exit status %d" % (self.name, status)
        line = last_line(self.errors)
        return "%s: %s" % (message, line) if line else message

    def refused_words(self) -> str:
        """What it was refused, as the begin of a sentence."""
        uses = list(self.denied.values())
        words = "%s was refused %s" % (self.name, "; ".join(uses[:3]))
        if len(uses) > 3:
            words += "; and %d more" % (len(uses) - 3)
        return words


class EventReader(StreamReader):
    """The reader of an agent that tells what it knows in fields of their own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.cost: float | None = None
        self.tokens: wire.Tokens | None = None
        self.turns: int | None = None
        # What its service said that makes it wait.
        self.wait_reason = ""

    @property
    def errors(self) -> str:
        return STYLE.sub("", super().errors)

    def refused_by_service(self) -> Result:
        """What its service says that makes it wait, as the end that this would be."""
        return failed_by(Result(), self.wait_reason, self.wait_reason)

    # -- for the readers of each agent

    def goes_on(self) -> None:
        """It has said something else than its result."""
        self.finished = False
        self.waits = ""
        self.wait_reason = ""

    def deny(self, key: object, use: str) -> None:
        name = str(key)[:64]
        if name in self.denied or len(self.denied) < DENIED_MOST:
            self.denied[name] = " ".join(use.split())[:DENIED_SHOWN]

    def so_far(self) -> Result:
        return Result(
            cost_usd=self.cost,
            turns=self.turns,
            tokens=self.tokens,
            session_id=self.session,
            denied=tuple(self.denied.values()),
        )

    def failed(self, text: str, status: int | None = None) -> Result:
        """It says itself that it failed. status: the one of HTTP, where it tells that."""
        return failed_by(self.so_far(), text, "%s reports an error: %s" % (self.name, text), status)

    def failed_silently(self, status: int | None) -> Result:
        """It ended without its result; stderr may say why. status: as in Ran."""
        return failed_by(self.so_far(), last_line(self.errors), self.silent_words(status))

    def succeeded(self, status: int | None, proof: str, hollow: str | None) -> Result:
        """Its result says that all is well. hollow: why that is none without a change."""
        if status:
            message = "%s ended with exit status %d after its result" % (self.name, status)
            return self.so_far()._replace(failure="agent", message=message)
        text = self.words
        if status is None:
            text = "%s (it did not end after its result, and was ended)" % text
        return self.so_far()._replace(proof=proof, message=text.strip(), hollow=hollow)

    def why_hollow(self, remedy: str) -> str | None:
        """Why its success may be none: it was refused something, or gave no answer."""
        if self.denied:
            said = " and says: %s" % self.words if self.words else ""
            return "%s: %s%s" % (self.refused_words(), remedy, said)
        if not self.words:
            return "%s says that it succeeded, and gave no answer" % self.name
        return None


def failed_by(base: Result, text: str, message: str, status: int | None = None) -> Result:
    """The failure that a text of a service tells. message: for people."""
    # Its patterns cost every verb more than most failures are worth.
    from . import refusals

    failure, limit = refusals.of_text(text, status)
    return base._replace(
        failure=failure,
        kind=limit.kind if limit else None,
        reset_at=limit.reset_at if limit else None,
        message=message[: SHOWN * 2],
    )


class EventAgent(Agent):
    """An agent whose reader knows at its end how that was."""

    streams = True

    def result(self, ran: Ran) -> Result:
        reader = ran.reader
        if not isinstance(reader, EventReader):
            raise TypeError("not this agent's reader")
        return reader.verdict(ran.status)
