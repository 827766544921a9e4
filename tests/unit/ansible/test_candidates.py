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


def found(hosts, batch=None, password=None, **variables):
    """hosts: name -> variables; localhost is always known."""
    task_vars = {
        "hostvars": HostVars({"localhost": {}, **hosts}),
        "ansible_play_hosts_all": list(hosts),
        "ansible_play_batch": list(hosts if batch is None else batch),
        **variables,
    }
    action = SimpleNamespace(_task=Task(), _play_context=SimpleNamespace(password=password))
    return find_fleet(action, task_vars)


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
    monkeypatch.setattr(_candidates, "match", lambda _action, _vars, pattern: [pattern, "other"])
    assert found({"a": {}, "b": {}}, gummy_nodes="b").names == ("b",)
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


def test_a_play_in_batches_is_refused():
    with pytest.raises(InputError, match="remove serial"):
        found({"a": {}, "b": {}}, batch=["a"])
