"""A job that several agents may do: which of them is taken, and when the next one's turn is."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import messages as ev
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import (
    Need,
    Node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.plan import plan_work
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.scheduler import (
    BUSY_PAUSE,
    BUSY_TRIES,
)
from scheduling import (
    begin,
    ended,
    ends,
    enqueued,
    failed,
    feed,
    job,
    node,
    notes,
    of_type,
    refused,
    scheduler,
    unreachable,
    up_to_running,
    up_to_sent,
    whole_walk,
)


def order(name="job", agents=("claude", "codex"), **more):
    need = {key: more.pop(key) for key in ("node", "nodes") if key in more}
    choices = tuple(ev.Choice(Need(agent, **need), agent) for agent in agents)
    return job(name, choices[0].need, account=choices[0].account, choices=choices, **more)


def having(name, *agents, **more):
    return node(name, agents=frozenset(agents), **more)


def is_busy(attempt, **more):
    return ended(attempt, "quota", "Overloaded", proof=None, kind="busy", **more)


def assigned(commands):
    """(job, agent, node) of what was placed."""
    return [(each.job, each.agent, each.node) for each in of_type(commands, ev.Assigned)]


def test_the_first_agent_that_a_free_node_can_run_is_taken():
    nodes = [having("a", "codex"), having("b", "codex", "claude")]
    # b is fuller, but has the first.
    tested = scheduler([order()], [nodes[0], having("b", "claude", cpu=0.9)])
    assert assigned(begin(tested)) == [("job", "claude", "b")]
    tested = scheduler([order()], [having("a", "codex"), having("b", "gummy")])
    assert assigned(begin(tested)) == [("job", "codex", "a")]
    # A full node's first agent is not waited for where a free one has the second.
    full = having("b", "claude", slots=1, busy=1)
    assert assigned(begin(scheduler([order()], [nodes[0], full]))) == [("job", "codex", "a")]


def test_where_no_node_is_free_it_waits_for_whichever_comes_first():
    full = [having("a", "claude", slots=1, busy=1), having("b", "codex", slots=1, busy=1)]
    tested = scheduler([order()], full)
    commands = begin(tested)
    # It waits on the waitlists of both, and the node of the second has a slot first.
    assert (assigned(commands), enqueued(commands)) == ([], ["a", "b"])
    assert assigned(feed(tested, ev.Granted("b"))) == [("job", "codex", "b")]


def test_a_job_that_has_not_begun_goes_on_with_the_next_when_an_account_is_used_up():
    nodes = [having("a", "claude", "codex", slots=1), having("b", "claude", "codex", slots=1)]
    tested = scheduler([order("one"), order("two"), order("three")], nodes)
    begun = begin(tested)
    assert [agent for _job, agent, _node in assigned(begun)] == ["claude", "claude"]
    limit = {"failure": "quota", "proof": None, "kind": "reset", "pause": 3600.0}
    commands = feed(tested, *up_to_running("1"), *up_to_running("2"))
    commands = feed(tested, ended("1", **limit), ended("2", **limit))
    placed = assigned(commands)
    assert placed and {agent for _job, agent, _node in placed} == {"codex"}
    # Those that had met the limit go on with it as well, once their work is at home.
    commands += feed(tested, ev.Fetched("1"), ev.Fetched("2"))
    for attempt in ("3", "4", "5"):
        commands += feed(tested, *whole_walk(attempt))
    assert ends(commands) == {name: ("success", None) for name in ("one", "two", "three")}


def test_one_node_s_word_is_enough_for_that_node():
    tested = scheduler([order("one"), order("two")], [having("a", "claude", "codex", slots=1)])
    begin(tested, *up_to_running("1"))
    limit = {"failure": "quota", "proof": None, "kind": "credit"}
    commands = feed(tested, ended("1", **limit), ev.Fetched("1"))
    assert [agent for _job, agent, _node in assigned(commands)] == ["codex"]


def test_where_all_accounts_are_used_up_it_waits_for_one_that_comes_back():
    tested = scheduler([order(attempts=9)], [having("a", "claude", "codex")])
    begin(tested, *up_to_running("1"))
    out = {"failure": "quota", "proof": None}
    feed(tested, ended("1", kind="credit", **out), ev.Fetched("1"), *up_to_running("2"))
    limit = {"kind": "reset", "pause": 600.0}
    commands = feed(tested, ended("2", **out, **limit), ev.Fetched("2"))
    assert assigned(commands) == [] and ends(commands) == {}
    assert assigned(feed(tested, 601.0)) == [("job", "codex", "a")]


def test_who_is_logged_out_leaves_its_place_to_the_next():
    tested = scheduler([order()], [having("a", "claude", "codex")])
    begin(tested, *up_to_running("1"))
    commands = feed(tested, ended("1", "login", "not logged in", proof=None), ev.Fetched("1"))
    assert assigned(commands) == [("job", "codex", "a")]


def test_a_node_that_others_fill_first_is_waited_for_beside_that_of_the_first():
    nodes = [having("a", "claude", slots=1, busy=1), having("b", "codex", slots=1)]
    tested = scheduler([order()], nodes)
    assert assigned(begin(tested)) == [("job", "codex", "b")]
    # Somebody else was faster there.
    commands = feed(tested, ev.Busy("1"))
    assert (assigned(commands), enqueued(commands)) == ([], ["a", "b"])
    assert assigned(feed(tested, ev.Granted("b"))) == [("job", "codex", "b")]


def test_a_busy_service_leaves_its_place_to_the_next_and_costs_no_attempt():
    nodes = [having("a", "claude", "codex", slots=1)]
    tested = scheduler([order(attempts=1)], nodes)
    begin(tested, *up_to_running("1"))
    commands = feed(tested, is_busy("1"), ev.Fetched("1"))
    assert assigned(commands) == [("job", "codex", "a")]
    assert any("goes on with another of its agents" in note for note in notes(commands))
    # The other's is busy as well: whichever may be asked again first is.
    feed(tested, *up_to_running("2"))
    assert assigned(feed(tested, is_busy("2", pause=40.0), ev.Fetched("2"))) == []
    assert assigned(feed(tested, BUSY_PAUSE - 1)) == []
    assert assigned(feed(tested, BUSY_PAUSE)) == [("job", "claude", "a")]


def test_a_service_that_was_too_busy_too_often_is_left_alone_and_the_last_ends_the_job():
    tested = scheduler([order(attempts=1)], [having("a", "claude", "codex", slots=1)])
    begin(tested)
    # The second is slow to come back, so the first is asked until it has had its turns.
    agents = []
    now = 0.0
    for attempt in map(str, range(1, 2 * BUSY_TRIES + 1)):
        events = [*up_to_running(attempt), is_busy(attempt), ev.Fetched(attempt)]
        commands = feed(tested, *events, now=now)
        while not assigned(commands) and not ends(commands):
            now += 5.0
            commands = feed(tested, now)
        agents += [agent for _job, agent, _node in assigned(commands)]
    assert agents.count("claude") == BUSY_TRIES - 1 and agents.count("codex") == BUSY_TRIES
    assert ends(commands) == {"job": ("failed", "quota")}


def test_a_given_up_service_keeps_no_job_waiting_when_the_others_can_not_do_it_either():
    tested = scheduler([order()], [having("a", "claude", "codex", slots=1)])
    begin(tested, *up_to_running("1"))
    feed(tested, is_busy("1", pause=1e6), ev.Fetched("1"), *up_to_running("2"))
    commands = feed(tested, ended("2", "login", "not logged in", proof=None), ev.Fetched("2"))
    assert ends(commands) == {"job": ("failed", "login")}


def test_an_agent_that_a_node_refuses_leaves_its_place_there_to_the_next():
    tested = scheduler([order()], [having("a", "claude", "codex", slots=1)])
    begin(tested, *up_to_sent("1"))
    refusal = refused("1", kind="agent", message="agent claude refuses to run as root")
    commands = feed(tested, refusal, ev.ProvedVoid("1"))
    assert assigned(commands) == [("job", "codex", "a")]
    assert not of_type(commands, ev.Quarantine)
    feed(tested, *up_to_sent("2"))
    events = [refused("2", kind="agent", message="no codex"), ev.ProvedVoid("2")]
    commands = feed(tested, *events)
    assert ends(commands) == {"job": ("failed", "refused")}


def test_a_quarantine_of_the_first_s_node_is_not_waited_for_before_a_slot_of_the_second_s():
    local = Node("localhost", local=True, agents=frozenset({"claude"}))
    nodes = [having("a", "claude"), having("b", "codex", slots=1, busy=1)]
    tested = scheduler([order()], nodes, fallback=local)
    begin(tested)
    commands = feed(tested, failed("1"))
    assert (assigned(commands), enqueued(commands)) == ([], ["b"])
    assert assigned(feed(tested, ev.Granted("b"))) == [("job", "codex", "b")]


def test_what_no_node_can_do_with_any_of_them_ends_as_with_the_first():
    tested = scheduler([order()], [having("a", "gummy")], local_fallback=False)
    commands = begin(tested)
    assert ends(commands) == {"job": ("failed", "refused")}
    (finish,) = of_type(commands, ev.Finish)
    assert "no usable claude" in finish.message


def test_the_controller_takes_what_only_it_can_run():
    local = Node("localhost", local=True, agents=frozenset({"codex"}))
    tested = scheduler([order()], [having("a", "gummy")], fallback=local)
    assert assigned(begin(tested)) == [("job", "codex", "localhost")]
    tested = scheduler([order(node="local")], [having("a", "claude")], fallback=local)
    assert assigned(begin(tested)) == [("job", "codex", "localhost")]


def test_jobs_of_one_order_are_one_class_and_others_go_by_their_own():
    work = [order(f"job-{number}") for number in range(4)]
    work.append(order("other", ("codex", "claude")))
    work.append(job("plain", Need("claude"), account="claude"))
    nodes = [having("a", "claude", slots=9), having("b", "codex", slots=9)]
    placed = {name: agent for name, agent, _node in assigned(begin(scheduler(work, nodes)))}
    assert placed == {
        **{f"job-{number}": "claude" for number in range(4)},
        "other": "codex",
        "plain": "claude",
    }


def test_the_plan_tells_which_agent_it_would_be():
    rows = plan_work([order("one"), order("two")], [having("a", "codex"), having("b", "gummy")])
    assert [(row["name"], row["agent"], row["node"]) for row in rows] == [
        ("one", "codex", "a"),
        ("two", "codex", "a"),
    ]


def test_an_offline_controller_does_itself_what_one_of_the_agents_lets_it():
    local = Node("localhost", local=True, agents=frozenset({"codex"}))
    nodes = [having("a", "claude"), having("b", "claude")]
    tested = scheduler([order()], nodes, fallback=local)
    begin(tested)
    commands = feed(tested, failed("1"))
    now = 0.0
    while not ends(commands) and assigned(commands)[-1:] != [("job", "codex", "localhost")]:
        now += 5.0
        assert now < 100.0, notes(commands)
        answers = [failed(claim.attempt) for claim in of_type(commands[-5:], ev.Claim)]
        commands += feed(tested, now, unreachable("a", "b"), *answers, now=now)
    assert ends(commands) == {}
