# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's reply means: pure functions from a verb's reply, or from what came instead of one,
to the one event that the scheduler is told.

A reply is what a node says, and a node may say anything. `_links/reader.py` lets pass only what is
as wire.py types it; what does not fit is a reply that is not valid, and then what was asked for may
have happened or not. Whether a reply can be true is weighed here, and in the engine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._input.config import QUOTA_AGENTS
from .._links import signatures
from .._links.link import LinkError
from .._node import signs, wire
from .._project.bring_home import BroughtHome
from .._project.sync import Sent, TransferError
from .._schedule import messages as ev
from .._show.ends import end_words
from .._show.text import spoken
from .results import AttemptFacts, SyncRow

# How long an agent's own word lets its account rest at most, in seconds.
PAUSE_MOST = 7 * 86400.0

# What an agent can say of the limit that it met.
QUOTA_KINDS = frozenset({"reset", "credit", "busy"})

# What only an agent with an account can say.
OF_ACCOUNTS = frozenset({"quota", "login"})

# What a node whose connection settings are refused needs is a person, and no trial.
FOR_A_PERSON = frozenset({"host_key", "login", "no_command", "settings", "state"})

# Kinds of a node that was reached, and where nothing can be done.
REACHED_IN_VAIN = frozenset({"no_command", "python", "settings", "state"})


@dataclass(frozen=True)
class Answer:
    """What became of something that was asked for, or what a node told by itself."""

    # What the scheduler is told; None: nothing.
    event: ev.Event | None

    # The attempt that it is about; blank: it is about none.
    attempt: str = ""

    # What is known of that attempt now.
    facts: AttemptFacts = field(default_factory=AttemptFacts)

    # The node that told it by itself, in a poll; blank: it was asked for.
    told_by: str = ""

    # The store of a node that begins to tell; blank: it is about something else.
    store: str = ""

    # What an agent has printed; blank: it is about something else.
    said: str = ""

    # A line for people, and the step of the walk that it belongs to; blank: there is none.
    verb: str = ""
    text: str = ""


def need_of(event: ev.Event | None) -> str | None:
    """What only a person can mend of what is heard: login or credit; None: nothing."""
    if isinstance(event, (ev.Ended, ev.Refused)) and event.failure == "login":
        return "login"
    if isinstance(event, ev.Ended) and (event.failure, event.kind) == ("quota", "credit"):
        return "credit"
    return None


# -- claim


def after_claim(attempt: str, reply: wire.ClaimReply) -> Answer:
    if reply["state"] == "claimed":
        store = reply.get("store")
        return Answer(
            ev.Claimed(attempt, store, reply["contended"] is True),
            attempt,
            {"generation": int(reply["generation"]), "slot": reply["slot"], "store": store},
        )

    if reply["state"] == "busy":
        return Answer(ev.Busy(attempt), attempt, {"counts": False})

    return refused(attempt, reply)


# -- sync


def after_sync(
    attempt: str, sent: Sent, *, seconds: float, excluded: str, base: str | None
) -> Answer:
    """The project was sent.

    seconds: how long that took; excluded: what stayed at home, for people; base: the commit that
    its HEAD was at, where a branch is asked for.
    """
    seconds = round(seconds, 2)
    row: SyncRow = {
        "files": sent.files,
        "bytes": sent.bytes,
        "seconds": seconds,
        "excluded": excluded,
    }
    return Answer(
        ev.Synced(attempt),
        attempt,
        {"sync": row, "base": base},
        verb="sync",
        text=f"{sent.describe()} sent in {spoken(seconds)}",
    )


def after_failed_sync(attempt: str, error: TransferError) -> Answer:
    """The rsync failed, or the node refused to take it."""
    if error.refusal is not None:
        return refused(attempt, error.refusal)
    return Answer(ev.Failed(attempt, error.failure, str(error)), attempt)


# -- start, fence, cancel


def after_start(attempt: str, reply: wire.StartReply, *, agent: str, now: float) -> Answer:
    """now: Unix seconds."""
    if reply["state"] in ("started", "running"):
        text = f"{agent}, attempt {attempt}"
        return Answer(ev.Started(attempt), attempt, verb="start", text=text)

    if reply["state"] == "ended":
        return ended(attempt, reply, now=now)

    if reply["state"] == "void":
        return Answer(ev.ProvedVoid(attempt), attempt)

    return refused(attempt, reply)


