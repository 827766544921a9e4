"""What a node's reply means, as tables: the reply, the event that comes of it, the line for people.

The replies are as wire.py types them, and then odd ones, for a node may say anything.
"""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.bring_home import (
    BroughtHome,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import (
    Sent,
    TransferError,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import replies
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev

# The attempt, its node, and when the reply came.
A = "u-1"
N = "n"
NOW = 1000.0

VOID = {"state": "void", "store": "s"}
RUNNING = {"state": "running", "store": "s"}
ENDED = {
    "state": "ended",
    "class": None,
    "message": "",
    "proof": "exit status 0",
    "seconds": 4.2,
    "store": "s",
}
GOOD = ev.Ended(A, None, "exit status 0", "", ENDED)


def case(name, *columns):
    """A row of a table."""
    return pytest.param(*columns, id=name)


def no(blame="node", kind="disk", message="the disk is full", **more):
    """A clear no, as a node gives it."""
    return {"state": "refused", "class": kind, "blame": blame, "message": message, **more}


def refused(blame="node", kind="disk", message="the disk is full"):
    """The event that a clear no becomes."""
    return ev.Refused(A, "refused", blame, message, kind)


def unknown(message, contact_lost=True):
    return ev.Unknown(A, message, contact_lost)


# What every clear no becomes, whichever verb it answers.
REFUSALS = [
    case("the node's fault", no(), refused()),
    case("the input's", no("input", "agent"), refused("input", "agent")),
    case("our own", no("ours", "lease"), refused("ours", "lease")),
    case("a blame that is no word of ours", no("yours"), refused()),
    case("a blame that is no text", no(["ours"]), refused()),
    case("a class that is no text", no("ours", 7), refused("ours", "7")),
    case("no class", {**no(), "class": None}, refused(kind="None")),
    case("a sentence that is no text", no(message=["full"]), refused(message="['full']")),
    case(
        "nothing but its state",
        {"state": "refused"},
        refused(kind="", message="{'state': 'refused'}"),
    ),
    case(
        "a state that nobody knows",
        {"state": "perhaps"},
        refused(kind="", message="{'state': 'perhaps'}"),
    ),
]

# How an attempt ended, whichever verb tells it: the reply, the event without `result`, the line.
ENDS = [
    case("good", {}, (None, "exit status 0", "", None), "ended after 4.2 s: success"),
    case(
        "without a proof",
        {"proof": None},
        (None, None, "", None),
        "ended after 4.2 s: unproven",
    ),
    case(
        "as a failure",
        {"class": "agent", "proof": None, "message": "exit status 3"},
        ("agent", None, "exit status 3", None),
        "ended after 4.2 s: failed (agent)",
    ),
    case(
        "a failure that has a proof",
        {"class": "timeout"},
        ("timeout", "exit status 0", "", None),
        "ended after 4.2 s: failed (timeout)",
    ),
    case(
        "without quota until a time",
        {"class": "quota", "reset_at": 1060},
        ("quota", "exit status 0", "", 60.0),
        "ended after 4.2 s: failed (quota)",
    ),
    case(
        "without quota until a time that is over",
        {"class": "quota", "reset_at": 10.5},
        ("quota", "exit status 0", "", 0.0),
        "ended after 4.2 s: failed (quota)",
    ),
    case(
        "without quota for a year",
        {"class": "quota", "reset_at": NOW + 365 * 86400},
        ("quota", "exit status 0", "", 7 * 86400.0),
        "ended after 4.2 s: failed (quota)",
    ),
    case(
        "without quota until a time that is no number",
        {"class": "quota", "reset_at": "tomorrow"},
        ("quota", "exit status 0", "", None),
        "ended after 4.2 s: failed (quota)",
    ),
    case(
        "with a sentence that is no text",
        {"message": 7},
        (None, "exit status 0", "7", None),
        "ended after 4.2 s: success",
    ),
    case(
        "without a sentence",
        {"message": None},
        (None, "exit status 0", "", None),
        "ended after 4.2 s: success",
    ),
]


# -- what only a person can mend


@pytest.mark.parametrize(
    ("event", "need"),
    [
        (ev.Ended(A, "login", None, ""), "login"),
        (ev.Refused(A, "login", "node", ""), "login"),
        (ev.Ended(A, "quota", None, "", kind="credit"), "credit"),
        (ev.Ended(A, "quota", None, "", kind="busy"), None),
        (ev.Ended(A, "quota", None, ""), None),
        (ev.Ended(A, None, "exit status 0", ""), None),
        (ev.Tick(), None),
        (None, None),
    ],
)
def test_what_only_a_person_can_mend(event, need):
    assert replies.need_of(event) == need


# -- claim


@pytest.mark.parametrize(
    ("reply", "event", "facts"),
    [
        case(
            "claimed",
            {"state": "claimed", "generation": 3, "slot": 1, "contended": False, "store": "s"},
            ev.Claimed(A, "s", contended=False),
            {"generation": 3, "slot": 1, "store": "s"},
        ),
        case(
            "claimed where others wait",
            {"state": "claimed", "generation": 3, "slot": 1, "contended": True, "store": "s"},
            ev.Claimed(A, "s", contended=True),
            {"generation": 3, "slot": 1, "store": "s"},
        ),
        case(
            "claimed of a node that names no store",
            {"state": "claimed", "generation": 3, "slot": 1, "contended": False},
            ev.Claimed(A, None, contended=False),
            {"generation": 3, "slot": 1, "store": None},
        ),
        case(
            "a generation as a text, and a word that is no truth",
            {"state": "claimed", "generation": "3", "slot": 1, "contended": "no", "store": "s"},
            ev.Claimed(A, "s", contended=False),
            {"generation": 3, "slot": 1, "store": "s"},
        ),
        # An attempt that found no slot is no attempt for people.
        case("busy", {"state": "busy", "store": "s"}, ev.Busy(A), {"counts": False}),
    ],
)
def test_after_a_claim(reply, event, facts):
    assert replies.after_claim(A, reply) == replies.Answer(event, A, facts)


@pytest.mark.parametrize(("reply", "event"), REFUSALS)
def test_after_a_claim_that_is_refused(reply, event):
    assert replies.after_claim(A, reply) == replies.Answer(event, A)


@pytest.mark.parametrize(
    "reply",
    [
        case("no generation", {"state": "claimed", "contended": False}),
        case("a generation that is none", {"state": "claimed", "generation": "new"}),
        case("not a word of who waits", {"state": "claimed", "generation": 3}),
    ],
)
def test_a_claim_that_lacks_what_the_next_step_needs_is_not_taken_for_one(reply):
    with pytest.raises((KeyError, ValueError)):
        replies.after_claim(A, reply)


# -- sync


def test_after_a_sync():
    answer = replies.after_sync(
        A, Sent(3, 12_345), seconds=1.256, excluded="*.log, 2 ignored by git", base="c0ffee"
    )
    row = {"files": 3, "bytes": 12_345, "seconds": 1.26, "excluded": "*.log, 2 ignored by git"}
    assert answer == replies.Answer(
        ev.Synced(A),
        A,
        {"sync": row, "base": "c0ffee"},
        verb="sync",
        text="3 files, 12.3 kB sent in 1.3 s",
    )


@pytest.mark.parametrize(
    ("error", "event"),
    [
        case(
            "rsync failed",
            TransferError("sync", "No space left on device"),
            ev.Failed(A, "sync", "No space left on device"),
        ),
        case(
            "the network failed",
            TransferError("unreachable", "Broken pipe"),
            ev.Failed(A, "unreachable", "Broken pipe"),
        ),
        case(
            "the node refused to take it",
            TransferError("refused", "the lease ran out", no("ours", "lease", "the lease ran out")),
            refused("ours", "lease", "the lease ran out"),
        ),
        case(
            "a refusal that says nothing",
            TransferError("refused", "{}", {}),
            refused("node", "", "{}"),
        ),
    ],
)
def test_after_a_sync_that_failed(error, event):
    assert replies.after_failed_sync(A, error) == replies.Answer(event, A)


# -- start


@pytest.mark.parametrize(
    ("reply", "event", "text"),
    [
        case(
            "started",
            {"state": "started", "workspace": "/w", "store": "s"},
            ev.Started(A),
            "claude, attempt u-1",
        ),
        case("an earlier start arrived", RUNNING, ev.Started(A), "claude, attempt u-1"),
        case("it has ended already", ENDED, GOOD, "ended after 4.2 s: success"),
        case("a fence came first", VOID, ev.ProvedVoid(A), ""),
        *(case(f"refused: {row.id}", *row.values, "") for row in REFUSALS),
    ],
)
def test_after_a_start(reply, event, text):
    answer = replies.after_start(A, reply, agent="claude", now=NOW)
    assert (answer.event, answer.attempt, answer.text) == (event, A, text)


# -- fence and cancel


@pytest.mark.parametrize(
    ("reply", "event", "text"),
    [
        case("void", VOID, ev.ProvedVoid(A), ""),
        case("running", RUNNING, ev.ProvedRunning(A), ""),
        case("ended", ENDED, GOOD, "ended after 4.2 s: success"),
        # What is no proof proves nothing: not that it did not start either.
        case("refused", no(), unknown("the disk is full"), ""),
        case("started", {"state": "started"}, unknown("{'state': 'started'}"), ""),
        case("a state that nobody knows", {"state": "gone"}, unknown("{'state': 'gone'}"), ""),
    ],
)
@pytest.mark.parametrize("store", ["s", None])
def test_after_a_fence_or_a_cancel(reply, event, text, store):
    answer = replies.after_proof(A, reply, store=store, now=NOW)
    assert (answer.event, answer.attempt, answer.text) == (event, A, text)


@pytest.mark.parametrize("state", ["void", "running", "ended"])
@pytest.mark.parametrize("store", ["other", None, 7])
def test_another_store_proves_nothing_whatever_it_says(state, store):
    answer = replies.after_proof(A, {**ENDED, "state": state, "store": store}, store="s", now=NOW)
    message = (
        f"another store answers ({store}): this is not the node, or not the login, that has the job"
    )
    assert answer == replies.Answer(unknown(message), A)


def test_a_proof_without_a_store_is_none_where_the_store_is_known():
    answer = replies.after_proof(A, {"state": "void"}, store="s", now=NOW)
    assert isinstance(answer.event, ev.Unknown) and answer.event.contact_lost


# -- wait


@pytest.mark.parametrize(
    ("reply", "event", "attempt", "text"),
    [
        case("it listens", {"state": "watching", "store": "s"}, ev.LinkUp(N), "", ""),
        case("our turn", {"state": "turn", "store": "s"}, ev.Granted(N), "", ""),
        case(
            "it can be watched",
            {"state": "progress", "attempt": A, "watch": "gummy-watch u-1", "store": "s"},
            None,
            A,
            "watch it there: gummy-watch u-1",
        ),
        case(
            "its supervisor died",
            {"state": "unknown", "attempt": A, "store": "s"},
            unknown("its supervisor is gone", contact_lost=False),
            A,
            "",
        ),
    ],
)
def test_after_a_word_of_a_poll(reply, event, attempt, text):
    answer = replies.after_poll(N, reply, now=NOW)
    assert (answer.event, answer.attempt, answer.text) == (event, attempt, text)


def test_after_a_poll_tells_that_an_attempt_ended():
    harvest = {"log": "eA=="}
    answer = replies.after_poll(N, {**ENDED, "attempt": A, "files": harvest}, now=NOW)
    result = {**ENDED, "attempt": A}
    assert answer.event == ev.Ended(A, None, "exit status 0", "", result)
    assert answer.facts == {"result": result, "files": harvest}


def test_a_state_that_nobody_knows_changes_nothing_for_a_newer_node_may_tell_more():
    assert replies.after_poll(N, {"state": "queued", "attempt": A}, now=NOW) is None


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        case("with a sentence", no(kind="store", message="no store here"), "no store here"),
        case("without one", {"state": "refused"}, "{'state': 'refused'}"),
    ],
)
def test_a_poll_that_is_refused_is_over(reply, message):
    with pytest.raises(LinkError) as raised:
        replies.after_poll(N, reply, now=NOW)
    assert (str(raised.value), raised.value.kind) == (message, "reply")


