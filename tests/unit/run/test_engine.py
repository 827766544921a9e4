"""The engine over nodes that are played: what is asked when, what is on disk by then, what is told.

What is decided stands in the tests of the scheduler, and what a reply means in test_replies.py.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import played_run
import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.quarantines import (
    Quarantines,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import (
    RunRecord,
    ask_to_cancel,
    key_of,
    read_history,
    read_key,
    run_folder,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.sessions import Sessions
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.session_key import (
    session_key,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.git import Project
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import (
    Exclusions,
    Sent,
    TransferError,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import engine as _engine
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import patience as _patience
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import verbs as _verbs
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.engine import ParentGone
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import (
    scheduler as _scheduler,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from job_builder import shell_job
from played_nodes import (
    AT_MOST,
    BUSY,
    CLAIMED,
    RUNNING,
    STARTED,
    VOID,
    PlayedLink,
    PlayedNode,
    end_of,
    wait_for,
)
from played_run import CONTROLLER, RUN, measured

JOB = shell_job("a")
SIX_SLOTS = [measured(name, slots=6) for name in ("slow", "quick")]
JOBS = [shell_job(name) for name in ("a", "b", "c")]


# -- one job


def test_a_job_goes_from_its_claim_to_its_row_and_its_harvest_is_at_home(call):
    node = PlayedNode("n")
    made = call([JOB], node)
    row = made.run()["a"]

    assert node.verbs() == ["claim", "start", "ack"]
    assert (row["status"], row["class"], row["node"]) == ("success", None, "n")
    assert (row["proof"], row["exit_status"], row["seconds"]) == ("exit status 0", 0, 1.0)
    assert row["why"] == "score 0.10, cpu 10 %" == row["ranking"][0]["reason"]

    attempt = node.requests("claim")[0]["attempt"]
    assert attempt.startswith(made.record.uid + "-")
    (told,) = row["attempts"]
    assert 0 < told.pop("begun_at") <= told.pop("ended_at")
    why = row["why"]
    assert told == {"id": attempt, "node": "n", "state": "ended", "why": why, "slot": 0}

    assert Path(row["folder"], "log").read_bytes() == b"x"
    assert made.record.fetched("a") == attempt


def test_what_an_attempt_went_through_is_in_the_journal_and_its_row_is_the_last_entry(call):
    made = call([JOB], PlayedNode("n"))
    row = made.run()["a"]

    assert made.states() == ["reserved", "sent", "running", "ended"]
    (finish,) = made.journal("finish")
    assert {**row, "kind": "finish", "at": finish["at"]} == finish

    # Whoever takes the run up again knows by it which store has the attempt.
    assert [entry["store"] for entry in made.journal("attempt")] == [None, "s", "s", "s"]
    assert {entry["why"] for entry in made.journal("attempt")} == {row["why"]}


def test_a_claim_is_asked_when_it_is_reserved_on_disk_and_a_start_when_it_is_sent_on_disk(call):
    seen = {}

    def look(verb, reply):
        def answer(_request):
            seen[verb] = made.states()
            return reply

        return answer

    made = call(
        [JOB], PlayedNode("n", claim=[look("claim", CLAIMED)], start=[look("start", STARTED)])
    )
    made.run()
    assert seen == {"claim": ["reserved"], "start": ["reserved", "sent"]}


def test_what_a_node_is_asked_names_the_run_the_controller_and_the_claim(call):
    node = PlayedNode("n", claim=[{**CLAIMED, "generation": 7}])
    made = call([JOB], node, nodes=[measured("n", slots=3)])
    made.run()

    (claim,) = node.requests("claim")
    assert (claim["run_id"], claim["controller"], claim["slots"]) == (RUN, CONTROLLER, 3)
    (start,) = node.requests("start")
    assert (start["generation"], start["env"]) == (7, {})
    assert start["spec"]["command"] == "make"
    (poll,) = node.polls
    assert (poll.request["prefix"], poll.request["slots"]) == (made.record.uid + "-", 3)


def test_people_are_told_each_step_of_the_walk(call):
    made = call([JOB], PlayedNode("n"))
    made.run()
    attempt = made.links[0].requests("start")[0]["attempt"]
    assert made.lines == [
        ("a", "place", "n", "score 0.10, cpu 10 %"),
        ("a", "start", "n", f"shell, attempt {attempt}"),
        ("a", "wait", "n", "ended after 1 s: success"),
        ("a", "fetch", "n", "success, no changes"),
    ]


def test_a_project_is_sent_before_the_start_and_the_session_of_its_specialist_is_kept(
    call, tmp_path, monkeypatch
):
    job = shell_job(
        "a", agent="gummy", prompt="do it", command=None, specialist="api", project=str(tmp_path)
    )
    node = PlayedNode("n", claim=[{**CLAIMED, "generation": 7}])
    sent = []

    def send_project(link, excluded, attempt, generation, _turn):
        sent.append((link.name, excluded, generation, node.verbs()))
        return Sent(2, 1234)

    monkeypatch.setattr(_verbs, "send_project", send_project)
    excluded = Exclusions(Project(str(tmp_path)), (), ("*.log",), {}, ())
    row = call([job], node, exclusions={str(tmp_path): excluded}).run()["a"]

    assert sent == [("n", excluded, 7, ["claim"])]
    assert {**row["sync"], "seconds": 0} == {
        "files": 2,
        "bytes": 1234,
        "seconds": 0,
        "excluded": "*.log",
    }
    assert Sessions().home_of(session_key(job)) == "n"


# -- several nodes


def test_a_node_of_which_no_load_is_known_is_measured_before_the_first_job_is_placed(call):
    idle = PlayedNode("idle")
    loaded = PlayedNode("loaded")
    asked = []

    def measure(name, link):
        asked.append((name, link.verbs()))
        return measured(name, {"idle": 0.1, "loaded": 0.9}[name])

    row = call([JOB], loaded, idle, nodes=[Node("loaded"), Node("idle")], measure=measure).run()[
        "a"
    ]
    assert row["node"] == "idle" and sorted(asked) == [("idle", []), ("loaded", [])]


def test_a_node_that_can_not_be_measured_is_out_of_reach_for_a_reason(call):
    def measure(name, link):
        raise LinkError("no route to host")

    row = call([JOB], PlayedNode("n"), nodes=[Node("n")], measure=measure).run()["a"]
    assert (row["status"], row["class"], row["attempts"]) == ("failed", "unreachable", [])
    assert row["message"] == "no node can take the job: n: not reachable: no route to host"
    assert row["ranking"][0]["host"] == "n"


def test_a_claim_that_fails_costs_the_node_its_trust_and_the_job_goes_elsewhere(call):
    bad = PlayedNode("bad", claim=[LinkError("timed out", "timeout")])
    made = call([JOB], bad, PlayedNode("good"))
    row = made.run()["a"]

    assert [(tried["node"], tried["state"]) for tried in row["attempts"]] == [
        ("bad", "void"),
        ("good", "ended"),
    ]
    # The node may have kept something for the claim.
    assert bad.verbs() == ["claim", "release"]
    (rested,) = made.fleet.quarantines.known()
    assert (rested.node, rested.failures, rested.why) == ("bad", 1, "unreachable: timed out")


def test_a_node_that_is_not_connected_is_not_called_to_be_given_a_slot_back(call):
    bad = PlayedNode("bad", claim=[LinkError("no route")])
    bad.connected = False
    call([JOB], bad, PlayedNode("good")).run()
    assert bad.verbs() == ["claim"]


def test_a_node_that_rests_since_an_earlier_run_is_passed_over(call):
    made = call([JOB], PlayedNode("rests"), PlayedNode("good"))
    made.fleet.quarantines.keep(ev.Quarantine("rests", 2, 60.0, "start: no agent"))
    assert made.run()["a"]["node"] == "good"
    assert made.links[0].asked == []


# -- full nodes


def test_a_busy_node_is_waited_for_by_an_open_poll_and_the_slot_that_it_grants_is_claimed(call):
    node = PlayedNode("n", claim=[BUSY])
    row = call([JOB], node).run()["a"]

    assert row["status"] == "success"
    assert node.polls[0].words[:1] == ["+"]
    first, second = [request["attempt"] for request in node.requests("claim")]
    assert first != second

    # One that found no slot is no attempt for people.
    assert [attempt["id"] for attempt in row["attempts"]] == [second]


def test_a_run_whose_jobs_wait_no_longer_leaves_the_waitlist(call):
    node = PlayedNode("n", turns=False, claim=[BUSY])
    made = call([JOB], node)
    made.start()

    poll = node.next_poll()
    wait_for(lambda: poll.words == ["+"], "a place on the waitlist")
    ask_to_cancel(RUN)
    assert made.rows()["a"]["status"] == "cancelled"
    assert poll.words == ["+", "-"] and poll.is_stopped


# -- a start without a reply


def test_a_start_without_a_reply_that_is_proved_void_goes_to_another_node(call):
    silent = PlayedNode("silent", start=[LinkError("timed out", "timeout")], fence=[VOID])
    made = call([JOB], silent, PlayedNode("other"))
    row = made.run()["a"]

    assert silent.verbs() == ["claim", "start", "fence"]
    assert (row["status"], row["node"]) == ("success", "other")
    assert made.states() == ["reserved", "sent", "void", "reserved", "sent", "running", "ended"]


def test_a_start_without_a_reply_that_is_found_running_goes_on_there(call):
    node = PlayedNode("n", start=[LinkError("timed out", "timeout")], fence=[RUNNING])
    other = PlayedNode("other")
    made = call([JOB], node, other)
    made.start()

    node.end(made.wait_for_state("running"))
    row = made.rows()["a"]
    assert (row["status"], row["node"], len(row["attempts"])) == ("success", "n", 1)
    assert made.states() == ["reserved", "sent", "running", "ended"] and other.asked == []


def test_another_store_proves_nothing_and_the_job_is_lost_and_not_begun_anew(call):
    stranger = {**VOID, "store": "another"}
    node = PlayedNode("n", start=[LinkError("timed out", "timeout")], fence=[stranger] * 99)
    other = PlayedNode("other")
    made = call([JOB], node, other, lost_after=0.05)
    row = made.run()["a"]

    assert (row["status"], row["node"], other.asked) == ("lost", "n", [])
    assert made.states()[-1] == "lost" and "may still run there" in row["message"]
    assert made.needs == [("lost", "a", "n", "shell")]


@pytest.mark.parametrize(
    ("end", "needs"),
    [
        ({"class": "login", "message": "log in"}, [("login", "a", "n", "claude")]),
        (
            {"class": "quota", "kind": "credit", "message": "no credits"},
            [("credit", "a", "n", "claude")],
        ),
        ({"class": "budget", "message": "used up"}, [("budget", "a", "n", "claude")]),
        ({"class": "agent", "message": "exit status 3"}, []),
        ({"class": None, "message": ""}, []),
    ],
)
def test_what_only_a_person_can_mend_is_told_whatever_becomes_of_the_job(call, end, needs):
    job = shell_job("a", agent="claude", command=None, prompt="x", attempts=1)
    nodes = [Node("n", "measured", load={"cpu": 0.1}, slots=1, agents=frozenset({"claude"}))]
    made = call([job], PlayedNode("n", ends=end), nodes=nodes)
    made.run()
    assert made.needs == needs, made.lines


# -- mistakes of ours


@pytest.mark.parametrize(
    ("mistake", "verbs"),
    [
        ({"claim": [KeyError("generation")]}, ["claim", "release"]),
        ({"claim": [{"state": "claimed"}]}, ["claim", "release"]),
        ({"start": [KeyError("state")]}, ["claim", "start", "fence"]),
    ],
)
def test_a_verb_that_raises_does_not_leave_the_run_waiting(call, mistake, verbs):
    node = PlayedNode("n", **mistake)
    row = call([shell_job("a", attempts=1)], node).run()["a"]
    assert node.verbs() == verbs and row["status"] == "failed"
    assert "KeyError: " in row["message"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("harvest"), "KeyError: 'harvest'"),
        (TransferError("sync", "no space left"), "no space left"),
        (LinkError("timed out"), "timed out"),
    ],
)
def test_a_fetch_that_fails_is_tried_again_and_told(call, monkeypatch, error, reason):
    bring_home = _verbs.bring_home
    tries = []

    def play(*args, **words):
        tries.append(args)
        if len(tries) == 1:
            raise error
        return bring_home(*args, **words)

    monkeypatch.setattr(_verbs, "bring_home", play)
    monkeypatch.setattr(_scheduler, "FETCH_PAUSE", 0.0)
    made = call([JOB], PlayedNode("n"))
    assert made.run()["a"]["status"] == "success"
    assert ("a", "fetch", "n", f"{reason}; trying again") in made.lines


def test_a_node_whose_harvests_come_slowly_takes_no_thread_that_another_needs(call, monkeypatch):
    monkeypatch.setattr(_engine, "THREADS_A_NODE", 1)
    monkeypatch.setattr(_engine, "THREADS_TO_SPARE", 0)
    bring_home = _verbs.bring_home
    others_are_done = threading.Event()
    seconds = []

    def play(record, link, *args, **words):
        seconds.append(words["seconds"])
        if link.name == "slow":
            assert others_are_done.wait(10)
        return bring_home(record, link, *args, **words)

    monkeypatch.setattr(_verbs, "bring_home", play)
    jobs = [shell_job(name, node="slow") for name in "abcdef"]
    jobs += [shell_job(name, node="quick") for name in "gh"]
    made = call(jobs, PlayedNode("slow"), PlayedNode("quick"), nodes=SIX_SLOTS)
    made.start()
    wait_for(lambda: {"g", "h"} <= {each["job"] for each in made.journal("finish")}, "the others")
    others_are_done.set()
    assert {row["status"] for row in made.rows().values()} == {"success"}
    assert set(seconds) == {4000.0}


def test_variables_that_are_not_set_any_more_end_the_run_before_a_start(call):
    node = PlayedNode("n")
    row = call([shell_job("a", pass_env=("GUMMY_TEST_IS_NOT_SET",))], node).run()["a"]
    assert (row["status"], row["class"], node.requests("start")) == ("failed", "input", [])
    assert "GUMMY_TEST_IS_NOT_SET is not set here" in row["message"]


def test_a_command_that_nobody_knows_is_an_error_and_not_ignored(call):
    with pytest.raises(TypeError, match="no such command"):
        call([JOB], PlayedNode("n")).engine._carry_out(object())


# -- what nodes tell by themselves


class Talkative(PlayedNode):
    """Tells of attempts that are no business of this call, and what no version of ours knows."""

    def on_poll(self, poll):
        poll.tell(
            end_of("old-1"),
            {"state": "unknown", "attempt": "old-2"},
            {"state": "progress", "attempt": "old-3", "watch": "gummy-watch old-3"},
            {"state": "weather", "attempt": "old-1", "text": "rain"},
        )
        super().on_poll(poll)


def test_a_node_that_tells_of_attempts_that_are_no_business_of_this_call_changes_nothing(call):
    node = Talkative("n")
    made = call([JOB], node)
    rows = made.run()
    assert rows.keys() == {"a"} and rows["a"]["status"] == "success"

    ours = {request["attempt"] for request in node.requests("claim")}
    assert {entry["attempt"] for entry in made.journal("attempt")} == ours
    assert node.verbs() == ["claim", "start", "ack"]
    assert not [line for line in made.lines if "old-3" in line[3]]


def test_a_node_tells_nothing_of_another_node_s_attempts(call):
    other = {**CLAIMED, "store": "t"}
    nodes = [PlayedNode("n", ends=None), PlayedNode("m", ends=None, claim=[other])]
    made = call([shell_job("a", node="n"), shell_job("b", node="m")], *nodes)
    made.start()
    made.wait_for_state("running", "a")
    made.wait_for_state("running", "b")
    polls = [played.next_poll() for played in nodes]
    ids = [played.requests("claim")[0]["attempt"] for played in nodes]

    # It says that both have ended, the other's first.
    polls[1].tell(end_of(ids[0]), nodes[1].signed(end_of(ids[1])))
    wait_for(lambda: made.journal("finish"), "the end of its own")
    assert [row["name"] for row in made.journal("finish")] == ["b"]
    nodes[0].end(ids[0])
    assert {name: row["status"] for name, row in made.rows().items()} == {
        "a": "success",
        "b": "success",
    }


def test_how_an_attempt_can_be_watched_is_told_while_it_runs(call):
    node = PlayedNode("n", ends=None)
    made = call([JOB], node)
    made.start()

    attempt = made.wait_for_state("running")
    node.next_poll().tell({"state": "progress", "attempt": attempt, "watch": "gummy-watch 1"})
    line = ("a", "wait", "n", "watch it there: gummy-watch 1")
    wait_for(lambda: line in made.lines, "how it can be watched")
    # Once, whatever the node goes on saying.
    for number in range(100):
        odd = {"state": "progress", "attempt": attempt, "watch": f"call 555-{number}"}
        node.polls[0].tell(odd)
    node.end(attempt)
    assert made.rows()["a"]["status"] == "success"
    assert len([each for each in made.lines if "watch it there" in each[-1]]) == 1


def test_a_poll_that_breaks_off_is_told_and_asked_again_and_the_job_goes_on(call):
    node = PlayedNode("n", ends=None)
    made = call([JOB], node)
    made.start()

    attempt = made.wait_for_state("running")
    node.next_poll().break_off(LinkError("the cable is cut"))
    node.next_poll()
    node.end(attempt)
    assert made.rows()["a"]["status"] == "success"

    texts = [text for _job, verb, _node, text in made.lines if verb == "wait"]
    assert texts == [
        "no contact: the cable is cut; its jobs go on, asking again",
        "back in contact",
        "ended after 1 s: success",
    ]


def test_an_attempt_whose_supervisor_is_gone_is_proved_by_a_fence(call):
    dead = end_of("", **{"class": "lost", "message": "its supervisor died", "proof": None})
    node = PlayedNode("n", ends=None, fence=[dead])
    made = call([JOB], node)
    made.start()

    attempt = made.wait_for_state("running")
    node.next_poll().tell({"state": "unknown", "attempt": attempt})
    row = made.rows()["a"]
    assert node.verbs() == ["claim", "start", "fence", "ack"]
    assert (row["status"], row["class"]) == ("failed", "lost")


# -- the end of a run


def test_acknowledgements_are_sent_together_when_all_ends_are_in_the_journal(call):
    finished = []

    def look(_request):
        finished.extend(entry["job"] for entry in made.journal("finish"))
        return {"state": "acknowledged", "store": "s"}

    node = PlayedNode("n", ack=[look])
    made = call(JOBS, node, nodes=[measured("n", slots=4)])
    rows = made.run()

    (request,) = node.requests("ack")
    attempts = {row["attempts"][-1]["id"] for row in rows.values()}
    assert set(request["attempts"]) == attempts and request["controller"] == CONTROLLER
    assert sorted(finished) == ["a", "b", "c"] and node.verbs()[-1] == "ack"


def test_many_acknowledgements_do_not_wait_for_the_end(call, monkeypatch):
    monkeypatch.setattr(_engine, "ACKS_AT_ONCE", 2)
    node = PlayedNode("n")
    call(JOBS, node, nodes=[measured("n", slots=4)]).run()
    # Two threads send them, so either may come first.
    assert sorted(len(request["attempts"]) for request in node.requests("ack")) == [1, 2]


def test_an_acknowledgement_that_is_not_heard_changes_nothing(call):
    node = PlayedNode("n", ack=[LinkError("timed out")])
    assert call([JOB], node).run()["a"]["status"] == "success"


def test_the_cancel_file_ends_what_runs_and_nothing_else_begins(call):
    node = PlayedNode("n", ends=None)
    made = call(JOBS[:2], node, nodes=[measured("n", slots=1)])
    made.start()

    attempt = made.wait_for_state("running")
    ask_to_cancel(RUN)
    rows = made.rows()
    assert node.requests("cancel") == [{"attempt": attempt}]
    assert {row["status"] for row in rows.values()} == {"cancelled"}
    assert len(node.requests("claim")) == 1 and rows["b"]["attempts"] == []


def test_a_detached_run_leaves_what_runs_and_what_waits_and_neither_has_ended(call):
    node = PlayedNode("n", ends=None)
    made = call(JOBS[:2], node, nodes=[measured("n", slots=1)], detach=True)
    rows = made.run()

    assert [(row["status"], row["class"]) for row in rows.values()] == [
        ("running", None),
        ("waiting", None),
    ]
    assert (rows["a"]["node"], rows["a"]["message"]) == ("n", "goes on on n")
    assert rows["b"]["message"] == (
        "waits for the run to be called again (n: no free slot (1 of 1 taken))"
    )
    assert made.journal("finish") == [] and node.requests("ack") == []


def test_a_run_without_its_playbook_starts_nothing(call, monkeypatch):
    made = call([JOB], PlayedNode("n"))
    monkeypatch.setattr(os, "getppid", lambda: -1)
    with pytest.raises(ParentGone):
        made.run()
    assert made.journal("attempt") == [] and made.links[0].asked == []


def test_a_playbook_that_is_killed_in_the_middle_leaves_what_runs(call, monkeypatch):
    node = PlayedNode("n", ends=None)
    made = call([JOB], node)
    made.start()

    made.wait_for_state("running")
    monkeypatch.setattr(os, "getppid", lambda: -1)
    with pytest.raises(ParentGone):
        made.rows()
    assert made.states()[-1] == "running" and node.verbs() == ["claim", "start"]


# -- a run that is taken up again


def left_behind(state="sent", **more):
    """What an earlier call of the run left: an attempt that may have begun."""
    record = RunRecord(RUN)
    record.begin({"a": JOB.digest()}, {"a": JOB.content()}, CONTROLLER)
    attempt = f"{record.uid}-1"
    record.append("attempt", attempt=attempt, job="a", node="n", state=state, store="s", **more)
    record.close()
    return ev.Found(attempt, "a", "n")


def key_left_behind(found):
    """What that attempt's supervisor was given then."""
    folder = run_folder(RUN)
    return key_of(read_key(folder), read_history(folder), found.attempt)