def after_proof(attempt: str, reply: wire.FenceReply, *, store: str | None, now: float) -> Answer:
    """A fence or a cancel was answered. store: the one that has the attempt, if that is known.

    Only that store can prove anything of it: what another one says, of a machine that got the
    node's name or of another login there, is no answer at all. now: Unix seconds.
    """
    if reply["state"] not in ("void", "running", "ended"):
        return _not_valid(attempt, sentence_of(reply))

    answering_store = reply.get("store")
    if store is not None and answering_store != store:
        text = (
            f"another store answers ({answering_store}): this is not the node, or not the login, "
            "that has the job"
        )
        return _not_valid(attempt, text)

    if reply["state"] == "ended":
        return ended(attempt, reply, now=now)
    if reply["state"] == "void":
        return Answer(ev.ProvedVoid(attempt), attempt)
    return Answer(ev.ProvedRunning(attempt), attempt)


def misplaced(attempt: str) -> Answer:
    """Whoever answers under the name of the attempt's node is not the one that has it."""
    text = (
        "another machine, or another login, answers under the name of its node; where it began, "
        "the job may still run there: call the run again when that machine is among the hosts, by "
        "whatever name"
    )
    return Answer(ev.Misplaced(attempt, text), attempt)


def _not_valid(attempt: str, text: str) -> Answer:
    return Answer(ev.Unknown(attempt, text, contact_lost=True), attempt)


# -- wait


def after_poll(node: str, reply: wire.PollReply, *, now: float) -> Answer | None:
    """What a poll tells of a node or of one of its attempts; None: nothing that we know.

    now: Unix seconds. Raises LinkError for a refusal: the poll is over.
    """
    if reply["state"] == "refused":
        raise LinkError(sentence_of(reply), "reply")

    if reply["state"] == "watching":
        return Answer(ev.LinkUp(node), store=reply.get("store", ""))
    if reply["state"] == "turn":
        return Answer(ev.Granted(node))

    if reply["state"] == "ended":
        return replace(ended(reply["attempt"], reply, now=now), told_by=node)
    if reply["state"] == "progress":
        text = f"watch it there: {reply['watch']}"
        return Answer(None, reply["attempt"], verb="wait", text=text, told_by=node)
    if reply["state"] == "signs":
        return Answer(None, reply["attempt"], {"signs": reply["signs"]}, told_by=node)
    if reply["state"] == "said":
        return Answer(None, reply["attempt"], told_by=node, said=reply["text"])
    if reply["state"] == "unknown":
        event = ev.Unknown(reply["attempt"], "its supervisor is gone")
        return Answer(event, reply["attempt"], told_by=node)
    return None


def ended(attempt: str, reply: Mapping[str, Any], *, now: float) -> Answer:
    """The attempt has ended, whichever verb tells it. now: Unix seconds, for when quota is back."""
    result = {key: value for key, value in reply.items() if key != "files"}
    kind = reply.get("kind")
    event = ev.Ended(
        attempt,
        reply.get("class"),
        reply.get("proof"),
        str(reply.get("message") or ""),
        result,
        kind=kind if kind in QUOTA_KINDS else "reset",
        pause=_pause(reply, now),
    )
    return _of_end(Answer(event, attempt, {"files": reply.get("files")}, verb="wait"), event)


def _of_end(answer: Answer, event: ev.Ended) -> Answer:
    """The answer, with this event and with what follows from it."""
    facts = answer.facts.copy()
    facts["result"] = event.result
    end = {"class": event.failure, "kind": event.kind, "proof": event.proof}
    text = f"ended after {spoken(event.result.get('seconds', 0))}: {end_words(end)}"
    return replace(answer, event=event, facts=facts, text=text)


def without_false_quota(
    answer: Answer, agent: str, accounts: Collection[str] = QUOTA_AGENTS
) -> Answer:
    """The same answer, but what an agent without an account says of one is a plain failure.

    accounts: the agents that have one.
    """
    event = answer.event
    if not isinstance(event, ev.Ended) or event.failure not in OF_ACCOUNTS or agent in accounts:
        return answer

    result = {**event.result, "class": "agent", "kind": None}
    event = replace(event, failure="agent", result=result, kind="reset", pause=None)
    return _of_end(answer, event)


def with_weighed_signature(answer: Answer, event: ev.Ended, key: str | None) -> Answer:
    """The same answer, but in a good end stands what its signature is worth, in its place.

    One whose signature is wrong proves nothing. event: the answer's; key: of the attempt; None:
    this controller has none.
    """
    verdict = signatures.judge(event.result, event.attempt, key)
    result = {**event.result, "signature": verdict}
    event = replace(event, result=result)
    if verdict == "wrong":
        result |= {"proof": None, "message": signatures.WRONG}
        event = replace(event, result=result, proof=None, message=signatures.WRONG, forged=True)
    return _of_end(answer, event)


