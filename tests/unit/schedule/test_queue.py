"""The jobs that wait: in which order they are tried, and which are tried by one of them."""

from __future__ import annotations

import random

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.nodes import Candidates
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    DEFAULT_WEIGHTS,
    Need,
    Scorer,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.queue import (
    Queue,
    QueuedJob,
)

ANY = Need()
PINNED = Need(node="n")
LOCAL = Need(node="local")


def make_candidates(need):
    return Candidates(Scorer(need, DEFAULT_WEIGHTS, {}))


# One for each kind of work, as the table of the nodes keeps them.
OF_ANY = make_candidates(ANY)
OF_PINNED = make_candidates(PINNED)


def job(number, need=ANY, *, priority=0, account="", **state):
    """A job at this place in the list."""
    spec = ev.PlacementSpec(f"job-{number}", need, priority=priority, account=account)
    return QueuedJob(spec, (-priority, number), **state)


def filled(*jobs):
    queue = Queue()
    for each in jobs:
        queue.add(each, candidates_of(each))
    return queue


def candidates_of(queued):
    return {ANY: OF_ANY, PINNED: OF_PINNED, LOCAL: None}[queued.spec.need]


def names(jobs):
    return [each.name for each in jobs]


def take_all(queue):
    """Place every job, one after the other, as the queue gives them out."""
    placed = []
    while (job_class := queue.next()) is not None:
        first = job_class.first()
        queue.remove(first)
        placed.append(first.name)
        # As the scheduler has it: after a placement the class is tried once more.
        job_class.ready = True
    return placed


def try_all_in_vain(queue):
    """The jobs that are tried when none can be placed."""
    tried = []
    while (job_class := queue.next()) is not None:
        tried.append(job_class.first().name)
        job_class.ready = False
    return tried


# -- one class


def test_an_empty_queue_has_nothing_to_try():
    queue = Queue()
    assert len(queue) == 0 and list(queue) == [] and queue.next() is None


def test_jobs_go_in_the_order_of_the_list_however_they_came():
    queue = filled(job(2), job(0), job(1))
    assert names(queue) == ["job-0", "job-1", "job-2"] and len(queue) == 3
    assert take_all(queue) == ["job-0", "job-1", "job-2"]
    assert len(queue) == 0 and queue.next() is None


def test_a_higher_priority_goes_first_and_a_negative_one_last():
    queue = filled(job(0, priority=-1), job(1), job(2, priority=9), job(3, priority=9))
    assert take_all(queue) == ["job-2", "job-3", "job-1", "job-0"]


def test_jobs_that_any_node_would_answer_alike_are_tried_by_their_first_one():
    queue = filled(*(job(number) for number in range(1000)))
    assert try_all_in_vain(queue) == ["job-0"]


@pytest.mark.parametrize(
    "other",
    [
        job(1, PINNED),
        job(1, LOCAL),
        job(1, account="max"),
        job(1, failed_on={"n": "disk"}),
        job(1, used=3),
    ],
)
def test_a_job_that_may_get_another_answer_is_tried_by_itself(other):
    assert try_all_in_vain(filled(job(0), other)) == ["job-0", "job-1"]


def test_why_a_node_failed_a_job_makes_no_difference_to_its_answer():
    queue = filled(job(0, failed_on={"n": "disk"}), job(1, failed_on={"n": "no agent"}))
    assert try_all_in_vain(queue) == ["job-0"]


# -- several classes


def test_classes_take_turns_by_their_first_jobs():
    queue = filled(job(0), job(1, PINNED), job(2), job(3, PINNED))
    assert take_all(queue) == ["job-0", "job-1", "job-2", "job-3"]


def test_a_class_that_was_tried_in_vain_is_left_alone_until_it_is_woken():
    queue = filled(job(0), job(1, PINNED))
    assert try_all_in_vain(queue) == ["job-0", "job-1"]
    assert try_all_in_vain(queue) == []

    queue.wake(OF_PINNED)
    assert try_all_in_vain(queue) == ["job-1"]
    queue.wake_all()
    assert try_all_in_vain(queue) == ["job-0", "job-1"]


