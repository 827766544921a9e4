"""Watched nodes over links that are played: what a poll asks, is told, and does when it ends."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import watch as _watch
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.verbs import Links
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.watch import (
    NodeWatch,
    Surroundings,
    Watches,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from played_nodes import AT_MOST, TURN, WATCHING, PlayedLink, end_of, wait_for

UP = ev.LinkUp("n")
TOLD_NOTHING = {"prefix": "u-", "told": [], "watchable": [], "slots": 2}


class Watched:
    """Watches with the node `n`, and what they tell."""

    def __init__(self):
        self.link = PlayedLink("n")
        self.answers = queue.Queue()
        self.watches = Watches(Links(lambda _name: self.link), "u-", self.answers.put)
        for number in range(1, 5):
            self.watches.expect("n", f"u-{number}")

    def watch(self, slots=2):
        """Watch the node; returns the poll that is opened."""
        self.watches.watch("n", slots)
        return self.link.next_poll()

    def listening(self):
        """Watch the node; returns its poll, which has read its request."""
        poll = self.watch()
        poll.tell(WATCHING)
        assert self.next_event() == UP
        return poll

    def next_event(self):
        return self.answers.get(timeout=AT_MOST).event

    def thread(self):
        """The thread that polls the node."""
        (thread,) = [each for each in threading.enumerate() if each.name == "gummy-watch-n"]
        return thread

    def close(self):
        self.watches.stop()
        self.link.close()


@pytest.fixture
def watched(short_pauses, no_thread_is_left):
    made = Watched()
    yield made
    made.close()


# -- what a poll asks, and what it is told


def test_a_node_is_asked_for_what_the_run_does_not_know_yet(watched):
    assert watched.watch().request == TOLD_NOTHING


def test_what_a_poll_told_is_not_asked_for_by_the_next_one(watched):
    poll = watched.watch()
    poll.tell(
        WATCHING,
        end_of("u-2"),
        {"state": "progress", "attempt": "u-3", "watch": "gummy-watch u-3"},
        end_of("u-1"),
        {"state": "unknown", "attempt": "u-4"},
    )
    poll.end()
    request = watched.link.next_poll().request
    assert request == {**TOLD_NOTHING, "told": ["u-1", "u-2"], "watchable": ["u-3"]}


def test_what_a_poll_tells_is_passed_on_in_its_order(watched):
    poll = watched.watch()
    watched.watches.enqueue("n", 2)
    poll.tell(WATCHING, end_of("u-1"), {"state": "unknown", "attempt": "u-2"}, TURN)
    events = [watched.next_event() for _time in range(4)]
    assert [type(event) for event in events] == [ev.LinkUp, ev.Ended, ev.Unknown, ev.Granted]


def test_what_nobody_knows_is_passed_over(watched):
    poll = watched.watch()
    poll.tell({"state": "weather", "text": "rain"}, WATCHING)
    assert watched.next_event() == UP


def progress_of(attempt):
    return {"state": "progress", "attempt": attempt, "watch": f"gummy-watch {attempt}"}


def test_each_word_counts_once_and_only_of_attempts_that_this_call_has_there(watched):
    """A node could tell 90,000 lines, or make up as many ids that would be kept for ever."""
    watched.watches.expect("another node", "u-9")
    poll = watched.watch()
    made_up = [end_of("u-9"), progress_of("u-9"), *(end_of(f"u-{n}") for n in range(100, 400))]
    again = [progress_of("u-1"), WATCHING, end_of("u-2"), TURN]
    poll.tell(WATCHING, progress_of("u-1"), end_of("u-2"), *made_up, *(again * 100))
    poll.tell({"state": "unknown", "attempt": "u-3"})
    poll.end()
    request = watched.link.next_poll().request
    assert request == {**TOLD_NOTHING, "told": ["u-2"], "watchable": ["u-1"]}

    watched.link.polls[-1].tell(progress_of("u-1"), end_of("u-2"), end_of("u-4"))
    answers = [watched.answers.get(timeout=AT_MOST) for _time in range(5)]
    assert [answer.attempt for answer in answers] == ["", "u-1", "u-2", "u-3", "u-4"]
    assert [bool(answer.text) for answer in answers] == [False, True, True, False, True]


def test_a_poll_that_goes_on_telling_what_is_no_news_is_broken_off(watched, monkeypatch):
    monkeypatch.setattr(_watch, "IDLE_WORDS_MOST", 10)
    poll = watched.watch()
    poll.tell(WATCHING, *[progress_of("made-up")] * 10, end_of("u-1"), progress_of("made-up"))
    assert [type(watched.next_event()) for _time in range(3)] == [ev.LinkUp, ev.Ended, ev.LinkDown]

    # It shows no contact by going on so.
    watched.link.next_poll().tell(WATCHING, *[progress_of("made-up")] * 11)
    assert watched.next_event() == ev.LinkDown("n", "n goes on telling what is no news")
    watched.link.next_poll().tell(WATCHING, end_of("u-2"))
    assert [type(watched.next_event()) for _time in range(2)] == [ev.LinkUp, ev.Ended]


def test_a_node_need_not_tell_of_attempts_of_earlier_calls(watched):
    watched.watches.pass_over("n", "u-7")
    watched.watches.pass_over("n", "u-1")
    watched.watches.pass_over("another node", "u-8")
    assert watched.watch().request["told"] == ["u-7"]


def test_slots_that_were_measured_meanwhile_go_with_the_next_poll(watched):
    poll = watched.watch(slots=2)
    watched.watches.set_slots("n", 5)
    watched.watches.set_slots("a node that is not watched", 7)
    poll.end()
    assert watched.link.next_poll().request["slots"] == 5


def test_a_node_that_is_watched_already_gets_no_second_poll(watched):
    poll = watched.watch()
    watched.watches.watch("n", 2)
    poll.tell(WATCHING)
    assert watched.next_event() == UP and watched.link.polls == [poll]


# -- the waitlist


def test_who_waits_for_a_slot_says_so_at_once_to_a_poll_that_listens(watched):
    poll = watched.listening()
    watched.watches.enqueue("n", 2)
    assert poll.words == ["+"]
    watched.watches.dequeue("n")
    assert poll.words == ["+", "-"]


def test_who_waits_for_a_slot_says_so_to_a_poll_as_soon_as_it_listens(watched):
    watched.watches.enqueue("n", 2)
    poll = watched.link.next_poll()
    assert poll.words == []
    poll.tell(WATCHING)
    assert watched.next_event() == UP and poll.words == ["+"]


def test_who_waits_no_longer_before_the_poll_listens_says_nothing(watched):
    watched.watches.enqueue("n", 2)
    poll = watched.link.next_poll()
    watched.watches.dequeue("n")
    poll.tell(WATCHING)
    assert watched.next_event() == UP and poll.words == []


def test_a_place_on_the_waitlist_is_asked_for_again_by_the_next_poll(watched):
    first = watched.listening()
    watched.watches.enqueue("n", 2)
    first.end()
    second = watched.link.next_poll()
    second.tell(WATCHING)
    assert watched.next_event() == UP and second.words == ["+"]


def test_a_slot_that_was_granted_is_not_asked_for_again(watched):
    first = watched.listening()
    watched.watches.enqueue("n", 2)
    first.tell(TURN)
    assert watched.next_event() == ev.Granted("n")
    first.end()
    second = watched.link.next_poll()
    second.tell(WATCHING)
    assert watched.next_event() == UP and second.words == []


def test_a_place_is_gone_with_the_poll_that_broke_off(watched):
    first = watched.listening()
    watched.watches.enqueue("n", 2)
    first.break_off(LinkError("cut"))
    assert watched.next_event() == ev.LinkDown("n", "cut")
    second = watched.link.next_poll()
    second.tell(WATCHING)
    assert watched.next_event() == UP and second.words == []


def test_a_word_to_a_poll_that_has_ended_is_kept_for_the_next_one(watched):
    first = watched.listening()
    watched.watches.unwatch("n")
    first.end()
    wait_for(lambda: watched.watches._watches["n"]._open_poll is None, "the poll's end")
    watched.watches.enqueue("n", 2)
    second = watched.link.next_poll()
    second.tell(WATCHING)
    assert watched.next_event() == UP
    assert (first.words, second.words) == ([], ["+"])


def test_a_word_to_a_poll_that_does_not_listen_yet_waits_until_it_does(watched):
    watched.listening().end()
    second = watched.link.next_poll()
    watched.watches.enqueue("n", 2)
    assert second.words == []
    second.tell(WATCHING)
    assert watched.next_event() == UP and second.words == ["+"]


# -- polls that break off


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LinkError("timed out"), "timed out"),
        # A mistake of ours must not leave the run waiting for the node's events.
        (KeyError("watch"), "KeyError: 'watch'"),
    ],
)
def test_a_poll_that_breaks_off_is_told_and_asked_again(watched, error, reason):
    watched.listening().break_off(error)
    assert watched.next_event() == ev.LinkDown("n", reason)
    watched.link.next_poll().tell(WATCHING)
    assert watched.next_event() == UP


def test_a_poll_that_is_refused_is_a_poll_that_broke_off(watched):
    watched.watch().tell({"state": "refused", "message": "a newer store"})
    assert watched.next_event() == ev.LinkDown("n", "a newer store")


def test_what_was_told_before_a_poll_broke_off_is_not_asked_for_again(watched):
    poll = watched.watch()
    poll.tell(WATCHING, end_of("u-1"))
    poll.break_off(LinkError("cut"))
    assert watched.link.next_poll().request["told"] == ["u-1"]


class CountedPauses:
    """Plays the event that says that the run is over: after so many pauses it is."""

    def __init__(self, most):
        self.pauses = []
        self._most = most

    def is_set(self):
        return len(self.pauses) >= self._most

    def wait(self, seconds):
        self.pauses.append(seconds)


def polled_by(streams, over):
    """A watch that runs in this thread, over a link whose polls go as these functions say."""
    calls = iter(streams)

    def poll(*_words):
        return next(calls)()

    links = Links(lambda _name: SimpleNamespace(session=SimpleNamespace(poll=poll)))
    watch = NodeWatch("n", 2, Surroundings(links, "u-", lambda _answer: None, over))
    watch.run()
    return over.pauses


def broken():
    raise LinkError("timed out")


def short():
    return iter([WATCHING, end_of("u-1")])


def test_a_poll_that_ends_early_again_and_again_is_asked_with_a_pause_that_grows():
    streams = [short] * 6
    assert polled_by(streams, CountedPauses(6)) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_pause_grows_with_each_poll_that_breaks_off_and_a_good_one_ends_that(monkeypatch):
    assert polled_by([broken] * 6, CountedPauses(6)) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    # Here a poll that is over at once is as good as one that stayed open for long.
    monkeypatch.setattr(_watch, "EARLY", 0.0)
    streams = [broken, broken, short, broken]
    assert polled_by(streams, CountedPauses(3)) == [0.5, 1.0, 0.5]


# -- nodes that need not be watched any more


def test_the_poll_of_a_node_without_a_job_is_ended_after_a_while(watched, monkeypatch):
    poll = watched.listening()
    watched.watches.end_idle_polls()
    assert not poll.is_left

    # The next job is often on its way.
    monkeypatch.setattr(_watch, "LINGER", 3600.0)
    watched.watches.unwatch("n")
    watched.watches.end_idle_polls()
    assert not poll.is_left

    monkeypatch.setattr(_watch, "LINGER", 0.0)
    watched.watches.end_idle_polls()
    assert poll.is_left and not poll.is_stopped


def test_a_node_that_is_wanted_again_keeps_its_poll(watched, monkeypatch):
    monkeypatch.setattr(_watch, "LINGER", 0.0)
    poll = watched.listening()
    watched.watches.unwatch("n")
    watched.watches.watch("n", 2)
    watched.watches.end_idle_polls()
    assert not poll.is_left


def test_a_node_is_polled_again_only_when_it_is_wanted_again(watched):
    first = watched.listening()
    watched.watches.unwatch("n")
    first.end()
    wait_for(lambda: watched.watches._watches["n"]._open_poll is None, "the poll's end")
    assert watched.link.polls == [first]

    # There is no poll to be ended.
    watched.watches.end_idle_polls()
    assert watched.watch() is not first


def test_a_node_that_refused_something_is_polled_anew_and_says_that_it_is_there(watched):
    """Its poll is as good as ever, so without that nobody would ask the node again."""
    first = watched.listening()
    for _time in range(3):
        watched.watches.begin_again("n")
        assert first.is_left and not first.is_stopped
        second = watched.link.next_poll()
        second.tell(WATCHING)
        assert watched.next_event() == UP
        first = second
    # Of a node that is not watched there is nothing to begin.
    watched.watches.begin_again("other")
    assert not first.is_left


# -- the end of the run


def test_the_end_of_the_run_ends_the_polls_and_their_threads_and_tells_nothing(watched):
    poll = watched.listening()
    thread = watched.thread()
    watched.watches.stop()
    thread.join(AT_MOST)
    assert poll.is_stopped and not thread.is_alive() and watched.answers.empty()


def test_a_poll_that_breaks_because_the_run_is_over_is_no_news(watched):
    poll = watched.listening()
    thread = watched.thread()
    watched.watches._over.set()
    poll.break_off(LinkError("cut"))
    thread.join(AT_MOST)
    assert not thread.is_alive() and watched.answers.empty()