@pytest.mark.parametrize(("changes", "event", "text"), ENDS)
def test_an_attempt_that_has_ended(changes, event, text):
    reply = {**ENDED, **changes}
    failure, proof, message, pause = event
    expected = ev.Ended(A, failure, proof, message, reply, pause)
    facts = {"result": reply, "files": None}
    assert replies.ended(A, reply, now=NOW) == replies.Answer(
        expected, A, facts, verb="wait", text=text
    )


def test_an_attempt_that_never_ran_has_only_a_class_and_a_sentence():
    reply = {"state": "ended", "class": "start", "message": "no baseline"}
    answer = replies.ended(A, reply, now=NOW)
    assert answer.event == ev.Ended(A, "start", None, "no baseline", reply)
    assert answer.text == "ended after 0 s: failed (start)"


def test_the_harvest_stays_out_of_what_is_kept_of_the_end():
    answer = replies.ended(A, {**ENDED, "files": {"log": "eA=="}}, now=NOW)
    assert answer.event == GOOD
    assert answer.facts == {"result": ENDED, "files": {"log": "eA=="}}


@pytest.mark.parametrize(
    ("kind", "expected", "text"),
    [
        case("a limit that resets", "reset", "reset", "failed (quota)"),
        case("out of credits", "credit", "credit", "failed (quota, credit)"),
        case("a busy service", "busy", "busy", "failed (quota, busy)"),
        case("a word that nobody knows", "odd", "reset", "failed (quota)"),
        case("no word", None, "reset", "failed (quota)"),
    ],
)
def test_a_limit_has_a_kind(kind, expected, text):
    reply = {**ENDED, "class": "quota", "proof": None, "kind": kind}
    answer = replies.ended(A, reply, now=NOW)
    assert answer.event.kind == expected
    assert answer.text.endswith(f": {text}")