def test_jobs_for_the_controller_are_woken_by_no_node():
    queue = filled(job(0, LOCAL), job(1))
    try_all_in_vain(queue)
    queue.wake(OF_ANY)
    assert try_all_in_vain(queue) == ["job-1"]
    queue.wake()
    assert try_all_in_vain(queue) == ["job-0"]


def test_candidates_of_which_nobody_waits_wake_nobody():
    queue = filled(job(0))
    try_all_in_vain(queue)
    queue.wake(make_candidates(PINNED))
    assert queue.next() is None


def test_a_job_that_comes_wakes_its_class_and_is_tried_if_it_is_the_first():
    queue = filled(job(5))
    try_all_in_vain(queue)
    queue.add(job(2), OF_ANY)
    assert try_all_in_vain(queue) == ["job-2"]


# -- jobs that leave


def test_a_job_that_leaves_is_not_tried_and_the_next_one_of_its_class_is():
    first = job(0)
    queue = filled(first, job(1), job(2, PINNED))
    queue.remove(first)
    assert first.job_class is None and names(queue) == ["job-1", "job-2"]
    assert try_all_in_vain(queue) == ["job-1", "job-2"]


def test_a_job_that_leaves_from_the_middle_is_passed_over():
    middle = job(1)
    queue = filled(job(0), middle, job(2))
    queue.remove(middle)
    assert len(queue) == 2 and take_all(queue) == ["job-0", "job-2"]


def test_a_job_that_comes_back_waits_as_what_it_is_then():
    returned = job(0)
    queue = filled(returned, job(1))
    queue.remove(returned)
    returned.failed_on["n"] = "disk"
    queue.add(returned, OF_ANY)

    assert names(queue) == ["job-0", "job-1"] and len(queue) == 2
    assert try_all_in_vain(queue) == ["job-0", "job-1"]


def test_a_job_that_comes_back_unchanged_is_there_once():
    returned = job(0)
    queue = filled(returned, job(1))
    queue.remove(returned)
    queue.add(returned, OF_ANY)
    assert names(queue) == ["job-0", "job-1"] and take_all(queue) == ["job-0", "job-1"]


def test_the_last_job_of_a_class_takes_the_class_with_it():
    only = job(0)
    queue = filled(only)
    queue.remove(only)
    queue.wake(OF_ANY)
    queue.wake_all()
    assert queue.next() is None and len(queue) == 0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_the_first_ready_job_is_tried_next(seed):
    """A queue beside a plain list: both always name the same job."""
    dice = random.Random(seed)
    jobs = [
        job(number, dice.choice([ANY, PINNED, LOCAL]), priority=dice.choice([0, 0, 5]))
        for number in range(30)
    ]
    queue = Queue()
    waiting = []
    # Needs of classes that were tried in vain since they were woken.
    resting = set()

    for _step in range(300):
        act = dice.choice(["add", "remove", "try", "try", "wake"])
        if act == "add" and len(waiting) < len(jobs):
            added = dice.choice([each for each in jobs if each not in waiting])
            queue.add(added, candidates_of(added))
            waiting.append(added)
            resting.discard(added.spec.need)
        elif act == "remove" and waiting:
            removed = waiting.pop(dice.randrange(len(waiting)))
            queue.remove(removed)
        elif act == "wake":
            need = dice.choice([ANY, PINNED])
            queue.wake({ANY: OF_ANY, PINNED: OF_PINNED}[need])
            resting.discard(need)
        elif act == "try" and (job_class := queue.next()) is not None:
            job_class.ready = False
            resting.add(job_class.choices[0].need)

        # A class that lost its last job is a new one when the next job comes.
        resting &= {each.spec.need for each in waiting}
        ready = [each for each in waiting if each.spec.need not in resting]
        expected = min(ready, key=lambda each: each.order, default=None)
        job_class = queue.next()
        assert (job_class.first() if job_class else None) is expected
        assert list(queue) == sorted(waiting, key=lambda each: each.order)
        assert len(queue) == len(waiting)