def test_an_attempt_that_was_found_is_asked_for_first_and_gone_on_with(call):
    found = left_behind()
    node = PlayedNode("n", fence=[RUNNING])
    made = call([JOB], node)
    made.start([found])

    made.wait_for_state("running")
    node.keys[found.attempt] = key_left_behind(found)
    node.end(found.attempt)
    row = made.rows()["a"]
    assert node.verbs() == ["fence", "ack"]
    assert (row["status"], row["why"]) == ("success", "resumed")
    assert [attempt["id"] for attempt in row["attempts"]] == [found.attempt]


def test_an_attempt_that_was_found_and_never_began_is_made_anew(call):
    found = left_behind()
    node = PlayedNode("n", fence=[VOID])
    row = call([JOB], node).run([found])["a"]
    assert node.verbs() == ["fence", "claim", "start", "ack"]
    assert [attempt["state"] for attempt in row["attempts"]] == ["void", "ended"]


def test_an_attempt_that_was_found_is_proved_by_the_store_of_the_record_alone(call):
    found = left_behind()
    stranger = {**VOID, "store": "another"}
    node = PlayedNode("n")
    node.keys[found.attempt] = key_left_behind(found)
    node.will_answer("fence", stranger, node.signed(end_of(found.attempt)))
    made = call([JOB], node)
    row = made.run([found])["a"]
    assert (row["status"], len(row["attempts"])) == ("success", 1)
    assert node.verbs() == ["fence", "fence", "ack"]


