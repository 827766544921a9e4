"""From Ansible's hosts and their variables to the fleet, without a playbook."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.playbook.task import Task
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible import (
    candidates as _candidates,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.candidates import (
    find_fleet,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.connect import settings_of
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError

FACTS = {"state": "measured", "cpus": 8, "slots": {"total": 4, "busy": 1}}


class HostVars(dict):
    """Ansible's: with templates done, or raw."""

    raw_get = dict.__getitem__


@pytest.fixture(autouse=True)
def homes(tmp_path, monkeypatch):
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


class Inventory:
    """Ansible's, for patterns that are names or `all`."""

    def __init__(self, names, limit):
        self.names = names
        self.limit = names if limit is None else limit

    def get_hosts(self, pattern, ignore_limits=False, ignore_restrictions=False):
        assert ignore_restrictions
        words = self.names if pattern == "all" else pattern.split(",")
        known = self.names if ignore_limits else self.limit
        return [SimpleNamespace(name=name) for name in words if name in known]


def found(hosts, failed=(), password=None, nodes=None, play=None, limit=None, **variables):
    """hosts: name -> variables; localhost is always known. play: names of the play's hosts."""
    task_vars = {
        "hostvars": HostVars({"localhost": {}, **hosts}),
        # Ansible runs an action in the name of the first host, if it runs once for all.
        "inventory_hostname": next(iter(play or hosts)),
        "ansible_play_hosts_all": list(play or hosts),
        "ansible_play_hosts": [name for name in play or hosts if name not in failed],
        **variables,
    }
    inventory = Inventory([name for name in hosts if name != "localhost"], limit)
    task = Task()
    task.get_variable_manager = lambda: SimpleNamespace(_inventory=inventory)
    action = SimpleNamespace(_task=task, _play_context=SimpleNamespace(password=password))
    return find_fleet(action, task_vars, nodes)


def test_hosts_are_nodes_and_localhost_is_the_fallback_of_a_play_that_holds_it():
    fleet = found({"b": {}, "localhost": {}, "a": {}})
    assert fleet.names == ("b", "a") and fleet.fallback.local
    assert found({"a": {}}).fallback is None
    assert fleet.make_link("localhost").probe_argv(1.0) == ["/bin/sh", "-s"]
    assert fleet.make_link("a").host == "a"


def test_what_the_inventory_measured_counts_unless_the_play_leads_elsewhere():
    via = settings_of({"ansible_host": "x"}, Task())
    known, elsewhere = found(
        {
            "a": {"ansible_host": "x", "gummy_facts": {**FACTS, "via": via}},
            "b": {"ansible_host": "y", "gummy_facts": {**FACTS, "via": via}},
        }
    ).nodes
    assert (known.state, known.slots, known.busy) == ("measured", 4, 1)
    assert elsewhere.state == "unknown"


def test_slots_of_the_config_file_count_more_than_measured_ones(homes):
    folder = homes / "XDG_CONFIG_HOME" / "distributed-gummy"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("nodes: {a: {slots: 9}}\n")
    (node,) = found({"a": {"gummy_facts": FACTS}}).nodes
    assert (node.slots, node.busy) == (9, 1)


def test_gummy_nodes_chooses_among_the_play_s_hosts(monkeypatch):
    monkeypatch.setattr(
        _candidates, "match", lambda _action, _vars, pattern: [*pattern.split(","), "other"]
    )
    assert found({"a": {}, "b": {}}, gummy_nodes="b").names == ("b",)
    # In a file of -e it may be a list.
    assert found({"a": {}, "b": {}, "c": {}}, gummy_nodes=["a", "c"]).names == ("a", "c")
    with pytest.raises(InputError, match="gummy_nodes: 1.5 is no text"):
        found({"a": {}}, gummy_nodes=1.5)
    with pytest.raises(InputError, match="gummy_nodes=c matches no host"):
        found({"a": {}}, gummy_nodes="c")


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        ({"a": {"gummy_prompt": "x"}}, "gummy_prompt is set for host a alone"),
        ({"a": {"ansible_become": True}}, "a is set to become another user"),
    ],
)
def test_settings_that_can_not_count_are_input_errors(hosts, sentence):
    with pytest.raises(InputError, match=sentence):
        found(hosts)


def test_a_setting_of_the_host_in_whose_name_the_action_runs_would_count_for_the_chosen_ones(
    monkeypatch,
):
    monkeypatch.setattr(_candidates, "match", lambda _action, _vars, pattern: [pattern])
    with pytest.raises(InputError, match="gummy_prompt is set for host a alone"):
        found({"a": {"gummy_prompt": "x"}, "b": {}}, gummy_nodes="b")
    assert found({"b": {}, "a": {"gummy_prompt": "x"}}, gummy_nodes="b").names == ("b",)


def test_a_setting_that_all_hosts_have_is_no_leak_and_a_template_is_looked_at_later():
    common = {"gummy_prompt": "x"}
    assert found({"localhost": common, "a": common}).names == ("a",)
    fleet = found({"a": {"ansible_connection": "{{ kind }}"}})
    with pytest.raises(LinkError):
        fleet.make_link("a")


def test_leaks_are_told_before_hosts_that_are_no_nodes_and_five_problems_at_most():
    hosts = {f"n{number}": {"ansible_become": True} for number in range(4)}
    hosts["n4"] = {"gummy_prompt": "x", "ansible_become": True}
    with pytest.raises(InputError) as refused:
        found(hosts)
    assert len(refused.value.problems) == 5 and "gummy_prompt" in refused.value.problems[0]


def test_a_host_that_failed_earlier_is_no_candidate():
    hosts = {"a": {}, "b": {}, "c": {}}
    assert found(hosts, failed=["b"]).names == ("a", "c")
    assert found(hosts, failed=["b"], nodes=["all"]).names == ("a", "c")
    with pytest.raises(InputError, match="every host of it failed earlier in this play: b"):
        found(hosts, failed=["b"], nodes="b")


def test_the_option_nodes_means_the_whole_inventory_as_far_as_a_limit_leaves_it(monkeypatch):
    hosts = {"localhost": {}, "a": {}, "b": {}}
    fleet = found(hosts, play=["localhost"], nodes=["all"])
    assert fleet.names == ("a", "b") and fleet.fallback is None
    assert found(hosts, play=["localhost"], nodes=["b"]).names == ("b",)
    assert found(hosts, play=["localhost"], nodes=["all"], limit=["a"]).names == ("a",)

    monkeypatch.setattr(_candidates.context, "CLIARGS", {"subset": "localhost"})
    with pytest.raises(InputError, match="--limit localhost leaves none.* --limit localhost:a"):
        found(hosts, play=["localhost"], nodes=["all"], limit=[])
    with pytest.raises(InputError, match="'c' matches no host of the inventory"):
        found(hosts, play=["localhost"], nodes=["c"])


def test_nodes_outside_of_the_play_are_reached_by_their_own_variables():
    hosts = {"localhost": {}, "a": {"ansible_host": "x"}}
    assert found(hosts, play=["localhost"], nodes=["a"]).make_link("a").host == "x"
    with pytest.raises(InputError, match="a is set to become another user"):
        found({"a": {"ansible_become": True}}, play=["localhost"], nodes="a")