def _pause(reply: Mapping[str, Any], now: float) -> float | None:
    """Seconds until there is quota again, if the agent says so."""
    reset_at = reply.get("reset_at")
    if not isinstance(reset_at, int | float):
        return None
    return min(max(0.0, reset_at - now), PAUSE_MOST)


def line_of_signs(before: wire.Signs | None, now: wire.Signs | None) -> str:
    """What of an agent's signs of life is news for people; blank: nothing.

    That there are none is told after a minute, two, four and so on. before: what was told last.
    """
    if now is None:
        return ""
    level, reason = signs.news(now)
    level_before, reason_before = (0, "") if before is None else signs.news(before)
    if level > level_before:
        return f"no sign of life for {spoken(now['quiet'])}"
    if not level and level_before:
        return "it shows signs of life again"
    if reason and reason != reason_before:
        return now["waits"]
    return ""


# -- fetch


def after_fetch(attempt: str, home: BroughtHome) -> Answer:
    """The harvest is at home, and its branch is made, or is not."""
    text = "; ".join(home.notes)
    if home.delivered is not None:
        text = home.describe()
    facts: AttemptFacts = {
        "delivered": home.delivered,
        # The harvest that came with the reply lies on the disk now.
        "files": None,
        "self_running": home.self_running,
        "notes": home.notes,
        "offers_commits": home.offers_commits,
    }
    return Answer(ev.Fetched(attempt, home.undelivered), attempt, facts, verb="fetch", text=text)


def after_failed_fetch(attempt: str, error: TransferError) -> Answer:
    return Answer(ev.Failed(attempt, error.failure, str(error)), attempt)


# -- what comes instead of a reply


def refused(attempt: str, reply: Mapping[str, Any]) -> Answer:
    """A clear no. Whose fault it is, the node says; what it can't say is its own."""
    blame = reply.get("blame")
    if blame not in ("ours", "input"):
        blame = "node"
    store = reply.get("store")
    event = ev.Refused(
        attempt,
        "refused",
        str(blame),
        sentence_of(reply),
        kind=str(reply.get("class", "")),
        store=store if isinstance(store, str) else None,
    )
    return Answer(event, attempt)


def not_reached(attempt: str, error: LinkError) -> Answer:
    """A claim, a sync or a fetch got no reply: nothing was started by it."""
    failure = "refused" if error.kind in REACHED_IN_VAIN else "unreachable"
    event = ev.Failed(attempt, failure, str(error), lasting=error.kind in FOR_A_PERSON)
    return Answer(event, attempt)


def late(attempt: str, seconds: float) -> Answer:
    """A claim is withdrawn, for its node has said nothing for so long; that costs no attempt."""
    return Answer(ev.Late(attempt, seconds), attempt, {"counts": False})


def not_known(attempt: str, error: LinkError) -> Answer:
    """A start, a fence or a cancel got no reply: it may have done its work or not."""
    return Answer(ev.Unknown(attempt, str(error), contact_lost=True), attempt)


def no_contact(node: str, error: Exception) -> Answer:
    """A poll broke off."""
    if not isinstance(error, LinkError):
        return Answer(ev.LinkDown(node, f"{type(error).__name__}: {error}"))
    return Answer(ev.LinkDown(node, str(error), lasting=error.kind in FOR_A_PERSON))


def broken(command: ev.Command, error: Exception) -> Answer | None:
    """A mistake of ours while a command was carried out: the run must not wait for its answer.

    None: nobody waits for one.
    """
    message = f"{type(error).__name__}: {error}"
    if isinstance(command, ev.Start):
        return Answer(ev.Unknown(command.attempt, message), command.attempt)
    # As if the node gave no answer: it is asked again when its link is up, and not at once.
    if isinstance(command, ev.Fence):
        return Answer(ev.Unknown(command.attempt, message, contact_lost=True), command.attempt)
    if isinstance(command, ev.Claim | ev.Sync | ev.Fetch):
        return Answer(ev.Failed(command.attempt, "refused", message), command.attempt)
    return None


def sentence_of(reply: Mapping[str, Any]) -> str:
    """The reply's sentence for people; the whole reply, if it has none."""
    return str(reply.get("message", reply))