@pytest.mark.parametrize("failure", ["quota", "login"])
def test_what_an_agent_without_an_account_says_of_one_is_a_plain_failure(failure):
    reply = {**ENDED, "class": failure, "proof": None, "kind": "credit", "reset_at": NOW + 60}
    answer = replies.without_false_quota(replies.ended(A, reply, now=NOW), "shell")
    event = answer.event
    assert (event.failure, event.kind, event.pause) == ("agent", "reset", None)
    assert event.result["class"] == "agent" and answer.text.endswith(": failed (agent)")
    kept = replies.without_false_quota(replies.ended(A, reply, now=NOW), "claude").event
    assert kept.failure == failure


def signs(quiet=0.0, waits=""):
    return {
        "quiet": quiet,
        "at": NOW,
        "waits": waits,
        "words": "",
        "cost_usd": None,
        "turns": None,
        "tokens": None,
    }


WAITS = "waits for its service (529 overloaded), try {} of 10, for 5 s"


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        case("an agent that works", None, signs(), ""),
        case("a node that tells nothing", signs(), None, ""),
        case("quiet for a minute", None, signs(75.0), "no sign of life for 1 min 15 s"),
        case("a little longer", signs(75.0), signs(100.0), ""),
        case("twice as long", signs(75.0), signs(130.0), "no sign of life for 2 min 10 s"),
        case("an hour", signs(130.0), signs(3600.0), "no sign of life for 1 h"),
        case("alive again", signs(130.0), signs(), "it shows signs of life again"),
        case("it waits", signs(), signs(waits=WAITS.format(1)), WAITS.format(1)),
        case("and tries again", signs(waits=WAITS.format(1)), signs(waits=WAITS.format(2)), ""),
        case("and waits no more", signs(waits=WAITS.format(2)), signs(), ""),
    ],
)
def test_of_the_signs_of_life_only_news_is_told(before, now, line):
    assert replies.line_of_signs(before, now) == line