def test_a_harvest_that_came_home_before_is_fetched_once_more_and_the_old_one_is_kept(call):
    found = left_behind("ended")
    ended = end_of(found.attempt)
    ended["files"] = {"log": "bmV3"}
    made = call([JOB], PlayedNode("n", fence=[ended]))
    folder = Path(made.record.job_folder("a"))
    folder.mkdir()
    row = made.run([found])["a"]
    assert Path(row["folder"], "log").read_bytes() == b"new"
    assert Path(f"{folder}.before-{found.attempt}").is_dir()


def test_what_a_node_has_of_earlier_calls_it_need_not_tell(call):
    earlier = left_behind("ended").attempt
    node = PlayedNode("n")
    row = call([JOB], node).run([])["a"]
    assert row["status"] == "success" and row["attempts"][0]["id"] != earlier
    assert node.requests("poll")[0]["told"] == [earlier]


# -- what the signature of an end is worth


class Forger(PlayedNode):
    """Says that it ended well, with a signature that its test makes of the right one."""

    def __init__(self, name, forge):
        super().__init__(name)
        self._forge = forge

    def signed(self, row):
        row = super().signed(row)
        signature = self._forge(row["signature"])
        return {**row, "signature": signature}


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize(
    "forge",
    [lambda right: "", lambda right: "0" * 64, lambda right: right[:-1], lambda right: "no hex"],
)
def test_a_good_end_with_a_wrong_signature_is_unproven_whatever_the_job_accepts(
    call, forge, accept
):
    row = call([shell_job("a", accept_unproven=accept)], Forger("n", forge)).run()["a"]
    assert (row["status"], row["class"], row["proof"]) == ("unproven", None, None)
    assert row["signature"] == "wrong"
    assert "its signature is wrong" in row["message"]


