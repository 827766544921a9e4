"""What is to be done later, by a clock of the test's own."""

from __future__ import annotations

from functools import partial

from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.timers import Timers


def noting(*times):
    """Timers that note a name at each of these times, and the names that were noted."""
    timers = Timers()
    done = []
    for name, when in times:
        timers.add(when, partial(done.append, name))
    return timers, done


def test_without_an_action_nothing_is_next_and_nothing_happens():
    timers = Timers()
    timers.run_due(1e9)
    assert timers.next() is None


def test_what_is_due_is_done_in_the_order_of_its_time_and_the_rest_is_kept():
    timers, done = noting(("third", 3.0), ("first", 1.0), ("second", 2.0))
    timers.run_due(0.9)
    assert done == [] and timers.next() == 1.0
    timers.run_due(2.0)
    assert done == ["first", "second"] and timers.next() == 3.0
    timers.run_due(3.0)
    assert done == ["first", "second", "third"] and timers.next() is None


def test_at_the_same_time_the_older_one_comes_first():
    timers, done = noting(("a", 1.0), ("b", 1.0), ("c", 1.0), ("before", 0.5))
    timers.run_due(1.0)
    assert done == ["before", "a", "b", "c"]


def test_what_is_done_is_done_once():
    timers, done = noting(("once", 1.0))
    timers.run_due(1.0)
    timers.run_due(2.0)
    assert done == ["once"]


def test_what_an_action_adds_for_now_is_done_at_once_and_for_later_is_kept():
    timers = Timers()
    done = []

    def act():
        done.append("first")
        timers.add(2.0, partial(done.append, "for now"))
        timers.add(1.0, partial(done.append, "for a time that is over"))
        timers.add(2.1, partial(done.append, "for later"))

    timers.add(2.0, act)
    timers.run_due(2.0)
    assert done == ["first", "for a time that is over", "for now"] and timers.next() == 2.1


def test_a_time_that_never_comes_is_never_due():
    timers, done = noting(("never", float("inf")))
    timers.run_due(1e300)
    assert done == [] and timers.next() == float("inf")
