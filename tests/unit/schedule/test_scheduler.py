"""The scheduler, driven by events and a clock of the test's own."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.nodes import QUARANTINE
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import WAITLISTS
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.stages import (
    MAY_RUN,
    STAGES,
    ProtocolError,
)
from scheduling import GOOD, LOCAL, A, begin, claims, feed, node, scheduler, told, watched

# -- the table

SENT = [ev.Tick(), ev.Claimed(A), ev.Synced(A)]
WAYS = {
    "reserved": SENT[:1],
    "claimed": SENT[:2],
    "sent": SENT,
    "running": [*SENT, ev.Started(A)],
    "fencing": [*SENT, ev.Unknown(A, "")],
    "ended": [*SENT, GOOD],
    "fetched": [*SENT, GOOD, ev.Fetched(A)],
    "lost": [*SENT, ev.LinkDown("n", ""), 100.0],
    "void": [SENT[0], ev.Busy(A)],
}
WORDS = {
    "claimed": ev.Claimed(A),
    "busy": ev.Busy(A),
    "refused": ev.Refused(A, "refused", "node", ""),
    "failed": ev.Failed(A, "sync", ""),
    "unknown": ev.Unknown(A, ""),
    "synced": ev.Synced(A),
    "started": ev.Started(A),
    "ended": GOOD,
    "void": ev.ProvedVoid(A),
    "running": ev.ProvedRunning(A),
    "failed_to_start": ev.Ended(A, "start", None, "no baseline"),
    "fetched": ev.Fetched(A),
}


@pytest.mark.parametrize("stage", WAYS)
@pytest.mark.parametrize("word", WORDS)
def test_a_stage_changes_as_the_table_says_and_not_otherwise(stage, word):
    tested = scheduler(["job"], [node("n")])
    feed(tested, *WAYS[stage])
    assert tested._attempts[A].stage == stage
    at = 101.0 if stage == "lost" else 1.0
    if word in STAGES[stage]:
        tested.handle(WORDS[word], at)
        assert tested._attempts[A].stage == STAGES[stage][word]
    else:
        with pytest.raises(ProtocolError, match=f"{word} while {stage}"):
            tested.handle(WORDS[word], at)


def test_every_stage_of_the_table_is_walked_but_the_one_in_which_an_attempt_is_made():
    assert STAGES.keys() - WAYS.keys() == {"new"}


def test_the_words_that_only_the_scheduler_says_are_in_the_table_and_no_event_says_them():
    words = {word for row in STAGES.values() for word in row}
    assert words - WORDS.keys() == {"assigned", "found", "stopped", "withdrawn", "given_up"}


def test_the_table_knows_no_way_back_from_an_attempt_that_may_run_but_a_proof():
    ways = [
        (stage, word) for stage in MAY_RUN for word, to in STAGES[stage].items() if to == "void"
    ]
    # The second is the node's own word that it could not execute the agent.
    assert {word for _stage, word in ways} == {"void", "failed_to_start"}


# -- a small world for random walks


class World:
    """Nodes that answer, die, come back, refuse, lose replies.

    `begun`: what truly ran; promise 1 is that no job is in it twice.
    """

    def __init__(self, seed, jobs=12, nodes=4):
        self.dice = random.Random(seed)
        self.now = 0.1
        self.heap = []
        self.serial = itertools.count()
        self.wake = None
        self.names = [f"n{number}" for number in range(nodes)]
        self.dead = {name for name in self.names if self.dice.random() < 0.3}
        self.begun = Counter()
        self.truth = {}
        self.told = set()
        self.tombs = set()
        self.journal = {}
        self.finished = {}
        self.ended = False
        self.polls = set()
        self.watched = set()
        self.lines = set()
        self.attempts = Counter()
        needs = [
            Need(),
            Need(),
            Need(),
            Need(node=self.names[0]),
            Need(nodes=frozenset(self.names[:2])),
            Need(node="local"),
        ]
        self.work = [self.a_job(f"job-{number}", self.dice.choice(needs)) for number in range(jobs)]
        more = {
            "fallback": LOCAL if seed % 3 else None,
            "queue_timeout": 200.0 if seed % 5 == 1 else None,
        }
        self.tested = scheduler(
            self.work, [node(n) for n in self.names], trust_links=seed % 2 == 0, **more
        )
        for _time in range(12):
            self.later(
                self.dice.uniform(0, 900),
                lambda: self.dead.symmetric_difference_update({self.dice.choice(self.names)}),
            )
        self.later(1000.0, self.dead.clear)
        self.cancelled = False
        if seed >= 40:
            self.later(self.dice.uniform(0, 100), self.cancel)

    def a_job(self, name, need):
        return ev.PlacementSpec(
            name,
            need,
            priority=self.dice.choice([0, 0, 5]),
            account=self.dice.choice("xy"),
            skippable=need.nodes is not None,
        )

    def cancel(self):
        self.cancelled = True
        self.send(ev.Cancelled())

    def later(self, seconds, what, *words):
        heapq.heappush(self.heap, (self.now + seconds, next(self.serial), what, words))

    def chance(self, part):
        return self.now < 1000 and self.dice.random() < part

    def run(self):
        self.send(ev.Tick())
        for _time in range(20000):
            if self.ended:
                return
            if self.wake is not None and (not self.heap or self.wake <= self.heap[0][0]):
                self.now = max(self.now, self.wake)
                self.send(ev.Tick())
                continue
            assert self.heap, "stalled: no Wake, and nothing under way"
            self.now, _serial, what, words = heapq.heappop(self.heap)
            what(*words)
        raise AssertionError(f"no end: {self.tested.waiting()}")

    def send(self, event):
        self.wake = None
        self.enqueued_now = []
        for command in self.tested.handle(event, self.now):
            getattr(self, f"on_{type(command).__name__.lower()}", lambda _command: None)(command)
        assert set(self.enqueued_now) & self.lines <= self.watched

    def reply(self, *events):
        for event in events:
            self.later(self.dice.uniform(0.01, 3), self.send, event)

    def lost(self, command):
        self.later(1.0, self.send, ev.Unknown(command.attempt, "down", contact_lost=True))

    def on_record(self, command):
        self.journal[command.attempt] = command.state

    def on_claim(self, command):
        self.attempts[command.job] += 1
        assert self.journal[command.attempt] == "reserved" and not self.cancelled
        assert not self.begun[command.job], f"{command.job} ran already"
        down = ev.Failed(command.attempt, "unreachable", "down")
        odd = [
            ev.Busy(command.attempt),
            ev.Refused(command.attempt, "refused", "node", "disk"),
            ev.Unknown(command.attempt, "?"),
        ]
        odd = (
            [ev.Refused(command.attempt, "refused", "ours", "lease")] if self.chance(0.03) else odd
        )
        self.reply(
            down
            if command.node in self.dead
            else self.dice.choice(odd)
            if self.chance(0.2)
            else ev.Claimed(command.attempt)
        )

    def on_enqueue(self, command):
        self.enqueued_now.append(command.node)
        self.lines.add(command.node)
        self.later(self.dice.uniform(0.01, 25), self.turn, command.node)

    def turn(self, name):
        if name in self.lines:
            self.lines.discard(name)
            self.send(ev.LinkDown(name, "down") if name in self.dead else ev.Granted(name))

    def on_dequeue(self, command):
        self.lines.discard(command.node)

    def on_sync(self, command):
        bad = self.dice.choice(
            [
                ev.Failed(command.attempt, "sync", "rsync"),
                ev.Refused(command.attempt, "refused", "node", "in use"),
            ]
        )
        self.reply(
            bad if command.node in self.dead or self.chance(0.1) else ev.Synced(command.attempt)
        )

    def on_start(self, command):
        assert self.journal[command.attempt] == "sent"
        if command.node in self.dead or self.chance(0.3):
            self.lost(command)
            # It arrives all the same, perhaps after the fence.
            if self.chance(0.6):
                self.later(self.dice.choice([0.5, 40.0]), self.arrive, command)
        elif self.chance(0.1):
            self.reply(ev.Refused(command.attempt, "refused", "node", "no agent"))
        else:
            self.arrive(command)
            self.reply(
                ev.ProvedVoid(command.attempt)
                if command.attempt in self.tombs
                else ev.Started(command.attempt)
            )

    def arrive(self, command):
        if command.attempt in self.tombs or command.attempt in self.truth:
            return
        if self.chance(0.1):
            self.truth[command.attempt] = ev.Ended(command.attempt, "start", None, "no baseline")
            return
        self.begun[command.job] += 1
        self.truth[command.attempt] = None
        ended = ev.Ended(
            command.attempt,
            self.dice.choice([None, None, "agent", "quota"]),
            "exit status 0",
            "",
            pause=20.0,
        )
        self.later(self.dice.uniform(1, 60), self.end, command, ended)

    def end(self, command, ended):
        if self.truth[command.attempt] is None:
            self.truth[command.attempt] = ended
            # It may be begun anew.
            self.begun[command.job] -= ended.failure == "quota"

    def on_cancel(self, command):
        if command.node not in self.dead and command.attempt in self.truth:
            self.truth[command.attempt] = self.truth[command.attempt] or ev.Ended(
                command.attempt, "cancelled", None, ""
            )
        self.on_fence(command)

    def on_fence(self, command):
        if command.node in self.dead:
            return self.lost(command)
        if command.attempt not in self.truth:
            self.tombs.add(command.attempt)
        if self.chance(0.2):
            return self.lost(command)
        if command.attempt in self.tombs:
            self.reply(ev.ProvedVoid(command.attempt))
        elif ended := self.truth.get(command.attempt):
            self.reply(ended)
        else:
            self.reply(ev.ProvedRunning(command.attempt))

    def on_watch(self, command):
        assert command.node not in self.watched
        self.watched.add(command.node)
        if command.node not in self.polls:
            self.polls.add(command.node)
            self.later(0.0, self.poll, command.node)

    def on_unwatch(self, command):
        self.watched.remove(command.node)

    def poll(self, name):
        if name in self.watched:
            self.later(
                0.0, self.send, ev.LinkDown(name, "down") if name in self.dead else ev.LinkUp(name)
            )
            for attempt, ended in list(self.truth.items()) if name not in self.dead else []:
                if (
                    self.tested._attempts[attempt].node == name
                    and ended
                    and attempt not in self.told
                ):
                    self.told.add(attempt)
                    self.later(0.0, self.send, ended)
        self.later(1.0, self.poll, name)

    def on_fetch(self, command):
        bad = command.node in self.dead or self.chance(0.3)
        self.reply(
            ev.Failed(command.attempt, "harvest", "rsync") if bad else ev.Fetched(command.attempt)
        )

    def on_refresh(self, command):
        self.reply(
            ev.Nodes(
                tuple(
                    Node(n, "unreachable", "down") if n in self.dead else node(n)
                    for n in command.nodes
                )
            )
        )

    def on_finish(self, command):
        assert command.job not in self.finished
        self.finished[command.job] = command

    def on_wake(self, command):
        self.wake = command.at

    def on_end(self, _command):
        self.ended = True


# From 40 on somebody cancels the run in the middle.
@pytest.mark.parametrize("seed", range(60))
def test_no_job_runs_twice_and_every_job_ends_once_whatever_happens(seed):
    world = World(seed)
    world.run()
    assert set(world.finished) == {work.name for work in world.work}
    assert max(world.begun.values(), default=0) <= 1
    assert all(
        world.begun[job] == 1 for job, end in world.finished.items() if end.status == "success"
    )


# -- what costs an attempt, and what does not


def test_busy_and_a_mistake_of_ours_cost_no_attempt():
    tested = scheduler([ev.PlacementSpec("job", Need(), attempts=1)], [node("n")])
    assert told(begin(tested, ev.Busy(A)), ev.Enqueue) == [ev.Enqueue("n")]
    assert claims(feed(tested, 60.0)) == []
    turn = ev.Granted("n")
    assert claims(feed(tested, turn)) == [("job", "n")]
    assert claims(feed(tested, ev.Refused("2", "refused", "ours", "", "known"), turn)) == [
        ("job", "n")
    ]
    assert claims(feed(tested, ev.Refused("3", "refused", "ours", "", "other"), turn)) == [
        ("job", "n")
    ]
    assert told(feed(tested, ev.Claimed("4"), ev.Synced("4")), ev.Start)


def test_a_lease_that_ran_out_is_nobodys_fault_however_often():
    tested = scheduler([ev.PlacementSpec("job", Need(), attempts=1)], [node("n")])
    begin(tested)
    for number in range(1, 6):
        assert (
            claims(
                feed(tested, ev.Refused(str(number), "refused", "ours", "", "lease"), now=number)
            )
            == []
        )
        assert claims(feed(tested, number + 1.0)) == [("job", "n")]


def test_the_same_mistake_of_ours_twice_ends_the_run_and_what_may_run_goes_on():
    tested = scheduler(["runs", "claims", "a", "b", "waits"], [node("n", slots=4)])
    begin(tested, *SENT[1:], ev.Started(A), ev.Claimed("2"))
    out = feed(
        tested,
        ev.Refused("3", "refused", "ours", "", "known"),
        ev.Refused("4", "refused", "ours", "no", "known"),
    )
    assert [end.job for end in told(out, ev.Finish)] == ["waits", "b"]
    out = feed(tested, ev.Synced("2"), ev.Claimed("5"))
    assert not told(out, ev.Start)
    assert told(out, ev.Release) == [ev.Release("2", "n"), ev.Release("5", "n")]
    assert [(end.job, end.failure) for end in told(out, ev.Finish)] == [
        ("claims", "refused"),
        ("a", "refused"),
    ]
    assert told(feed(tested, GOOD, ev.Fetched(A)), ev.Finish)[0].status == "success"


@pytest.mark.parametrize("trust", [True, False])
def test_a_dead_node_costs_at_most_one_attempt_of_all_jobs_together(trust):
    tested = scheduler(
        [f"job-{n}" for n in range(20)],
        [node("dead", 0.0), node("a", 0.5), node("b", 0.5)],
        trust_links=trust,
    )
    # The inventory's probe saw it, and then it died.
    if trust:
        feed(tested, ev.Nodes((Node("dead", "unreachable", "down"),)))
    asked = told(begin(tested), ev.Claim)
    ends = []
    # Grows.
    for claim in asked:
        name = claim.attempt
        good = [
            ev.Claimed(name),
            ev.Synced(name),
            ev.Ended(name, None, "exit status 0", ""),
            ev.Fetched(name),
        ]
        out = feed(
            tested, *([ev.Failed(name, "unreachable", "down")] if claim.node == "dead" else good)
        )
        asked += told(out, ev.Claim)
        ends += told(out, ev.Finish)
    assert Counter(end.status for end in ends) == {"success": 20}
    assert [claim.node for claim in asked].count("dead") <= 1


def test_quarantine_grows_and_one_trial_reopens_it():
    tested = scheduler(
        [ev.PlacementSpec(f"job-{n}", Need(), attempts=9) for n in range(4)], [node("n", slots=4)]
    )
    out = begin(tested)
    now = 0.0
    assert len(told(out, ev.Claim)) == 4
    out = feed(tested, *[ev.Failed(claim.attempt, "sync", "full") for claim in told(out, ev.Claim)])
    # Four that fail together count once.
    for wait in (QUARANTINE, 2 * QUARANTINE, 4 * QUARANTINE):
        assert claims(feed(tested, now + wait - 0.1)) == []
        now += wait
        trial = told(feed(tested, now), ev.Claim)
        assert len(trial) == 1
        out = feed(tested, ev.Claimed(trial[0].attempt), ev.Nodes((node("n", slots=4),)), now=now)
        # That it answers is not enough: what failed was the sync.
        assert claims(out) == []
        out = feed(tested, ev.Failed(trial[0].attempt, "sync", "full"), now=now)
    now += 8 * QUARANTINE
    trial = told(feed(tested, now), ev.Claim)[0].attempt
    assert (
        len(claims(feed(tested, ev.Claimed(trial), ev.Synced(trial), ev.Started(trial), now=now)))
        == 3
    )


def test_a_trial_is_not_kept_waiting_by_jobs_of_others():
    assert claims(
        begin(scheduler(["a", "b"], [node("n", slots=4, busy=2)], trust_links=False))
    ) == [("a", "n")]


def test_class_start_goes_to_another_node_though_it_is_told_twice():
    out = begin(
        scheduler(["job"], [node("a", 0.1), node("b", 0.2)]),
        *SENT[1:],
        *[ev.Ended(A, "start", None, "no baseline")] * 2,
    )
    assert claims(out) == [("job", "a"), ("job", "b")]
    assert not told(out, ev.Fetch)


@pytest.mark.parametrize("need", [Need(node="a"), Need(nodes=frozenset({"a"}))])
def test_a_job_that_only_one_node_may_take_waits_for_it_and_tries_it_again(need):
    tested = scheduler([ev.PlacementSpec("job", need)], [node("a"), node("b")], fallback=LOCAL)
    out = begin(tested, ev.Failed(A, "unreachable", "down"))
    out += feed(tested, QUARANTINE, ev.Failed("2", "unreachable", "down"), now=QUARANTINE)
    assert claims(out + feed(tested, 2.5 * QUARANTINE)) == [("job", "a")] * 2
    out = feed(tested, 3 * QUARANTINE, ev.Failed("3", "unreachable", "gone"), now=3 * QUARANTINE)
    end = told(out, ev.Finish)[0]
    assert (end.status, end.failure, end.message) == ("failed", "unreachable", "a: gone")


# -- the local fallback


@pytest.mark.parametrize(
    ("nodes", "needs", "here"),
    [
        ([Node("n", "unreachable")], [Need(), Need()], 1),
        ([Node("n", "unreachable")], [Need(node="n")], 0),
        ([Node("n", "unreachable")], [Need(nodes=frozenset({"n"}))], 0),
        ([node("n", busy=2)], [Need()], 0),
        ([node("n")], [Need(node="local"), Need(node="local")], 1),
    ],
)
def test_the_controller_takes_one_job_when_no_node_can_and_never_a_pinned_one(nodes, needs, here):
    tested = scheduler(
        [ev.PlacementSpec(f"job-{n}", need) for n, need in enumerate(needs)], nodes, fallback=LOCAL
    )
    assert [host for _job, host in claims(begin(tested))] == ["localhost"] * here


def test_a_job_that_falls_back_says_why_each_node_could_not_take_it():
    tested = scheduler(
        ["job"], [Node("a", "unreachable", "down"), Node("b", online=False)], fallback=LOCAL
    )
    (place,) = told(begin(tested), ev.Assigned)
    assert (place.node, [(entry.host, entry.rejected) for entry in place.standing.ranking()]) == (
        "localhost",
        [("a", "not reachable: down"), ("b", "offline")],
    )


def test_sync_failed_on_all_nodes_falls_back_and_attempts_used_up_with_good_nodes_left_do_not():
    nodes = [node("a", 0.1), node("b", 0.2)]
    bad = [ev.Failed(A, "sync", ""), ev.Failed("2", "sync", "full")]
    assert claims(
        begin(scheduler([ev.PlacementSpec("job", Need(), 2)], nodes, fallback=LOCAL), *bad)
    )[2:] == [("job", "localhost")]
    out = begin(scheduler([ev.PlacementSpec("job", Need(), 1)], nodes, fallback=LOCAL), bad[0])
    assert [(end.failure, end.message) for end in told(out, ev.Finish)] == [("sync", "a: ")]
    out = begin(scheduler(["job"], nodes[:1], fallback=LOCAL, local_fallback=False), bad[0])
    assert claims(out) == [("job", "a")]


def test_an_attempt_that_may_have_started_and_a_fleet_that_is_only_silent_do_not_fall_back():
    tested = scheduler(["a", "b"], [node("n", slots=1)], fallback=LOCAL)
    out = begin(tested, *SENT[1:], ev.LinkDown("n", "gone"), ev.Unknown(A, ""), 99.0)
    assert claims(out) == [("a", "n")]
    out = feed(tested, 100.0)
    assert [(end.job, end.status) for end in told(out, ev.Finish)] == [("a", "lost")]
    assert claims(out) == [("b", "localhost")]


def test_a_busy_controller_is_waited_for_in_its_line():
    tested = scheduler([ev.PlacementSpec("job", Need(node="local"))], [], fallback=LOCAL)
    out = begin(tested, ev.Busy(A))
    assert (claims(out), told(out, ev.Enqueue)) == (
        [("job", "localhost")],
        [ev.Enqueue("localhost")],
    )
    assert claims(feed(tested, ev.Granted("localhost"))) == [("job", "localhost")]


# -- the lines of full nodes


def test_a_run_waits_in_the_lines_of_the_full_nodes_that_rank_first_and_claims_where_its_turn_comes():
    full = [
        node(f"n{number}", slots=4, busy=4, cpus=99 - number) for number in range(WAITLISTS, -1, -1)
    ]
    tested = scheduler(["a", "b"], full)
    out = begin(tested)
    assert [line.node for line in told(out, ev.Enqueue)] == [
        f"n{number}" for number in range(WAITLISTS)
    ] and not claims(out)
    out = feed(tested, ev.Granted("n3"))
    assert claims(out) == [("a", "n3")] and told(out, ev.Enqueue) == [ev.Enqueue("n3")]
    assert not claims(feed(tested, ev.Claimed(A, contended=True)))
    out = feed(tested, ev.Granted("n5"))
    assert claims(out) == [("b", "n5")]
    assert [line.node for line in told(out, ev.Dequeue)] == sorted(
        {f"n{number}" for number in range(WAITLISTS)} - {"n5"}
    )


def test_a_slot_that_the_run_gave_back_goes_to_those_who_wait_for_it():
    tested = scheduler(["a", "b"], [node("n", slots=1)])
    out = begin(tested, ev.Claimed(A, contended=True), ev.Synced(A), ev.Started(A), GOOD)
    assert (claims(out), told(out, ev.Enqueue)) == ([("a", "n")], [ev.Enqueue("n")])
    assert claims(feed(tested, ev.Granted("n"))) == [("b", "n")]


def test_a_turn_that_no_job_needs_any_more_is_given_back():
    tested = scheduler(["a"], [node(name, busy=2) for name in "nm"])
    began = begin(tested)
    granted = feed(tested, ev.Granted("n"))
    assert claims(granted) == [("a", "n")] and told(granted, ev.Dequeue) == [ev.Dequeue("m")]
    # It was on its way.
    late = feed(tested, ev.Granted("m"))
    assert told(late, ev.Dequeue) == [ev.Dequeue("m")]
    assert watched(began + granted) == watched(began + granted + late) == set()


def test_lines_for_other_jobs_keep_no_job_from_a_node_that_they_can_not_use():
    full = [
        node(f"n{number}", slots=1, busy=1, agents=frozenset({"claude"}))
        for number in range(WAITLISTS)
    ]
    other = [
        node("b", slots=1, busy=1, agents=frozenset({"codex"})),
        node("c", slots=1, busy=1, agents=frozenset()),
    ]
    work = [
        ev.PlacementSpec("claude", Need("claude")),
        ev.PlacementSpec("codex", Need("codex")),
        ev.PlacementSpec("pinned", Need(node="c")),
    ]
    lines = told(begin(scheduler(work, [*full, *other])), ev.Enqueue)
    assert {line.node for line in lines} == {each.name for each in (*full, *other)} and len(
        lines
    ) == WAITLISTS + 2


def test_a_line_that_breaks_off_is_a_node_that_does_not_answer():
    tested = scheduler(["job"], [node("n", busy=2)], fallback=LOCAL)
    assert told(begin(tested), ev.Enqueue)
    out = feed(tested, ev.LinkDown("n", "cut"))
    assert [(note.node, note.failures) for note in told(out, ev.Quarantine)] == [
        ("n", 1)
    ] and claims(out) == [("job", "localhost")]


def test_who_waits_for_the_first_answer_of_a_node_that_is_full_claims_nothing_there():
    tested = scheduler(["a", "b"], [node("n", slots=4)], trust_links=False)
    assert claims(begin(tested)) == [("a", "n")]
    assert claims(feed(tested, ev.Nodes((node("n", slots=4),)), ev.Busy(A))) == []


def test_jobs_of_its_own_are_no_reason_to_wait_in_a_line_and_a_detached_run_does_not_wait():
    assert not told(
        begin(scheduler(["a", "b", "c"], [node("n")]), ev.Claimed(A), ev.Claimed("2")), ev.Enqueue
    )
    assert not told(begin(scheduler(["a"], [node("n", busy=2)], detach=True)), ev.Enqueue)


# -- silence, loss, resume


def test_a_node_that_goes_silent_with_nothing_of_ours_on_it_is_tried_again_soon():
    tested = scheduler(["a", "b"], [node("n", slots=1)])
    assert claims(
        begin(
            tested, *SENT[1:], GOOD, ev.LinkDown("n", "late"), ev.Failed("2", "unreachable", "down")
        )
    )[1:] == [("b", "n")]
    assert claims(feed(tested, QUARANTINE)) == [("b", "n")]


def test_a_silent_node_with_jobs_has_each_reason_told_once_a_silence():
    tested = scheduler(["job"], [node("n")])
    began = begin(tested, *SENT[1:], ev.Started(A))
    out = feed(
        tested,
        *(ev.LinkDown("n", reason) for reason in ("cut", "newer store", "cut")),
        ev.LinkUp("n"),
        ev.LinkDown("n", "cut"),
    )
    notes = [note.text for note in told(began + out, ev.Note)]
    cut, newer = (
        f"no contact: {reason}; its jobs go on, asking again" for reason in ("cut", "newer store")
    )
    assert notes == [cut, newer, "back in contact", cut]


def test_a_fence_that_never_proves_anything_ends_as_lost_though_the_node_answers():
    tested = scheduler(["job"], [node("n")])
    begin(tested, *SENT[1:], ev.Unknown(A, "no reply"))
    out = []
    # Another store answers.
    for now in range(1, 101):
        out += feed(
            tested,
            ev.LinkUp("n"),
            ev.LinkDown("n", "another store"),
            ev.Unknown(A, "another store"),
            now=float(now),
        )
    assert [end.status for end in told(out, ev.Finish)] == ["lost"]


def test_two_fences_under_way_are_no_contradiction():
    tested = scheduler(["job"], [node("n")])
    out = begin(tested, *SENT[1:], ev.Unknown(A, ""), ev.LinkUp("n"))
    assert len(told(out, ev.Fence)) == 2
    feed(tested, ev.ProvedRunning(A), ev.ProvedRunning(A), GOOD)
    assert (
        told(feed(tested, ev.Fetched(A), ev.Unknown(A, "a third one")), ev.Finish)[0].status
        == "success"
    )


def test_resume_asks_before_anything_is_placed():
    tested = scheduler(["old-1", "old-2", "new"], [node("n", slots=3)])
    out = feed(
        tested,
        ev.Nodes((node("n", slots=3),)),
        ev.Found("x", "old-1", "n"),
        ev.Found("y", "old-2", "n"),
    )
    assert [type(command) for command in out if not isinstance(command, ev.Wake)] == [
        ev.Fence,
        ev.Fence,
    ]
    assert claims(feed(tested, ev.Tick())) == [("new", "n")]
    out = feed(tested, ev.ProvedRunning("x"), ev.ProvedVoid("y"))
    assert [type(command) for command in told(out, ev.Watch) + told(out, ev.Claim)] == [
        ev.Watch,
        ev.Claim,
    ]
    assert claims(out) == [("old-2", "n")]


# -- cancel, detach, a run that can't go on


def test_a_cancel_ends_what_runs_and_nothing_else_begins():
    tested = scheduler(["runs", "begins", "waits"], [node("n", slots=2)])
    begin(tested, *SENT[1:], ev.Started(A), ev.Claimed("2"))
    out = feed(tested, ev.Cancelled())
    assert [command.attempt for command in told(out, ev.Cancel)] == [A]
    assert [(end.job, end.status) for end in told(out, ev.Finish)] == [("waits", "cancelled")]
    out = feed(tested, ev.Synced("2"))
    assert told(out, ev.Release) and not told(out, ev.Start)
    assert [(end.job, end.status, end.failure) for end in told(out, ev.Finish)] == [
        ("begins", "cancelled", "cancelled")
    ]
    out = feed(tested, ev.Ended(A, "cancelled", None, "cancelled"), ev.Fetched(A))
    assert [(end.job, end.status, end.failure) for end in told(out, ev.Finish)] == [
        ("runs", "cancelled", "cancelled")
    ]
    assert told(out, ev.End)


def test_a_cancel_reaches_what_starts_just_then_and_nodes_that_come_back():
    tested = scheduler(["starts", "silent"], [node("a", 0.1, slots=1), node("b", 0.2, slots=1)])
    begin(
        tested,
        *SENT[1:],
        ev.Claimed("2"),
        ev.Synced("2"),
        ev.Started("2"),
        ev.LinkDown("b", "gone"),
    )
    assert {command.attempt for command in told(feed(tested, ev.Cancelled()), ev.Cancel)} == {
        A,
        "2",
    }
    assert [command.attempt for command in told(feed(tested, ev.Started(A)), ev.Cancel)] == [A]
    assert [command.attempt for command in told(feed(tested, ev.LinkUp("b")), ev.Cancel)] == ["2"]


def test_a_detached_run_ends_when_the_free_slots_are_used():
    tested = scheduler(["a", "b", "c"], [node("n", slots=2)], detach=True)
    out = begin(tested, *SENT[1:], ev.Started(A), ev.Claimed("2"), ev.Synced("2"))
    assert not told(out, ev.End)
    (end,) = told(feed(tested, ev.Started("2")), ev.End)
    left = {item.job: item for item in end.unfinished}
    assert {name: item.attempt for name, item in left.items()} == {"a": A, "b": "2", "c": None}
    assert "no free slot (2 of 2 taken)" in left["c"].reason


def test_a_detached_run_that_can_place_nothing_ends_at_once():
    tested = scheduler(["a"], [node("n", busy=2)], detach=True)
    (end,) = told(begin(tested), ev.End)
    assert [(item.job, item.attempt) for item in end.unfinished] == [("a", None)]


@pytest.mark.parametrize("kind", ["adopted", "record"])
def test_a_run_that_is_somebody_else_s_ends_at_once_and_costs_no_node_anything(kind):
    tested = scheduler(["a", "b", "c"], [node("n", slots=2)])
    out = begin(tested, ev.Refused(A, "refused", "input", "it is theirs", kind))
    assert {(end.job, end.failure, end.message) for end in told(out, ev.Finish)} == {
        ("a", "input", "it is theirs"),
        ("c", "input", "it is theirs"),
    }
    assert [end.job for end in told(feed(tested, ev.Claimed("2")), ev.Finish)] == [
        "b"
    ] and not tested._nodes["n"].failures


# -- ends


def test_a_success_without_proof_is_unproven_unless_that_is_accepted():
    for accept, status in [(False, "unproven"), (True, "success")]:
        tested = scheduler([ev.PlacementSpec("job", Need(), accept_unproven=accept)], [node("n")])
        out = begin(tested, *SENT[1:], ev.Ended(A, None, None, ""), ev.Fetched(A))
        assert [end.status for end in told(out, ev.Finish)] == [status]
        assert told(out, ev.Ack)
        assert told(out, ev.End)


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        (GOOD, ("failed", "deliver", "no branch")),
        (
            ev.Ended(A, "agent", None, "exit status 3"),
            ("failed", "agent", "exit status 3; no branch"),
        ),
    ],
)
def test_what_could_not_be_delivered_is_a_failure_and_its_work_is_at_home(ended, status):
    tested = scheduler(["a"], [node("n")])
    out = begin(tested, *SENT[1:], ended, ev.Fetched(A, "no branch"))
    (finish,) = told(out, ev.Finish)
    assert (finish.status, finish.failure, finish.message) == status and told(out, ev.Ack)


@pytest.mark.parametrize(("failure", "least", "most"), [("sync", 4, 4), ("unreachable", 5, 100)])
def test_a_fetch_is_tried_again_with_growing_pauses_and_given_up_as_harvest(failure, least, most):
    tested = scheduler(["job"], [node("n")], lost_after=100.0)
    out = begin(tested, *SENT[1:], ev.Ended(A, None, "exit status 0", "", {"workspace": "/w"}))
    now = 0.0
    tries = 1
    while not told(out := feed(tested, ev.Failed(A, failure, "cut"), now=now), ev.Finish):
        later = told(out, ev.Wake)[-1].at
        assert later > now
        now = later
        tries = tries + 1
        assert told(feed(tested, now), ev.Fetch)
    end = told(out, ev.Finish)[0]
    assert (end.status, end.failure) == ("failed", "harvest")
    assert "kept on n, the work in /w" in end.message
    assert least <= tries <= most
    # A node out of reach is given the time that its jobs are given.
    assert failure == "sync" or now >= 100.0


def test_a_burst_spreads_over_the_nodes():
    tested = scheduler(
        [f"job-{n}" for n in range(12)], [node(f"n{n}", 0.1 + n / 10, slots=4) for n in range(4)]
    )
    first = Counter(host for _job, host in claims(begin(tested)))
    assert first == {"n0": 3, "n1": 3, "n2": 3, "n3": 3}


@pytest.mark.parametrize("begun", [0.1, 1 / 3, 12345.678, 1e9 / 7])
def test_ticks_at_the_wake_time_alone_bring_a_run_to_its_end(begun):
    """Every node dies in the middle, nothing ever speaks unasked: only Wake moves the run on."""
    tested = scheduler([f"job-{n}" for n in range(9)], [node("a"), node("b")], lost_after=3600.0)
    now = begun
    events = [ev.Tick()]
    asked = 0
    ends = []
    for _time in range(500):
        out = feed(tested, *events, now=now)
        events = []
        ends = ends + told(out, ev.Finish)
        if told(out, ev.End):
            break
        for command in out:
            asked += isinstance(command, ev.Claim)
            if isinstance(command, ev.Claim):
                events.append(
                    ev.Claimed(command.attempt)
                    if asked < 4
                    else ev.Failed(command.attempt, "unreachable", "")
                )
            elif isinstance(command, ev.Sync):
                events.append(ev.Synced(command.attempt))
            elif isinstance(command, (ev.Start, ev.Fence)):
                events += [ev.LinkDown(command.node, ""), ev.Unknown(command.attempt, "")]
            elif isinstance(command, ev.Refresh):
                events.append(ev.Nodes(tuple(Node(name, "unreachable") for name in command.nodes)))
        if not events:
            wakes = told(out, ev.Wake)
            assert wakes, "stalled"
            assert wakes[-1].at > now
            now = wakes[-1].at
            events = [ev.Tick()]
    assert Counter(end.status for end in ends) == {"lost": 3, "failed": 6}
