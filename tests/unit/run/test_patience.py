"""How long claims are waited for, by what their node has taken before."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import patience as _patience
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.patience import Patience


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(_patience, "time", made)
    return made


def never():
    return 0.0


def late_after(patience, clock, node="n", *, is_connected=True):
    """After how many seconds a claim on this node is late."""
    patience.begin("x", node, is_connected=is_connected, last_step=never)
    seconds = patience.next_late_at() - clock.now
    patience.end("x", is_answered=False)
    return seconds


def take(patience, clock, seconds, *, node="n", is_answered=True):
    patience.begin("y", node, is_connected=True, last_step=never)
    clock.now += seconds
    return patience.end("y", is_answered=is_answered)


def test_a_node_of_which_nothing_is_known_has_some_seconds(clock):
    patience = Patience()
    assert late_after(patience, clock) == pytest.approx(4.0)
    assert late_after(patience, clock, is_connected=False) == pytest.approx(10.0)


def test_a_slow_node_has_a_few_times_of_what_it_takes_and_another_one_has_not(clock):
    patience = Patience()
    take(patience, clock, 3.0)
    take(patience, clock, 0.1)
    assert late_after(patience, clock) == pytest.approx(12.0)
    assert late_after(patience, clock, "other") == pytest.approx(4.0)


def test_what_it_took_long_ago_does_not_count_for_ever(clock):
    patience = Patience()
    take(patience, clock, 30.0)
    for _time in range(8):
        take(patience, clock, 0.1)
    assert late_after(patience, clock) == pytest.approx(4.0)


def test_a_claim_that_failed_says_nothing_of_how_fast_its_node_is(clock):
    patience = Patience()
    take(patience, clock, 60.0, is_answered=False)
    assert late_after(patience, clock) == pytest.approx(4.0)


def test_a_claim_is_late_once_and_knows_it_when_it_ends(clock):
    patience = Patience()
    assert patience.next_late_at() is None
    patience.begin("a", "n", is_connected=True, last_step=never)
    patience.begin("b", "n", is_connected=True, last_step=never)
    clock.now += 3.9
    assert patience.newly_late() == []
    clock.now += 0.2
    assert not patience.end("b", is_answered=True)
    ((attempt, seconds),) = patience.newly_late()
    assert (attempt, seconds) == ("a", pytest.approx(4.1))
    assert patience.newly_late() == [] and patience.next_late_at() is None
    assert patience.end("a", is_answered=True)


def test_each_step_on_the_way_to_a_far_node_counts_anew(clock):
    patience = Patience()
    steps = [0.0]
    patience.begin("a", "n", is_connected=False, last_step=lambda: steps[-1])
    clock.now += 9.0
    steps.append(clock.now)
    clock.now += 3.0
    assert patience.newly_late() == []
    steps.append(clock.now)
    clock.now += 3.0
    assert patience.newly_late() == []
    clock.now += 2.0
    assert [attempt for attempt, _seconds in patience.newly_late()] == ["a"]