def test_the_signature_of_a_failure_is_not_looked_at(call):
    failed = PlayedNode("n", ends={"class": "agent", "proof": None, "exit_status": 4})
    failed.signed = lambda row: row
    row = call([JOB], failed).run()["a"]
    assert (row["status"], row["class"], row["signature"]) == ("failed", "agent", None)


def test_the_signature_of_another_attempt_is_a_wrong_one(call):
    node = PlayedNode("n", ends=None)
    made = call([JOB], node)
    made.start()
    attempt = made.wait_for_state("running")
    node.keys["u-other"] = node.keys[attempt]
    poll = node.next_poll()
    poll.tell({**end_of(attempt), "signature": node.signed(end_of("u-other"))["signature"]})
    assert made.rows()["a"]["status"] == "unproven"


def test_a_good_end_with_the_right_signature_is_a_success_and_says_so(call):
    row = call([JOB], PlayedNode("n")).run()["a"]
    assert (row["status"], row["signature"]) == ("success", "valid")


def test_an_attempt_that_was_taken_over_is_a_success_that_is_called_unsigned(call):
    found = left_behind(adopted=True)
    node = PlayedNode("n", fence=[RUNNING])
    made = call([JOB], node)
    made.start([found])
    made.wait_for_state("running")
    node.end(found.attempt)
    row = made.rows()["a"]
    assert (row["status"], row["signature"]) == ("success", "unsigned")
    assert any(line[3].startswith("success (unsigned)") for line in made.lines)


