# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler: an event and the time in, commands out.

It does no I/O, knows no clock, and uses no randomness of its own. Everything that decides about a
job lives here, so that tests and simulations drive the very code that a run uses. `handle` is how
it is driven; beside it there is only `waiting`, which looks and changes nothing.

Three rules hold it together:

* An attempt's stage changes in `_advance` alone, as the table in stages.py says; what follows from
  the stage that is reached stands in the method that is called `_reached_` and its name.
* A job gets another attempt only when the last one is `void`, which after `sent` only a proof can
  make it, or when it ended for want of quota or of a login. That is the first of the eight promises
  (docs/architecture.md), and it comes before every wish for speed.
* Whoever changes a NodeState calls `_mark_dirty` for it. `_reindex` then brings the orders of the
  nodes up to date and wakes the jobs that may go on.

How one call goes: `_apply` finds the method for the event's type; timers that are due run; jobs
whose answer may have changed are placed, until nothing is left that could be; then it is said
which nodes to watch, what to measure, and when to wake up.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatchmethod

from . import messages as ev
from .accounts import Accounts
from .contact import Contact
from .durations import spoken
from .nodes import CLOSED, SILENT, Candidates, NodeState, NodeTable
from .placement import DEFAULT_WEIGHTS, FREE, WAITS, Node, obstacle
from .queue import BusyService, JobClass, Queue, QueuedJob
from .stages import (
    BEFORE_THE_START,
    BEGINS,
    HOLDS_SLOT,
    MAY_RUN,
    STAGES,
    ProtocolError,
    TrackedAttempt,
)
from .timers import Timers
from .voices import Voices

# How old the measured loads may be while jobs wait, in seconds.
FRESH = 30.0

# On how many full nodes' waitlists jobs of one kind wait at once.
WAITLISTS = 16

# The first pause before a fetch is tried again, in seconds; each further one is twice as long, up
# to the second figure. A node that is merely out of reach is asked until `lost_after`; one that
# answers, and whose fetch fails, so many times.
FETCH_PAUSE = 2.0
FETCH_PAUSE_MOST = 60.0
FETCHES = 4

# The first pause of a job whose service is too busy, in seconds; each further one is twice as long.
# So many attempts may end by it, and so many seconds may go by, before the job has failed.
BUSY_PAUSE = 15.0
BUSY_TRIES = 5
BUSY_MOST = 1800.0

# How much longer than its limit an attempt may take, for its baseline and its harvest, before it is
# cancelled from here: so many seconds, and this share of the limit.
MARGIN = 15.0
MARGIN_SHARE = 0.25

# Kinds of `input` that say who drives the run. The job that meets one must not begin elsewhere: it
# may be somebody else's, who may have begun it.
OF_ANOTHER_RUN = frozenset({"adopted", "record"})

# Kinds of what a node refuses that only a person there can mend.
LASTING = frozenset({"home", "linger"})

# How often one node may call requests for one job a mistake of ours; then it gets no more of them.
MISTAKES = 2

# How soon a job may begin with one of its agents, the best first: a free node can run it now; a
# node when it has a slot, or answers again; a node that a person may have mended since an earlier
# run; this machine; a quarantined node; when its account comes back; not at all.
NOW, WITH_A_SLOT, ON_TRIAL, HERE, QUARANTINED, RESTS, HOPELESS = range(7)

# How many nodes people are told of, when they are told what a job waits for.
REASONS_SHOWN = 5