def test_after_a_poll_tells_how_an_agent_is():
    reply = {"state": "signs", "attempt": A, "signs": signs(75.0)}
    answer = replies.after_poll(N, reply, now=NOW)
    assert answer == replies.Answer(None, A, {"signs": signs(75.0)}, told_by=N)


# -- fetch

BRANCH = {"branch": "gummy/r/a", "commit": "c", "base": "b", "note": ""}


@pytest.mark.parametrize(
    ("home", "event", "delivered", "text"),
    [
        case("a harvest", BroughtHome("/f"), ev.Fetched(A), None, ""),
        case(
            "and its branch", BroughtHome("/f", BRANCH), ev.Fetched(A), BRANCH, "branch gummy/r/a"
        ),
        # Why there is none stands in the job's own message.
        case(
            "and no branch",
            BroughtHome("/f", undelivered="no branch"),
            ev.Fetched(A, "no branch"),
            None,
            "",
        ),
    ],
)
def test_after_a_fetch(home, event, delivered, text):
    facts = {
        "delivered": delivered,
        "files": None,
        "self_running": home.self_running,
        "notes": home.notes,
        "offers_commits": home.offers_commits,
    }
    assert replies.after_fetch(A, home) == replies.Answer(event, A, facts, verb="fetch", text=text)