def test_without_its_key_a_run_goes_on_unsigned(call):
    found = left_behind()
    Path(run_folder(RUN), "key").unlink()
    node = PlayedNode("n", fence=[VOID])
    row = call([JOB], node).run([found])["a"]
    assert [request.get("key") for request in node.requests("start")] == [None]
    assert (row["status"], row["signature"]) == ("success", "unsigned")


# -- nodes that are no candidates, and replies that make no sense


def test_after_a_job_that_did_not_start_here_the_controller_does_the_next_one(call, monkeypatch):
    """candidates.py gives Quarantines the keys of nodes without localhost, as here."""
    play_fleet = played_run.play_fleet

    def with_fallback(links, _nodes, **more):
        more["quarantines"] = Quarantines({})
        return play_fleet(links, [], fallback=Node("localhost", local=True), **more)

    monkeypatch.setattr(played_run, "play_fleet", with_fallback)
    no_start = {"state": "ended", "class": "start", "message": "no agent", "store": "s"}
    rows = call(JOBS[:2], PlayedNode("localhost", start=[no_start]), nodes=[]).run()
    assert rows["b"]["status"] == "success"


def test_a_node_that_left_the_play_and_stays_silent_loses_its_job_and_nothing_else(call):
    """run.py gives the engine nodes that are no candidates; Quarantines has no key of theirs."""
    found = left_behind()
    node = PlayedNode("n", fence=[LinkError("timed out")] * 99)
    node.on_poll = lambda poll: poll.break_off(LinkError("timed out"))
    gone = Node("n", "unreachable", "not among the hosts of this play")
    made = call([JOB], node, nodes=[gone], lost_after=0.05)
    object.__setattr__(made.fleet, "quarantines", Quarantines({}))
    assert made.run([found])["a"]["status"] == "lost"


