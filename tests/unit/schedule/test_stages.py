"""The one table of an attempt's stages: every word in every stage, and what it must never allow."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.stages import (
    MAY_RUN,
    STAGES,
    ProtocolError,
)
from scheduling import (
    GOOD,
    A,
    failed,
    feed,
    node,
    not_started,
    refused,
    scheduler,
    up_to_running,
    up_to_sent,
)

# How an attempt gets into each stage, from the first Tick on; a number moves the clock.
WAYS = {
    "reserved": [],
    "claimed": [ev.Claimed(A)],
    "sent": up_to_sent(),
    "running": up_to_running(),
    "fencing": [*up_to_sent(), ev.Unknown(A, "")],
    "ended": [*up_to_sent(), GOOD],
    "fetched": [*up_to_sent(), GOOD, ev.Fetched(A)],
    "lost": [*up_to_sent(), ev.LinkDown("n", ""), 100.0],
    "void": [ev.Busy(A)],
}

# An event for each word that an event can say.
WORDS = {
    "claimed": ev.Claimed(A),
    "busy": ev.Busy(A),
    "refused": refused(),
    "failed": failed(failure="sync"),
    "unknown": ev.Unknown(A, ""),
    "late": ev.Late(A, 4.0),
    "synced": ev.Synced(A),
    "started": ev.Started(A),
    "ended": GOOD,
    "void": ev.ProvedVoid(A),
    "running": ev.ProvedRunning(A),
    "failed_to_start": not_started(),
    "fetched": ev.Fetched(A),
}


@pytest.mark.parametrize("stage", WAYS)
@pytest.mark.parametrize("word", WORDS)
def test_a_stage_changes_as_the_table_says_and_not_otherwise(stage, word):
    tested = scheduler(["job"], [node("n")])
    feed(tested, ev.Tick(), *WAYS[stage])
    assert tested._attempts[A].stage == stage

    now = 101.0 if stage == "lost" else 1.0
    if word in STAGES[stage]:
        tested.handle(WORDS[word], now)
        assert tested._attempts[A].stage == STAGES[stage][word]
    else:
        with pytest.raises(ProtocolError, match=f"{word} while {stage}"):
            tested.handle(WORDS[word], now)


def test_every_stage_of_the_table_is_walked_but_the_one_in_which_an_attempt_is_made():
    assert STAGES.keys() - WAYS.keys() == {"new"}


def test_the_words_that_only_the_scheduler_says_are_in_the_table_and_no_event_says_them():
    words = {word for row in STAGES.values() for word in row}
    assert words - WORDS.keys() == {"assigned", "found", "stopped", "withdrawn", "given_up"}


def test_the_table_knows_no_way_back_from_an_attempt_that_may_run_but_a_proof():
    words_to_void = {
        word
        for stage in MAY_RUN
        for word, next_stage in STAGES[stage].items()
        if next_stage == "void"
    }
    # The second is the node's own word that it could not execute the agent.
    assert words_to_void == {"void", "failed_to_start"}