@pytest.mark.parametrize("failure", ["sync", "unreachable"])
def test_after_a_fetch_that_failed(failure):
    answer = replies.after_failed_fetch(A, TransferError(failure, "it broke"))
    assert answer == replies.Answer(ev.Failed(A, failure, "it broke"), A)


# -- what comes instead of a reply


@pytest.mark.parametrize(
    ("kind", "failure", "lasting"),
    [
        ("unreachable", "unreachable", False),
        ("timeout", "unreachable", False),
        ("reply", "unreachable", False),
        ("login", "unreachable", True),
        ("host_key", "unreachable", True),
        ("settings", "refused", True),
        # Another node may have a newer Python, and this one gets a trial: somebody may install it.
        ("python", "refused", False),
    ],
)
def test_a_claim_a_sync_or_a_fetch_without_a_reply(kind, failure, lasting):
    answer = replies.not_reached(A, LinkError("it broke", kind))
    assert answer == replies.Answer(ev.Failed(A, failure, "it broke", lasting), A)


@pytest.mark.parametrize("kind", ["unreachable", "timeout", "reply", "login", "settings"])
def test_a_start_a_fence_or_a_cancel_without_a_reply_may_have_done_its_work(kind):
    answer = replies.not_known(A, LinkError("it broke", kind))
    assert answer == replies.Answer(unknown("it broke"), A)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        case("the link broke", LinkError("timed out", "timeout"), "timed out"),
        case("a mistake of ours", KeyError("watch"), "KeyError: 'watch'"),
    ],
)
def test_a_poll_that_broke_off(error, text):
    assert replies.no_contact(N, error) == replies.Answer(ev.LinkDown(N, text))


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (ev.Claim(A, "a", N), ev.Failed(A, "refused", "KeyError: 'x'")),
        (ev.Sync(A, "a", N), ev.Failed(A, "refused", "KeyError: 'x'")),
        (ev.Fetch(A, "a", N), ev.Failed(A, "refused", "KeyError: 'x'")),
        # These two may have done their work.
        (ev.Start(A, "a", N), unknown("KeyError: 'x'", contact_lost=False)),
        # It is asked again, and not at once.
        (ev.Fence(A, N), unknown("KeyError: 'x'")),
    ],
)
def test_a_mistake_of_ours_answers_what_is_waited_for(command, event):
    assert replies.broken(command, KeyError("x")) == replies.Answer(event, A)


@pytest.mark.parametrize("command", [ev.Cancel(A, N), ev.Release(A, N), ev.Ack(A, N)])
def test_a_mistake_of_ours_where_nobody_waits_is_no_event(command):
    assert replies.broken(command, KeyError("x")) is None


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ({"message": "full"}, "full"),
        ({"message": ""}, ""),
        ({"message": 7}, "7"),
        ({"state": "x"}, "{'state': 'x'}"),
    ],
)
def test_a_reply_s_sentence(reply, sentence):
    assert replies.sentence_of(reply) == sentence


# -- what an agent can't say


@pytest.mark.parametrize(("agent", "failure"), [("gummy", "quota"), ("claude", "quota")])
def test_who_has_an_account_can_say_that_it_is_used_up(agent, failure):
    answer = replies.ended("u-1", {"class": failure, "reset_at": 1060}, now=1000.0)
    assert replies.without_false_quota(answer, agent) is answer


def test_a_quota_of_an_agent_that_has_none_is_a_failure_of_the_agent():
    answer = replies.ended("u-1", {"class": "quota", "reset_at": 9e9, "message": "m"}, now=1.0)
    corrected = replies.without_false_quota(answer, "shell")
    assert (corrected.event.failure, corrected.event.pause) == ("agent", None)
    assert corrected.event.result["class"] == corrected.facts["result"]["class"] == "agent"
    assert corrected.event.message == "m"