def test_a_fence_whose_reply_makes_no_sense_is_not_asked_again_without_a_pause(call):
    odd = end_of("x", seconds="long")
    node = PlayedNode("n", start=[LinkError("timed out")], fence=[odd] * 100_000)
    call([JOB], node, lost_after=0.2).run()
    assert len(node.requests("fence")) < 20


def test_an_acknowledgement_goes_out_after_its_job_s_end_is_in_the_journal(call, monkeypatch):
    monkeypatch.setattr(_engine, "ACKS_AT_ONCE", 1)
    finished = []
    made = None

    def look(_request):
        finished.append(len(made.journal("finish")))
        return {"state": "acknowledged"}

    made = call([JOB], PlayedNode("n", ack=[look]), nodes=[measured("n")])
    append = made.record.append

    def slow_append(kind, **data):
        # The disk is slow: what was submitted before is done by then.
        if kind == "finish":
            time.sleep(0.1)
        append(kind, **data)

    made.record.append = slow_append
    made.run()
    assert finished == [1]


# -- links


def test_a_link_is_made_once_however_many_threads_need_it(call):
    made = []

    def make_link(name):
        made.append(name)
        return PlayedLink(name)

    links = _verbs.Links(make_link)
    assert links.open_to("n") is None
    assert links.to("n") is links.to("n") is links.open_to("n") and made == ["n"]
    links.to("n").connected = False
    assert links.open_to("n") is None