class Scheduler:
    """Decides where jobs go and what becomes of them.

    Nothing is placed before the first Tick, so that what earlier calls left can come first.
    """

    def __init__(
        self,
        work: Iterable[ev.PlacementSpec],
        nodes: Iterable[Node],
        new_id: Callable[[], str],
        *,
        fallback: Node | None = None,
        local_fallback: bool = True,
        lost_after: float = 3600.0,
        queue_timeout: float | None = None,
        weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        preferences: Mapping[str, Sequence[str]] | None = None,
        detach: bool = False,
        run_budget: float | None = None,
        day_budget: float | None = None,
    ) -> None:
        """work: the jobs, in their order. new_id: makes the id of an attempt.

        fallback: the controller itself, if it may take jobs; local_fallback: whether it also takes
        those that did not ask for it, when no node can. lost_after, queue_timeout: seconds.
        weights, preferences: as `rank` takes them. detach: end as soon as all that can begin runs.
        run_budget, day_budget: dollars after which nothing more begins; None for no limit.
        """
        self._new_id = new_id
        self._local_fallback = local_fallback
        self._lost_after = lost_after
        self._queue_timeout = queue_timeout
        self._weights = weights
        self._preferences = preferences or {}
        self._detach = detach
        self._run_budget = run_budget
        self._day_budget = day_budget

        # What there is.
        self._nodes = NodeTable(nodes, fallback, self._weights, self._preferences)
        self._jobs = {
            spec.name: QueuedJob(spec, (-spec.priority, number)) for number, spec in enumerate(work)
        }
        self._attempts: dict[str, TrackedAttempt] = {}

        # Attempts of earlier calls of which this one has not heard yet.
        self._unheard: set[str] = set()

        # Counts that would be slow to make anew: jobs that have not ended, attempts by stage.
        self._open = len(self._jobs)
        self._in_stage: Counter[str] = Counter()

        # The jobs that wait, and what they wait for beside a slot: accounts that rest, and the
        # controller's own network.
        self._queue = Queue()
        self._accounts = Accounts()
        self._contact = Contact()

        # Agent -> node on which it is not logged in -> what that says.
        self._logged_out: dict[str, dict[str, str]] = {}

        # Nodes that may run an attempt of ours, and those on whose waitlist we are or were granted
        # a slot. `_followed` are nodes that a Watch was ever due for, `_told_watched` those whose
        # newest word was Watch; `_watch_changed` are to be looked at when the call ends.
        self._may_run_on: set[str] = set()
        self._waits_on: set[str] = set()
        self._followed: set[str] = set()
        self._told_watched: set[str] = set()
        self._watch_changed: set[str] = set()

        # What nodes say of the whole run: the blame and the kind of what they refused.
        self._voices = Voices()

        # How the run stands: whether it has begun to place and has said End; whether the user
        # cancelled it; whether queue_timeout is over; and, once nothing more may begin, how jobs
        # end that have not begun (status, class, message).
        self._begun = False
        self._ended = False
        self._cancelling = False
        self._overdue = False
        self._stopped: tuple[str, str, str] | None = None

        # The call that is being handled: its time, the commands so far, the nodes that changed.
        self._now = 0.0
        self._commands: list[ev.Command] = []
        self._dirty: dict[NodeState, None] = {}

        self._timers = Timers()
        self._serial = itertools.count(1)
        self._refreshed_at = float("-inf")

        for job in self._jobs.values():
            self._enqueue(job)

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Everything that follows from this event. Raises ProtocolError."""
        self._commands = []
        self._now = now

        self._apply(event)
        self._timers.run_due(now)
        self._reindex()

        self._place_jobs()
        self._leave_waitlists()

        self._say_whom_to_watch()
        self._refresh_loads()
        self._end_or_wake()
        return self._commands

    def waiting(self) -> list[tuple[str, ev.Standing]]:
        """The jobs that wait, with how the nodes stand for each now."""
        return [(job.name, self._standing(job)) for job in self._queue]

    # -- what a call ends with

    def _place_jobs(self) -> None:
        """Try what may have got another answer, until nothing has any more."""
        if not self._begun:
            return
        while (job_class := self._queue.next()) is not None:
            job_class.ready = self._place_first(job_class)
            self._reindex()

    def _leave_waitlists(self) -> None:
        if not self._waits_on or len(self._queue):
            return
        for name in sorted(self._waits_on):
            self._set_waitlist(self._nodes[name])
            self._emit(ev.Dequeue(name))
        self._reindex()

    def _say_whom_to_watch(self) -> None:
        for name in sorted(self._watch_changed):
            wanted = name in self._may_run_on or name in self._waits_on
            if wanted and name in self._followed and name not in self._told_watched:
                self._told_watched.add(name)
                self._emit(ev.Watch(name))
            elif not wanted and name in self._told_watched:
                self._told_watched.discard(name)
                self._emit(ev.Unwatch(name))
        self._watch_changed.clear()

    def _refresh_loads(self) -> None:
        """While jobs wait, loads that are older than FRESH are measured anew."""
        if not len(self._queue) or self._now < self._refreshed_at + FRESH:
            return

        # The first time the nodes have just been measured by the inventory.
        is_first_time = self._refreshed_at == float("-inf")
        self._refreshed_at = self._now
        if not is_first_time:
            self._emit(ev.Refresh(self._names_that_are_not_silent()))

    def _end_or_wake(self) -> None:
        if self._ended:
            return

        if not self._open:
            self._ended = True
            self._emit(ev.End())
        elif self._may_detach():
            self._ended = True
            self._emit(ev.End(self._unfinished()))
        else:
            self._wake_up_in_time()

    def leave(self) -> ev.End:
        """The call of the run ends here; jobs that have not ended are left to themselves."""
        self._ended = True
        return ev.End(self._unfinished())

    def _may_detach(self) -> bool:
        """What is left either runs or can't be placed now, for that has just been tried."""
        if not self._detach or not self._begun:
            return False
        # What an earlier call left may have ended, and then it is brought home first.
        asked = (self._nodes[self._attempts[attempt].node] for attempt in self._unheard)
        if any(state.silent_since is None for state in asked):
            return False
        return not any(self._in_stage[stage] for stage in (*BEGINS, "ended"))

    def _unfinished(self) -> tuple[ev.Unfinished, ...]:
        going_on = {attempt.job: attempt for attempt in self._that_may_run()}
        unfinished = []
        for job in self._jobs.values():
            attempt = going_on.get(job.name)
            if job.done:
                continue
            if attempt is not None:
                unfinished.append(ev.Unfinished(job.name, attempt.id, attempt.node, ""))
            else:
                unfinished.append(ev.Unfinished(job.name, None, None, self._reasons(job)))
        return tuple(unfinished)

    def _wake_up_in_time(self) -> None:
        times = []
        next_timer = self._timers.next()
        if next_timer is not None:
            times.append(next_timer)
        if len(self._queue):
            times.append(self._refreshed_at + FRESH)
        if times:
            self._emit(ev.Wake(min(times)))

    # -- events

    @singledispatchmethod
    def _apply(self, event: object) -> None:
        """The method for this type of event."""
        raise ProtocolError(f"no such event: {event!r}")

    @_apply.register
    def _on_tick(self, _event: ev.Tick) -> None:
        if not self._begun and self._queue_timeout is not None:
            self._timers.add(self._now + self._queue_timeout, self._end_waiting)
        self._begun = True

    def _end_waiting(self) -> None:
        """queue_timeout is over: each job that waits is told so when it is tried next."""
        self._overdue = True
        self._queue.wake_all()

    @_apply.register
    def _on_nodes(self, event: ev.Nodes) -> None:
        for node in event.nodes:
            self._on_measured(self._mark_dirty(node.name), node)
        self._contact.on_all_asked()
        self._queue.wake_all()

    def _on_measured(self, state: NodeState, node: Node) -> None:
        # Our own attempts are counted as in flight.
        state.node = replace(node, busy=max(0, node.busy - state.may_run))

        if node.state == "measured":
            self._on_contact(state)
            state.proved = state.proved or not state.failures
            return

        # A node that was known to work, or that was asked whether it is us who are offline, gets a
        # quarantine and a trial. One that never worked in this run is merely unreachable.
        was_asked = state.proved or self._contact.is_asking(self._now)
        if node.state == "unreachable" and state.silent_since is None and was_asked:
            state.node = replace(state.node, state="unknown")
            self._on_failure(state, "unreachable", node.reason or "not reachable")

    def expects(self, event: ev.AttemptEvent) -> bool:
        """Whether the attempt is at a stage where a node can say this of it."""
        attempt = self._attempts.get(event.attempt)
        if attempt is None or attempt.stage in BEFORE_THE_START:
            return False
        return event.word in STAGES[attempt.stage]

    @_apply.register
    def _on_link_up(self, event: ev.LinkUp) -> None:
        state = self._mark_dirty(event.node)
        if state.silent_since is not None or state.doubted:
            self._emit(ev.Note("wait", "back in contact", node=state.name))
        self._on_contact(state)

        # What could not be said while it was silent is said now.
        for attempt in state.live.values():
            if attempt.stage == "fencing":
                self._emit(ev.Fence(attempt.id, attempt.node))
            elif attempt.stage == "running" and self._is_to_end(attempt):
                self._emit(ev.Cancel(attempt.id, attempt.node))

    @_apply.register
    def _on_link_down(self, event: ev.LinkDown) -> None:
        self._lose_contact(event.node, event.reason)
        state = self._nodes[event.node]
        # What a person has to mend gets no trial. Where jobs may run it is asked again, though.
        if event.lasting and not state.may_run:
            state.silent_since = None
            state.node = replace(state.node, state="unreachable", reason=event.reason)

    def _lose_contact(self, node: str, reason: str) -> None:
        state = self._mark_dirty(node)
        self._set_waitlist(state)
        # Whether others wait there, a claim will tell.
        state.contended = False

        state.doubted = False
        if state.silent_since is None:
            state.silent_since = self._now
            state.silence_reasons = []
            self._give_up_later(state, self._now)

        # Each reason is told once a silence.
        if reason in state.silence_reasons:
            return
        state.silence_reasons.append(reason)
        if state.may_run:
            text = f"no contact: {reason}; its jobs go on, asking again"
            self._emit(ev.Note("wait", text, node=node))

    def _doubt(self, attempt: TrackedAttempt, event: ev.Late) -> None:
        """It may be dead: what it has not begun goes elsewhere, and it gets nothing more."""
        state = self._mark_dirty(attempt.node)
        text = f"no answer for {spoken(event.seconds)}: it gets no job until it answers"
        if not state.doubted:
            self._emit(ev.Note("place", text, attempt.job, attempt.node))
        state.doubted = True
        self._set_waitlist(state)

    @_apply.register
    def _on_granted(self, event: ev.Granted) -> None:
        self._set_waitlist(self._nodes[event.node], granted=True)

    @_apply.register
    def _on_found(self, event: ev.Found) -> None:
        self._queue.remove(self._jobs[event.job])
        attempt = TrackedAttempt(event.attempt, event.job, event.node)
        self._attempts[attempt.id] = attempt
        self._unheard.add(attempt.id)
        self._advance(attempt, "found")

    @_apply.register
    def _on_quarantined(self, event: ev.Quarantined) -> None:
        state = self._mark_dirty(event.node)
        state.failures = event.failures
        state.closed_until = self._now + event.seconds
        state.why = event.why
        state.inherited = True
        self._look_again_at(state, state.closed_until)

    @_apply.register
    def _on_cancelled(self, _event: ev.Cancelled) -> None:
        self._cancelling = True
        self._stop("cancelled", "cancelled", "cancelled before it began")
        for attempt in self._that_may_run():
            self._emit(ev.Cancel(attempt.id, attempt.node))

    @_apply.register
    def _on_spent(self, event: ev.Spent) -> None:
        """What is spent is spent, whoever says so: here one node's word counts for all jobs.

        To go on would spend twice what was allowed where the node is right. Where it lies, jobs
        that have not begun are left for the run to be called again.
        """
        for spent, budget, whose in (
            (event.run, self._run_budget, "the run's budget"),
            (event.day, self._day_budget, "the budget of this day"),
        ):
            if budget is not None and spent >= budget and self._stopped is None:
                text = f"{whose} is used up: ${spent:.2f} of ${budget:.2f}"
                if event.by:
                    text += f" ({event.by})"
                if self._open:
                    self._emit(ev.Note("place", f"{text}; nothing more begins"))
                self._stop("failed", "budget", f"not begun: {text}")

    @_apply.register
    def _on_attempt_event(self, event: ev.AttemptEvent) -> None:
        attempt = self._attempts[event.attempt]
        self._unheard.discard(attempt.id)
        if isinstance(event, ev.Unknown) and event.contact_lost:
            self._lose_contact(attempt.node, event.message)
        if isinstance(event, ev.Late):
            self._doubt(attempt, event)

        # A run that was stopped starts nothing more: whatever got ready for a start is given back.
        word = event.word
        if self._stopped is not None and word in ("claimed", "synced"):
            word = "stopped"
        self._advance(attempt, word, event)

    # -- the moves of an attempt

    def _advance(
        self, attempt: TrackedAttempt, word: str, event: ev.AttemptEvent | None = None
    ) -> None:
        """One move along the table, and what follows from it.

        event: what moved it; None: the scheduler itself did.
        """
        before = attempt.move(word)
        state = self._mark_dirty(attempt.node)

        came_to_nothing = attempt.stage in ("void", "fencing")
        if came_to_nothing and isinstance(event, ev.Refused | ev.Failed | ev.Unknown):
            attempt.cause = event

        if attempt.stage == before:
            if before in STAYED:
                STAYED[before](self, attempt, event)
            return

        self._count_stage(attempt, state, before)
        REACHED[attempt.stage](self, attempt, event, before)

        # The node has answered a claim. (A claim that was withdrawn never went out.)
        if before == "reserved" and event is not None:
            self._answer_held(state)

    def _count_stage(self, attempt: TrackedAttempt, state: NodeState, before: str) -> None:
        """Keep the counts and sets that follow from the attempts' stages."""
        after = attempt.stage
        self._in_stage[before] -= 1
        self._in_stage[after] += 1

        if before in BEGINS:
            state.begins -= 1
        if after in BEGINS:
            state.begins += 1

        if before in MAY_RUN:
            state.may_run -= 1
        if after in MAY_RUN:
            state.may_run += 1
        self._keep(self._may_run_on, state, bool(state.may_run))

        if after in HOLDS_SLOT:
            state.live[attempt.id] = attempt
        else:
            state.live.pop(attempt.id, None)

        # Only an attempt that may run has to be given up after a while.
        if after == "fencing":
            attempt.since = self._now
            self._give_up_later(state, self._now)
        elif after in MAY_RUN and before not in MAY_RUN and state.silent_since is not None:
            self._give_up_later(state, state.silent_since)

    def _reached_reserved(
        self, attempt: TrackedAttempt, _event: ev.AttemptEvent | None, _before: str
    ) -> None:
        """`_reserve` says the rest: only it knows why this node was chosen."""

    def _reached_claimed(
        self, attempt: TrackedAttempt, event: ev.AttemptEvent | None, _before: str
    ) -> None:
        """It has a slot and a workspace: send the project."""
        state = self._nodes[attempt.node]
        self._on_contact(state)
        # After a failure a start must show that the node works again.
        state.proved = state.proved or not state.failures

        if isinstance(event, ev.Claimed):
            state.contended = event.contended
            if event.store is not None:
                state.store = event.store
                state.twin = self._nodes.first_of_store(event.store, state)

        self._emit(ev.Sync(attempt.id, attempt.job, attempt.node))

    def _reached_sent(
        self, attempt: TrackedAttempt, _event: ev.AttemptEvent | None, _before: str
    ) -> None:
        """Promise 1 rests on this order: that it was sent is on disk before the start goes out."""
        self._emit(self._record(attempt), ev.Start(attempt.id, attempt.job, attempt.node))

    def _reached_running(
        self, attempt: TrackedAttempt, _event: ev.AttemptEvent | None, _before: str
    ) -> None:
        self._on_success(self._nodes[attempt.node])
        self._emit(self._record(attempt))
        self._follow(attempt.node)
        self._end_in_time(attempt)
        if self._is_to_end(attempt):
            self._emit(ev.Cancel(attempt.id, attempt.node))

    def _is_to_end(self, attempt: TrackedAttempt) -> bool:
        """Whether its node is to end it, should it run."""
        return self._cancelling or attempt.overdue_since is not None

    def _end_in_time(self, attempt: TrackedAttempt) -> None:
        """Its time begins when it is first heard that it runs, and is counted once."""
        limit = self._jobs[attempt.job].spec.limit
        if limit is None or attempt.is_timed:
            return
        attempt.is_timed = True
        seconds = limit * (1 + MARGIN_SHARE) + MARGIN
        self._timers.add(self._now + seconds, lambda: self._end_overdue(attempt))

    def _end_overdue(self, attempt: TrackedAttempt) -> None:
        """A node that works ends what takes too long. One that does not is not waited for."""
        if attempt.stage not in MAY_RUN:
            return
        attempt.overdue_since = self._now
        text = "it is said to run although its time limit is over: it is cancelled"
        self._emit(ev.Note("wait", text, attempt.job, attempt.node))
        self._emit(ev.Cancel(attempt.id, attempt.node))
        self._give_up_later(self._nodes[attempt.node], self._now)

    def _stayed_running(self, attempt: TrackedAttempt, _event: ev.AttemptEvent | None) -> None:
        self._on_success(self._nodes[attempt.node])

    def _reached_fencing(
        self, attempt: TrackedAttempt, _event: ev.AttemptEvent | None, _before: str
    ) -> None:
        """Ask for a proof at once when the node answers; a silent one is asked when it is back."""
        if self._nodes[attempt.node].silent_since is None:
            self._emit(ev.Fence(attempt.id, attempt.node))
        else:
            self._follow(attempt.node)

    def _stayed_fencing(self, attempt: TrackedAttempt, event: ev.AttemptEvent | None) -> None:
        """A late Started is no proof of anything: the fence that is under way will tell."""
        if not isinstance(event, ev.Started):
            self._reached_fencing(attempt, event, "fencing")

    def _reached_ended(
        self, attempt: TrackedAttempt, event: ev.AttemptEvent | None, _before: str
    ) -> None:
        """Its harvest is fetched, whatever it is worth."""
        if not isinstance(event, ev.Ended):
            raise ProtocolError(f"attempt {attempt.id} ended by {event!r}")

        attempt.ended = event
        attempt.since = self._now
        self._jobs[attempt.job].spent += event.cost
        state = self._nodes[attempt.node]
        account = self._jobs[attempt.job].spec.account
        self._on_success(state)
        if event.failure == "login":
            self._avoid_without_login(self._jobs[attempt.job], state, event.message)
        elif event.failure == "quota" and event.kind == "credit":
            self._doubt_credit(account, state, event)
        elif event.failure == "quota" and event.kind != "busy":
            self._doubt_account(account, state, event)
        elif self._accounts.on_quota_left(account, state.name, self._now):
            self._queue.wake_all()

        self._emit(self._record(attempt), ev.Fetch(attempt.id, attempt.job, attempt.node))

    def _stayed_ended(self, attempt: TrackedAttempt, event: ev.AttemptEvent | None) -> None:
        """A fetch that failed is tried again after a pause, until that makes no sense any more."""
        if not isinstance(event, ev.Failed):
            return

        attempt.failed_fetches += 1
        is_late = self._now - attempt.since >= self._lost_after
        has_tried_enough = event.failure != "unreachable" and attempt.failed_fetches >= FETCHES
        if event.failure == "harvest":
            # It is too large, or no harvest at all: another try would bring the same.
            has_tried_enough = True
        if is_late or has_tried_enough:
            result = attempt.ended.result if attempt.ended else {}
            message = (
                f"the harvest could not be fetched ({event.message}); it is kept on "
                f"{attempt.node}, the work in {result.get('workspace', 'its store')}"
            )
            self._finish(attempt, "failed", "harvest", message)
            return

        text = f"{event.message}; trying again"
        self._emit(ev.Note("fetch", text, attempt.job, attempt.node))
        pause = FETCH_PAUSE * 2 ** (attempt.failed_fetches - 1)
        fetch = ev.Fetch(attempt.id, attempt.job, attempt.node)
        self._timers.add(self._now + min(pause, FETCH_PAUSE_MOST), lambda: self._emit(fetch))

    def _reached_fetched(
        self, attempt: TrackedAttempt, event: ev.AttemptEvent | None, _before: str
    ) -> None:
        """Its work is at home: its job ends or gets another attempt, and the node may forget it."""
        if attempt.ended is None or not isinstance(event, ev.Fetched):
            raise ProtocolError(f"attempt {attempt.id} was fetched and never ended")

        self._go_on_after(attempt, attempt.ended, event.undelivered)
        # Last, so that the job's end is on record before the node is told.
        self._emit(ev.Ack(attempt.id, attempt.node))

    def _go_on_after(self, attempt: TrackedAttempt, ended: ev.Ended, undelivered: str) -> None:
        """undelivered: why the branch that was asked for could not be made; blank: it could."""
        job = self._jobs[attempt.job]
        if ended.failure == "quota" and ended.kind == "busy":
            if self._wait_for_service(job, ended):
                self._try_again(job, attempt, ended)
                return
        elif ended.failure in ("quota", "login"):
            job.used += 1
            if self._may_try_again(job):
                self._try_again(job, attempt, ended)
                return

        if ended.failure == "cancelled" and attempt.overdue_since is not None:
            message = "it was said to run after its time limit, and was ended by a cancel"
            message = "; ".join(filter(None, (message, undelivered)))
            self._finish(attempt, "failed", "timeout", message)
        elif ended.failure:
            message = "; ".join(filter(None, (ended.message, undelivered)))
            status = "cancelled" if ended.failure == "cancelled" else "failed"
            self._finish(attempt, status, ended.failure, message)
        elif undelivered:
            self._finish(attempt, "failed", "deliver", undelivered)
        elif ended.proof or (job.spec.accept_unproven and not ended.forged):
            self._finish(attempt, "success", None, ended.message)
        else:
            message = ended.message or "nothing shows that the agent succeeded"
            self._finish(attempt, "unproven", None, message)

    def _try_again(self, job: QueuedJob, attempt: TrackedAttempt, ended: ev.Ended) -> None:
        """The job waits for another attempt; if it gets none, it has ended as this one did."""
        job.last_attempt = attempt.id
        job.last_node = attempt.node
        job.last_failure = (ended.failure or "agent", f"{attempt.node}: {ended.message}")
        self._enqueue(job)

    def _wait_for_service(self, job: QueuedJob, ended: ev.Ended) -> bool:
        """The service has too much to do: whether the job waits for it, which costs no attempt.

        With several agents it goes on meanwhile with the next that a free node can run, and leaves
        a service that was too busy too often alone for good.
        """
        account = job.spec.account
        service = job.busy.setdefault(account, BusyService(since=self._now))
        service.tries += 1
        pause = BUSY_PAUSE * 2.0 ** (service.tries - 1)
        if ended.pause is not None:
            pause = max(pause, ended.pause)

        is_late = self._now + pause > service.since + BUSY_MOST
        is_given_up = service.tries >= BUSY_TRIES or is_late
        service.until = float("inf") if is_given_up else self._now + pause
        others = {choice.account for choice in job.spec.all_choices} - {account}
        may_others = any(job.busy_until(other) != float("inf") for other in others)
        if not self._may_try_again(job) or (is_given_up and not may_others):
            return False

        until = f"the job is tried again in {spoken(pause)}"
        if is_given_up:
            until = "the job is tried with it no more"
        else:
            self._timers.add(service.until, self._queue.wake_all)
        if others:
            until += ", and goes on with another of its agents where a node can take it"
        text = f"the service of {account} is busy: {until} ({ended.message})"
        self._emit(ev.Note("place", text, job.name))
        return True

    def _may_try_again(self, job: QueuedJob) -> bool:
        if self._stopped is not None or job.done:
            return False
        budget = job.spec.budget_usd
        if budget is not None and job.spent >= budget:
            return False
        return not job.exhausted and not job.spec.no_more

    def _reached_lost(
        self, attempt: TrackedAttempt, event: ev.AttemptEvent | None, _before: str
    ) -> None:
        """Promise 1 comes before patience: it may run, so its job is never placed elsewhere."""
        self._emit(self._record(attempt))
        if isinstance(event, ev.Misplaced):
            self._finish(attempt, "lost", "lost", event.message)
            return
        silence = spoken(self._now - attempt.since)
        message = f"no answer from {attempt.node} for {silence}; the job may still run there"
        if attempt.overdue_since is not None:
            message = (
                f"its time limit is over, and for {silence} {attempt.node} has not proved "
                "that it ended; the job may still run there"
            )
        self._finish(attempt, "lost", "lost", message)

    def _reached_void(
        self, attempt: TrackedAttempt, event: ev.AttemptEvent | None, before: str
    ) -> None:
        """It certainly did not start: the claim is given back, and the job may go elsewhere."""
        job = self._jobs[attempt.job]
        state = self._nodes[attempt.node]
        self._emit(self._record(attempt))

        # A node that said no has kept nothing for the claim; one that said nothing may have.
        no_clear_no = isinstance(event, ev.Claimed | ev.Failed | ev.Unknown)
        if before == "claimed" or (before == "reserved" and no_clear_no):
            self._emit(ev.Release(attempt.id, attempt.node))

        if isinstance(event, ev.Ended):
            attempt.ended = event
            attempt.cause = ev.Refused(attempt.id, "start", "node", event.message)
        if isinstance(event, ev.Busy):
            state.contended = True
        failure = self._blame(attempt, job, state, before)

        if self._stopped is not None:
            self._end_job(job, ev.Finish(job.name, *self._stopped))
        elif not job.done and job.spec.no_more:
            self._finish(attempt, "lost", "lost", job.spec.no_more)
        elif not job.done:
            self._enqueue(job)

        # Last, for it may forgive the job that was just put back.
        if failure is not None:
            self._on_failure(state, *failure)

    def _blame(
        self, attempt: TrackedAttempt, job: QueuedJob, state: NodeState, before: str
    ) -> tuple[str, str] | None:
        """Who answers for a void attempt: the node, the input, we ourselves, or nobody.

        Returns what counts against the node, its class and why; None: nothing does.
        """
        cause = attempt.cause
        if isinstance(cause, ev.Refused) and cause.kind == "lease":
            # The controller slept, or the claim took too long to be used: nobody's fault.
            state.busy_until = self._now + 1.0
            self._look_again_at(state, state.busy_until)
            return None

        if isinstance(cause, ev.Refused) and cause.kind == "login":
            # It is a person's to mend, and no fault of the node's for other agents.
            self._avoid_without_login(job, state, cause.message)
            job.last_failure = ("login", f"{state.name}: {cause.message}")
            return None

        if isinstance(cause, ev.Refused) and cause.kind == "agent" and job.spec.choices:
            # Another of its agents may do it there.
            agent = job.spec.need.agent
            self._emit(ev.Note("place", f"no {agent}: {cause.message}", job.name, state.name))
            job.unusable_on.setdefault(agent, {})[state.name] = cause.message
            job.last_failure = (cause.failure, f"{state.name}: {cause.message}")
            return None

        if isinstance(cause, ev.Refused) and cause.blame in ("input", "ours"):
            self._count_refusal(attempt, job, state, cause)
            return None

        # An attempt of an earlier call, which broke off before the start went out, is no failure.
        if self._stopped is not None or (cause is None and before != "sent"):
            return None
        return self._blame_node(attempt, job, state, before)

    def _count_refusal(
        self, attempt: TrackedAttempt, job: QueuedJob, state: NodeState, cause: ev.Refused
    ) -> None:
        """The node says that it is not its fault: that costs the job this node, and no attempt.

        The run ends by it when this controller knows it by itself, or when two nodes agree: going
        on would only repeat it. One node alone may be wrong, or lie.
        """
        failure = "input"
        message = cause.message
        kind = cause.kind or cause.failure
        if cause.blame == "ours":
            failure = "refused"
            message = f"this is a fault of distributed.gummy: {message}"

        saying = (cause.blame, kind)
        self._voices.add(saying, state.name, cause.store or state.store)
        if cause.certain or self._voices.agree(saying):
            self._stop("failed", failure, message)
            return

        if cause.blame == "input" and kind in OF_ANOTHER_RUN and not job.done:
            self._disown(state, message)
            self._finish(attempt, "failed", failure, message)
        elif cause.blame == "input" or self._repeats_a_mistake(job, state, kind):
            self._emit(ev.Note("place", f"{failure}: {message}", job.name, state.name))
            job.refused_on[state.name] = message
            job.last_failure = (failure, f"{state.name}: {message}")

    def _repeats_a_mistake(self, job: QueuedJob, state: NodeState, kind: str) -> bool:
        """The first mistake of ours of each kind is forgiven, for it may have been a bad moment."""
        job.mistakes[state.name] += 1
        state.mistakes[kind] += 1
        return state.mistakes[kind] > 1 or job.mistakes[state.name] > MISTAKES

    def _disown(self, state: NodeState, message: str) -> None:
        """The node says that the run is somebody else's: it gets no more jobs if others can."""
        others = (other for other in self._nodes if other is not state and not other.disowned)
        if any(other.node.excluded is None for other in others):
            state.disowned = message
            self._mark_dirty(state.name)

    def _blame_node(
        self, attempt: TrackedAttempt, job: QueuedJob, state: NodeState, before: str
    ) -> tuple[str, str] | None:
        cause = attempt.cause
        failure = "unreachable"
        message = "no contact before the start"
        if cause is not None:
            message = cause.message
        if isinstance(cause, ev.Refused | ev.Failed):
            failure = cause.failure
        self._emit(ev.Note("place", f"{failure}: {message}", attempt.job, attempt.node))

        # What was on its way when the node failed costs its job nothing.
        if before not in ("reserved", "claimed") or not state.closed(self._now):
            job.used += 1
        job.failed_on[attempt.node] = message
        job.last_failure = (failure, f"{attempt.node}: {message}")

        # What a person has to mend gets no trial.
        is_lasting = isinstance(cause, ev.Refused) and cause.kind in LASTING
        if is_lasting or (isinstance(cause, ev.Failed) and cause.lasting):
            state.node = replace(state.node, state="unreachable", reason=message)
            return None
        return failure, message

    def _doubt_account(self, account: str, state: NodeState, ended: ev.Ended) -> None:
        """The account is used up, not the node, if another node says so too.

        Jobs of other accounts go on in any case.
        """
        if ended.pause is not None:
            seconds = max(ended.pause, 1.0)
        else:
            seconds = self._accounts.pause_of(account, state.name, self._now)

        until = self._now + seconds
        avoided = self._accounts.avoided(account, self._now)
        was_resting = self._accounts.rests(account, self._now)
        rests = self._accounts.on_quota(account, state.name, state.store, until, self._now)
        self._timers.add(until, self._queue.wake_all)
        if state.name in avoided or (rests and was_resting and len(avoided) > 1):
            return

        if rests:
            until = self._accounts.rests_until(account)
            self._timers.add(until, self._queue.wake_all)
        text = (
            f"the account {account} has no quota left: its jobs wait for "
            f"{spoken(until - self._now)}"
        )
        if not rests:
            text += f" for {state.name}, and one of them tries another node"
        self._emit(ev.Note("place", f"{text} ({ended.message})", until=until))

    def _doubt_credit(self, account: str, state: NodeState, ended: ev.Ended) -> None:
        """The account is out of credits, if another node says so too; no time brings them back."""
        is_news = state.name not in self._accounts.spent_on(account)
        self._accounts.on_credit(account, state.name, state.store, ended.message)
        self._queue.wake_all()
        if is_news:
            text = f"the account {account} is out of credits, as {state.name} says"
            if self._accounts.why_spent(account):
                text = f"the account {account} is out of credits: its jobs end"
            self._emit(ev.Note("place", f"{text} ({ended.message})"))

    def _avoid_without_login(self, job: QueuedJob, state: NodeState, message: str) -> None:
        """The job's agent is not logged in on this node: it gets no more jobs of that agent."""
        agent = job.spec.need.agent
        nodes = self._logged_out.setdefault(agent, {})
        if state.name not in nodes:
            text = f"{agent} is not logged in there: other nodes are tried ({message})"
            self._emit(ev.Note("place", text, node=state.name))
        nodes[state.name] = message
        self._queue.wake_all()

    # -- nodes that answer, fail, or give no answer

    def _mark_dirty(self, name: str) -> NodeState:
        """The state of a node that changes, or may have changed."""
        state = self._nodes[name]
        self._dirty[state] = None
        return state

    def _look_again_at(self, state: NodeState, when: float) -> None:
        """At this time the node's state may have changed by itself."""
        self._timers.add(when, lambda: self._mark_dirty(state.name))

    def _reindex(self) -> None:
        """Bring the order of the nodes up to date, and wake the jobs that may go on."""
        while self._dirty:
            state, _none = self._dirty.popitem()

            # A silent node on which nothing may run gets a quarantine and a trial: nobody asks it.
            if state.silent_since is not None and not state.may_run:
                state.silent_since = None
                self._on_failure(state, "unreachable", state.silence_reasons[-1])
                self._dirty.pop(state, None)

            self._nodes.changed(state, self._now)
            for candidates in state.candidates:
                if candidates.woken:
                    candidates.woken = False
                    self._queue.wake(candidates)
            if state is self._nodes.fallback:
                self._queue.wake_all()

    def _on_contact(self, state: NodeState) -> None:
        """The node has answered."""
        state.on_contact()
        if self._contact.on_answer():
            self._emit(ev.Note("place", "a node answers again"))
            self._queue.wake_all()

    def _on_success(self, state: NodeState) -> None:
        """A job has begun on the node."""
        if state.failures:
            self._emit(ev.Quarantine(state.name, 0, 0.0, ""))
        state.on_success()
        self._on_contact(state)

    def _on_failure(self, state: NodeState, failure: str, why: str) -> None:
        """Something did not work on the node, and it is not known to be anybody else's fault."""
        failures_before = state.failures
        state.on_failure(failure, f"{failure}: {why}", self._now)
        self._look_again_at(state, state.closed_until)

        # There is no other controller to try instead.
        if state is self._nodes.fallback:
            return

        if failure == "unreachable":
            self._contact.on_no_answer(state.name)
        failed_alike = self._nodes.all_fail_alike(failure)
        if failed_alike:
            self._forgive(failed_alike, failure, why)
        elif state.failures > failures_before:
            pause = state.closed_until - self._now
            self._emit(ev.Quarantine(state.name, state.failures, pause, state.why))
            if self._contact.is_doubtful(self._now):
                self._ask_all_nodes()

    def _ask_all_nodes(self) -> None:
        """Several nodes gave no answer, and none did meanwhile: is it us who are offline?"""
        until = self._contact.ask(self._now)
        self._timers.add(until, self._queue.wake_all)
        self._emit(ev.Refresh(self._names_that_are_not_silent()))

    def _names_that_are_not_silent(self) -> tuple[str, ...]:
        """Nodes that may be measured; a silent one is asked by who watches it."""
        return tuple(state.name for state in self._nodes if state.silent_since is None)

    def _forgive(self, states: Sequence[NodeState], failure: str, why: str) -> None:
        """All nodes fail alike: none of them is blamed, and an offline controller costs nothing."""
        if any(state.failures == 1 for state in states):
            text = f"all nodes fail alike ({failure}: {why}): the fault may lie here, not with them"
            self._emit(ev.Note("place", text))

        is_offline = failure == "unreachable"
        if is_offline and self._contact.go_offline(self._now):
            self._timers.add(self._now + self._lost_after, self._queue.wake_all)

        for state in states:
            state.failures = 0 if is_offline else min(state.failures, 1)
            if not state.failures:
                state.closed_until = 0.0
            self._emit(ev.Quarantine(state.name, 0, 0.0, ""))
            self._mark_dirty(state.name)

        if is_offline:
            self._forget_failures_on({state.name for state in states})

    def _forget_failures_on(self, names: Collection[str]) -> None:
        """The waiting jobs get back the attempts that these nodes cost them."""
        for job in list(self._queue):
            forgiven = job.failed_on.keys() & names
            if not forgiven:
                continue
            self._queue.remove(job)
            job.used -= min(len(forgiven), job.used)
            for name in forgiven:
                del job.failed_on[name]
            self._enqueue(job)

    def _give_up_later(self, state: NodeState, since: float) -> None:
        """When lost_after is over since then, look for what has to be given up on this node."""
        self._timers.add(since + self._lost_after, lambda: self._give_up(state))

    def _give_up(self, state: NodeState) -> None:
        for attempt in list(state.live.values()):
            if attempt.stage not in MAY_RUN:
                continue
            in_doubt_since = self._in_doubt_since(attempt)
            if self._now >= in_doubt_since + self._lost_after:
                attempt.since = in_doubt_since
                self._advance(attempt, "given_up")

    def _in_doubt_since(self, attempt: TrackedAttempt) -> float:
        """Since when nobody knows how the attempt is: its node is silent, or proves nothing."""
        times = []
        silent_since = self._nodes[attempt.node].silent_since
        if silent_since is not None:
            times.append(silent_since)
        if attempt.stage == "fencing":
            times.append(attempt.since)
        if attempt.overdue_since is not None:
            times.append(attempt.overdue_since)
        return min(times, default=float("inf"))

    def _that_may_run(self) -> list[TrackedAttempt]:
        return [
            attempt
            for state in self._nodes.everything()
            for attempt in state.live.values()
            if attempt.stage in MAY_RUN
        ]

    # -- whom to watch

    def _follow(self, name: str) -> None:
        """From now on this node is watched whenever something of ours may run or waits there."""
        self._followed.add(name)
        self._watch_changed.add(name)

    def _keep(self, names: set[str], state: NodeState, wanted: bool) -> None:
        """Put a node into the set, or take it out; both may change whether it is watched."""
        if wanted == (state.name in names):
            return
        if wanted:
            names.add(state.name)
        else:
            names.discard(state.name)
        self._watch_changed.add(state.name)

    # -- placement

    def _place_first(self, job_class: JobClass) -> bool:
        """Try the first job of the class. True: it was placed, or has ended.

        False: it waits, and so do the others, for none of them would get another answer.
        """
        job = job_class.first()
        if job is None:
            return False

        number = self._choose_agent(job, job_class)
        choice = job_class.choices[number]
        candidates = job_class.candidates[number]
        if len(job_class.choices) > 1:
            job.spec = replace(job.spec, need=choice.need, account=choice.account)

        busy_until = job.busy_until(choice.account)
        if busy_until == float("inf"):
            return self._end_queued(job, *job.last_failure)
        if busy_until > self._now:
            return self._wait(job, f"the service of {choice.account} is busy", "quota")
        why_spent = self._accounts.why_spent(choice.account)
        if why_spent:
            return self._end_out_of_credits(job, why_spent)
        no_quota = f"the account {choice.account} has no quota left"
        if self._accounts.rests(choice.account, self._now):
            return self._wait(job, no_quota, "quota")
        if candidates is None:
            return self._reserve_here(job, "the job asks for it")
        if self._contact.is_asking(self._now):
            return self._wait(job, "all nodes are asked whether they answer")

        # First the nodes that have not failed this job, and have quota for it.
        offline = self._contact.offline_since is not None
        unwilling = self._unwilling(job, choice.need.agent)
        failed_on = job_class.failed_on | unwilling
        avoided = self._accounts.avoided(choice.account, self._now)
        if not job_class.exhausted:
            without = failed_on | avoided
            best = None if offline else candidates.best(without)
            if best is not None:
                return self._reserve(job, self._nodes[best])
            if candidates.has(WAITS, without) or candidates.has(SILENT, without):
                self._enter_waitlists(candidates, without)
                self._enter_waitlists_of_others(job, job_class, number)
                return self._wait(job)
            if not offline and self._reopen(candidates, without):
                return True

        # Then the controller, unless nodes are left that only this job's attempts can't have.
        others_can = candidates.has(FREE, failed_on) or candidates.has(WAITS, failed_on)
        if (offline or not others_can) and self._may_fall_back(job):
            return self._reserve_here(job)

        # Then the nodes that have failed it: they are better than none.
        if not job_class.exhausted and not offline:
            without = unwilling | avoided
            best = candidates.best(without)
            if best is not None:
                return self._reserve(job, self._nodes[best])
            if candidates.has(CLOSED, without) or candidates.has(WAITS, without):
                self._enter_waitlists(candidates, without)
                return self._wait(job)
            spent = self._accounts.spent_on(choice.account)
            without = unwilling | spent
            if any(candidates.has(group, without) for group in (FREE, WAITS, CLOSED)):
                return self._wait(job, no_quota, "quota")
            if any(candidates.has(group, unwilling) for group in (FREE, WAITS, CLOSED)):
                words = self._accounts.spent_words(choice.account)
                return self._end_out_of_credits(job, words)

        return self._end_or_wait_for_network(job, job_class)

    def _choose_agent(self, job: QueuedJob, job_class: JobClass) -> int:
        """Which of its agents the job is tried with, as a number of the class' choices.

        The first of those whose prospect is the best. Of all that are hopeless it is the first:
        what becomes of that one is told.
        """
        numbers = range(len(job_class.choices))
        if len(numbers) == 1:
            return 0
        return min(numbers, key=lambda number: self._prospect(job, job_class, number))

    def _prospect(self, job: QueuedJob, job_class: JobClass, number: int) -> int:
        """How soon the job may begin with this agent; the least is the best."""
        choice = job_class.choices[number]
        candidates = job_class.candidates[number]
        if self._is_out(job, choice.account):
            return RESTS if self._comes_back(job, choice.account) else HOPELESS

        is_for_here = self._can_run_here(job, choice)
        is_offline = self._contact.offline_since is not None
        if is_for_here and is_offline:
            return NOW
        if candidates is not None:
            without = self._not_for(job, choice)
            if candidates.has(FREE, without):
                return WITH_A_SLOT if is_offline else NOW
            if candidates.has(WAITS, without) or candidates.has(SILENT, without):
                return WITH_A_SLOT
            # One gets its trial before the controller has a turn, as `_reopen` says.
            closed = candidates.groups[CLOSED] - without
            if any(self._nodes[name].inherited for name in closed):
                return ON_TRIAL
            if closed and not is_for_here:
                return QUARANTINED
        if is_for_here:
            return HERE
        return RESTS if self._comes_back(job, choice.account) else HOPELESS

    def _is_out(self, job: QueuedJob, account: str) -> bool:
        """Whether nothing may be placed for this job and account now, whatever the nodes say."""
        is_used_up = self._accounts.rests(account, self._now) or self._accounts.why_spent(account)
        return bool(is_used_up) or job.busy_until(account) > self._now

    def _comes_back(self, job: QueuedJob, account: str) -> bool:
        """Whether it is known when the account can be used for this job again."""
        busy_until = job.busy_until(account)
        if busy_until > self._now:
            return busy_until < float("inf")
        return self._accounts.back_at(account, self._now) is not None

    def _unwilling(self, job: QueuedJob, agent: str) -> frozenset[str]:
        """The nodes that said that they don't do this job with this agent."""
        logged_out = self._logged_out.get(agent, ())
        unusable = job.unusable_on.get(agent, ())
        return frozenset((*job.refused_on, *logged_out, *unusable))

    def _not_for(self, job: QueuedJob, choice: ev.Choice) -> frozenset[str]:
        """The nodes that are not the first to be asked for this job with this agent."""
        avoided = self._accounts.avoided(choice.account, self._now)
        return self._unwilling(job, choice.need.agent) | avoided | frozenset(job.failed_on)

    def _can_run_here(self, job: QueuedJob, choice: ev.Choice) -> bool:
        """Whether the controller may take the job with this agent, now or later."""
        fallback = self._nodes.fallback
        if fallback is None or fallback.name in self._not_for(job, choice):
            return False
        need = choice.need
        is_for_any = need.node is None and need.nodes is None
        if need.node != "local" and not (self._local_fallback and is_for_any):
            return False
        return obstacle(fallback.node, need) is None

    def _end_out_of_credits(self, job: QueuedJob, words: str) -> bool:
        message = f"the account {job.spec.account} is out of credits, a person has to act: {words}"
        return self._end_queued(job, "quota", message)

    def _end_or_wait_for_network(self, job: QueuedJob, job_class: JobClass) -> bool:
        offline_since = self._contact.offline_since
        if offline_since is not None and self._now < offline_since + self._lost_after:
            return self._wait(job, "no node answers: is this machine offline?")

        failure, message = job.last_failure
        without_login = self._logged_out.get(job.spec.need.agent, {})
        if without_login and not (job.failed_on or job.refused_on):
            failure = "login"
            message = "; ".join(f"{node}: {text}" for node, text in without_login.items())
        elif not (job.refused_on or job.unusable_on or (job_class.exhausted and job.failed_on)):
            message = f"no node can take the job: {self._reasons(job)}"
            # A node that lacks a program was reached.
            if not job.failed_on and self._nodes.lacks_program(job.spec.need):
                failure = "refused"
            message += self._why_not_here(job)
        return self._end_queued(job, failure, message)

    def _why_not_here(self, job: QueuedJob) -> str:
        """What became of the job on the controller, for the end of a sentence; blank: nothing."""
        fallback = self._nodes.fallback
        if fallback is None:
            return ""
        logged_out = self._logged_out.get(job.spec.need.agent, {})
        unusable = job.unusable_on.get(job.spec.need.agent, {})
        for reasons in (job.failed_on, job.refused_on, logged_out, unusable):
            if fallback.name in reasons:
                return f"; {fallback.name}: {reasons[fallback.name]}"
        return ""

    def _reopen(self, candidates: Candidates, without: Collection[str]) -> bool:
        """When no other node is left, one gets its trial whose quarantine is of an earlier run.

        Somebody may have mended it meanwhile. Returns whether there was such a node.
        """
        for name in sorted(candidates.groups[CLOSED] - set(without)):
            state = self._nodes[name]
            if state.inherited:
                state.inherited = False
                state.closed_until = self._now
                self._mark_dirty(name)
                return True
        return False

    def _may_fall_back(self, job: QueuedJob) -> bool:
        """Whether the controller may take a job that did not ask for it."""
        need = job.spec.need
        fallback = self._nodes.fallback
        if not self._local_fallback or fallback is None:
            return False
        if need.node is not None or need.nodes is not None:
            return False
        unwilling = self._unwilling(job, need.agent)
        return fallback.name not in job.failed_on and fallback.name not in unwilling

    def _reserve_here(self, job: QueuedJob, why: str = "") -> bool:
        """Give the job to the controller, which has one slot."""
        state = self._nodes.fallback
        if state is None:
            message = "localhost is not among the hosts of this play (--limit drops it)"
            return self._end_queued(job, "unreachable", message)
        without_login = self._logged_out.get(job.spec.need.agent, {})
        if state.name in without_login:
            return self._end_queued(job, "login", f"{state.name}: {without_login[state.name]}")
        unusable = job.unusable_on.get(job.spec.need.agent, {})
        if any(state.name in nodes for nodes in (job.failed_on, job.refused_on, unusable)):
            return self._end_queued(job, *job.last_failure)
        if state.name in self._accounts.spent_on(job.spec.account):
            return self._end_out_of_credits(job, self._accounts.spent_words(job.spec.account))
        if state.name in self._accounts.avoided(job.spec.account, self._now):
            reason = f"the account {job.spec.account} has no quota left"
            return self._wait(job, reason, "quota")

        against = obstacle(state.node, job.spec.need)
        if against is not None:
            message = f"{state.name}, this machine itself, can't take it: {against[0]}"
            if not why:
                message = f"no node can take the job ({self._reasons(job)}), and {message}"
            return self._end_queued(job, "refused", message)

        if state.contended and state.may_enqueue(self._now):
            self._enter_waitlist(state)
        others_first = state.contended and not state.granted
        if state.live or state.busy_until > self._now or others_first:
            return self._wait(job, "the controller takes one job at a time")

        if not why:
            why = f"no node can take it ({self._reasons(job)})"
        return self._reserve(job, state, f"runs here: {why}")

    def _reserve(self, job: QueuedJob, state: NodeState, why: str | None = None) -> bool:
        """Give the job to this node. why: None where the ranking says it."""
        self._queue.remove(job)

        # A node that did not prove itself is asked by one claim; the others are held back.
        is_being_asked = any(other.stage == "reserved" for other in state.live.values())
        attempt = TrackedAttempt(
            self._new_id(), job.name, state.name, held=is_being_asked and not state.proved
        )
        self._attempts[attempt.id] = attempt

        standing = self._standing(job, chosen=state.name)
        state.last_used = next(self._serial)
        trial_until = self._accounts.on_placed(job.spec.account, self._now)
        if trial_until is not None:
            self._timers.add(trial_until, self._queue.wake_all)
        self._set_waitlist(state)
        self._advance(attempt, "assigned")

        self._emit(
            ev.Assigned(attempt.id, attempt.job, attempt.node, why, standing),
            self._record(attempt),
        )
        if not attempt.held:
            self._emit(ev.Claim(attempt.id, attempt.job, attempt.node))
        return True

    def _answer_held(self, state: NodeState) -> None:
        """The node has answered one claim: the others go on, or their jobs go elsewhere."""
        held = [attempt for attempt in state.live.values() if attempt.held]
        for attempt in held:
            attempt.held = False
            is_willing = state.busy_until <= self._now and not state.contended
            if state.proved and is_willing and not state.doubted:
                self._emit(ev.Claim(attempt.id, attempt.job, attempt.node))
            else:
                self._advance(attempt, "withdrawn")

    def _enqueue(self, job: QueuedJob) -> None:
        """The job waits for a node, or for the controller if it asked for that."""
        candidates = [
            None if choice.need.node == "local" else self._nodes.candidates(choice.need, self._now)
            for choice in job.spec.all_choices
        ]
        self._queue.add(job, *candidates)

    # -- full nodes

    def _enter_waitlists(self, candidates: Candidates, without: Collection[str] = ()) -> None:
        if self._contact.offline_since is not None:
            return
        for name in candidates.to_enqueue(without, WAITLISTS):
            self._enter_waitlist(self._nodes[name])

    def _enter_waitlists_of_others(self, job: QueuedJob, job_class: JobClass, number: int) -> None:
        """The job waits for whichever of its agents comes first, not only for this one."""
        for other, choice in enumerate(job_class.choices):
            candidates = job_class.candidates[other]
            if other == number or candidates is None or self._is_out(job, choice.account):
                continue
            self._enter_waitlists(candidates, self._not_for(job, choice))

    def _enter_waitlist(self, state: NodeState) -> None:
        """Wait there, unless this run does not wait: it is detached, or its time is over."""
        if self._detach or self._overdue:
            return
        self._set_waitlist(state, waitlisted=True)
        self._follow(state.name)
        self._emit(ev.Enqueue(state.name))

    def _set_waitlist(
        self, state: NodeState, *, waitlisted: bool = False, granted: bool = False
    ) -> None:
        """Whether this run is on the node's waitlist, or a slot is kept for it there."""
        state.waitlisted = waitlisted
        state.granted = granted
        self._keep(self._waits_on, state, waitlisted or granted)
        self._mark_dirty(state.name)

    # -- what is told to people

    def _wait(self, job: QueuedJob, why: str | None = None, failure: str = "queue") -> bool:
        """The job stays in the queue, or ends if queue_timeout is over (True).

        What it waits for is told once, and only when others make it wait: that the run's own jobs
        take turns is no news.
        """
        if self._overdue and self._queue_timeout is not None:
            message = (
                f"it waited for {spoken(self._queue_timeout)} (queue_timeout): "
                f"{why or self._reasons(job)}"
            )
            return self._end_queued(job, failure, message)

        runs_nothing = not any(self._in_stage[stage] for stage in HOLDS_SLOT)
        if not job.wait_was_noted and runs_nothing:
            job.wait_was_noted = True
            until = None
            if failure == "quota":
                until = job.busy_until(job.spec.account)
                if until <= self._now:
                    until = self._accounts.back_at(job.spec.account, self._now)
            reason = why or self._reasons(job)
            note = ev.Note("place", f"waits: {reason}", job.name, until=until, waits_for=reason)
            self._emit(note)
        return False

    def _reasons(self, job: QueuedJob) -> str:
        """What the nodes say to the job: those that it waits for, if there are any."""
        need = job.spec.need
        entries = self._standing(job).ranking()

        named = [
            entry
            for entry in entries
            if entry.host == need.node or (need.nodes is not None and entry.host in need.nodes)
        ]
        entries = named or entries
        entries = [entry for entry in entries if entry.waits] or entries

        reasons = [
            f"{entry.host}: {entry.rejected or 'can take it'}" for entry in entries[:REASONS_SHOWN]
        ]
        if len(entries) > REASONS_SHOWN:
            reasons.append(f"and {len(entries) - REASONS_SHOWN} more")
        return "; ".join(reasons) or "there are no candidates"

    def _standing(self, job: QueuedJob, chosen: str | None = None) -> ev.Standing:
        """How all nodes stand for the job now."""
        return ev.Standing(
            nodes=self._nodes.as_nodes(),
            need=job.spec.need,
            failed_on={
                **job.failed_on,
                **job.refused_on,
                **job.unusable_on.get(job.spec.need.agent, {}),
            },
            chosen=chosen,
            weights=self._weights,
            preferences=self._preferences,
        )

    # -- ends

    def _finish(
        self, attempt: TrackedAttempt, status: str, failure: str | None, message: str
    ) -> None:
        """The job ends as this attempt of it did."""
        finish = ev.Finish(attempt.job, status, failure, message, attempt.id, attempt.node)
        self._end_job(self._jobs[attempt.job], finish)

    def _end_queued(self, job: QueuedJob, failure: str, message: str) -> bool:
        """The job ends without an attempt that decided; True, as `_place_first` has it."""
        standing = self._standing(job)
        self._queue.remove(job)

        status = "failed"
        if job.spec.skippable and self._nodes.out_of_reach(job.spec.need):
            status = "skipped"
        finish = ev.Finish(job.name, status, failure, message, standing=standing)
        if job.last_attempt is not None:
            # What its newest attempt cost and left is the job's.
            finish = replace(finish, attempt=job.last_attempt, node=job.last_node)
        self._end_job(job, finish)
        return True

    def _end_job(self, job: QueuedJob, finish: ev.Finish) -> None:
        """A job ends once; what is heard of it later changes nothing."""
        if job.done:
            return
        job.done = True
        self._open -= 1

        if finish.attempt is None and finish.standing is None:
            finish = replace(finish, standing=self._standing(job))
        self._emit(finish)

    def _stop(self, status: str, failure: str, message: str) -> None:
        """Nothing more begins; what may run goes on. The first reason counts."""
        self._stopped = self._stopped or (status, failure, message)

        held = [
            attempt
            for state in self._nodes.everything()
            for attempt in state.live.values()
            if attempt.held
        ]
        for attempt in held:
            attempt.held = False
            self._advance(attempt, "withdrawn")

        for job in list(self._queue):
            self._queue.remove(job)
            self._end_job(job, ev.Finish(job.name, *self._stopped))

    # -- commands

    def _record(self, attempt: TrackedAttempt) -> ev.Record:
        return ev.Record(attempt.id, attempt.job, attempt.node, attempt.stage)

    def _emit(self, *commands: ev.Command) -> None:
        self._commands += commands


# What is done for each stage that an attempt reaches.
REACHED: Mapping[str, Callable[[Scheduler, TrackedAttempt, ev.AttemptEvent | None, str], None]] = {
    "reserved": Scheduler._reached_reserved,
    "claimed": Scheduler._reached_claimed,
    "sent": Scheduler._reached_sent,
    "running": Scheduler._reached_running,
    "fencing": Scheduler._reached_fencing,
    "ended": Scheduler._reached_ended,
    "fetched": Scheduler._reached_fetched,
    "lost": Scheduler._reached_lost,
    "void": Scheduler._reached_void,
}

# What is done for an event that left the attempt in its stage; in all others it is merely late.
STAYED: Mapping[str, Callable[[Scheduler, TrackedAttempt, ev.AttemptEvent | None], None]] = {
    "running": Scheduler._stayed_running,
    "fencing": Scheduler._stayed_fencing,
    "ended": Scheduler._stayed_ended,
}