# -- nodes that give no answer


@pytest.fixture
def soon_late(monkeypatch):
    monkeypatch.setattr(_patience, "LEAST_SECONDS", 0.05)
    monkeypatch.setattr(_engine, "LATE_CHECK", 0.01)


class Silent:
    """A claim that is answered only when the test says so."""

    def __init__(self, reply):
        self.reply = reply
        self.answers = threading.Event()

    def __call__(self, _request):
        self.answers.wait(AT_MOST)
        return self.reply


def test_a_claim_that_is_late_is_withdrawn_and_its_job_goes_elsewhere_at_once(call, soon_late):
    silent = Silent(CLAIMED)
    dead = PlayedNode("dead", claim=[silent])
    made = call([shell_job("a", attempts=1)], dead, PlayedNode("good"))
    made.start()
    wait_for(lambda: "ended" in made.states(), "the end of the job")
    silent.answers.set()
    row = made.rows()["a"]
    assert (row["status"], row["node"]) == ("success", "good")
    assert len(row["attempts"]) == 1
    assert ("a", "place", "dead") in [line[:3] for line in made.lines]


def test_what_a_late_claim_was_given_is_given_back_when_its_node_answers(call, soon_late):
    silent = Silent(CLAIMED)
    slow = PlayedNode("slow", claim=[silent])
    good = PlayedNode("good", ends=None)
    made = call([JOB], slow, good)
    made.start()
    attempt = made.wait_for_state("running")
    late = slow.requests("claim")[0]["attempt"]
    silent.answers.set()
    wait_for(lambda: slow.requests("release") == [{"attempt": late}], "the release")
    wait_for(lambda: ("", "wait", "slow", "back in contact") in made.lines, "the contact")
    good.end(attempt)
    assert made.rows()["a"]["status"] == "success"


@pytest.mark.parametrize("error", [LinkError("timed out"), KeyError("a mistake of ours")])
def test_a_node_that_never_answers_a_late_claim_is_quarantined(call, soon_late, error):
    silent = Silent(error)
    dead = PlayedNode("dead", claim=[silent])
    good = PlayedNode("good", ends=None)
    made = call([JOB], dead, good)
    made.start()
    attempt = made.wait_for_state("running")
    silent.answers.set()
    known = made.fleet.quarantines
    wait_for(lambda: [each.node for each in known.known()] == ["dead"], "the quarantine")
    good.end(attempt)
    assert made.rows()["a"]["status"] == "success"


def test_a_claim_on_this_machine_is_never_late(call, soon_late):
    def slow(_request):
        time.sleep(0.2)
        return CLAIMED

    here = PlayedNode("here", claim=[slow])
    here.is_local = True
    made = call([JOB], here)
    assert made.run()["a"]["status"] == "success"
    assert len(here.requests("claim")) == 1


def test_a_sync_in_which_no_byte_moves_costs_no_attempt_and_its_node_is_asked(call, monkeypatch):
    def stall(*_words):
        raise TransferError("unreachable", "timeout in data send/receive", is_stalled=True)

    def send(link, *_words):
        return stall() if link.name == "dead" else Sent(0, 0)

    monkeypatch.setattr(_verbs, "send_project", send)
    project = Project("/p")
    exclusions = {"/p": Exclusions(project, (), (), {}, ())}
    dead = PlayedNode("dead", release=[LinkError("timed out")])
    jobs = [shell_job("a", project="/p", attempts=1)]
    made = call(jobs, dead, PlayedNode("good"), exclusions=exclusions)
    row = made.run()["a"]
    assert (row["status"], row["node"]) == ("success", "good")
    assert dead.requests("release")
