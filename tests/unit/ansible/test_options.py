"""What people typed becomes a request for a fleet, or says what is wrong with it."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from ansible.template import trust_as_template
from ansible.utils.display import Display
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible import options as _options
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.options import (
    check_names,
    find_option,
    find_project,
    find_request,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import play_fleet


@pytest.fixture(autouse=True)
def homes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def action(*extra_vars, **more):
    manager = SimpleNamespace(extra_vars=dict.fromkeys(extra_vars, 1))
    return SimpleNamespace(_task=SimpleNamespace(get_variable_manager=lambda: manager), **more)


def request(fleet, **settings):
    settings = {"gummy_command": "make", "gummy_agent": "shell", **settings}
    return find_request(action(), settings, fleet)


def nodes(*systems):
    return [Node(f"n{number}", os=system) for number, system in enumerate(systems)]


def test_settings_of_the_play_make_a_request_for_the_fleet(homes):
    found = request(play_fleet({}, nodes(None)), gummy_project=str(homes))
    (job,) = found.jobs
    assert (job.command, job.agent, job.project) == ("make", "shell", os.path.realpath(homes))


def test_a_configuration_of_ansible_s_that_lies_in_a_job_s_project_is_told(homes, monkeypatch):
    project = homes / "project"
    project.mkdir()
    config = str(project / "ansible.cfg")
    monkeypatch.setattr(_options.C, "CONFIG_FILE", config)
    (note,) = request(play_fleet({}, nodes(None)), gummy_project=str(project)).notes
    assert config in note and "ANSIBLE_CONFIG" in note

    # A neighbour whose name begins alike, no project, no configuration.
    neighbour = homes / "project-2"
    neighbour.mkdir()
    for settings in ({"gummy_project": str(neighbour)}, {"gummy_project": "none"}):
        assert request(play_fleet({}, nodes(None)), **settings).notes == ()
    monkeypatch.setattr(_options.C, "CONFIG_FILE", None)
    assert request(play_fleet({}, nodes(None)), gummy_project=str(project)).notes == ()


def test_a_template_in_the_vars_of_a_play_is_refused_and_what_is_data_or_from_minus_e_is_not():
    fleet = play_fleet({}, nodes(None))
    text = trust_as_template("say {{ this }}")
    jobs = [{"command": "make"}, {"command": text}]
    with pytest.raises(InputError) as refused:
        request(fleet, gummy_command=text, gummy_jobs=jobs)
    first, second = refused.value.problems
    assert "gummy_command: it has an open '{{'" in first and "the option command of" in first
    assert "gummy_jobs: 2: command: it has" in second and "the option jobs of" in second

    # Data of set_fact, -e, and what an option says in its place.
    assert request(fleet, gummy_command="say {{ this }}").jobs[0].command == "say {{ this }}"
    settings = {"gummy_command": text, "gummy_agent": "shell"}
    (job,) = find_request(action("gummy_command"), settings, fleet).jobs
    assert job.command == "say {{ this }}"
    (job,) = find_request(action(), settings, fleet, {"command": "make"}).jobs
    assert job.command == "make"


def test_words_of_minus_e_are_read_as_they_were_typed(monkeypatch):
    monkeypatch.setattr(_options, "extra_vars", lambda: ["gummy_command=build"])
    (job,) = request(play_fleet({}, nodes(None))).jobs
    assert job.command == "build"


def test_without_nodes_only_work_for_this_machine_is_a_request():
    fleet = play_fleet({}, fallback=Node("localhost", local=True))
    with pytest.raises(InputError, match="no node is among the hosts of this play"):
        request(fleet)
    assert request(fleet, gummy_node="local").jobs[0].node in ("local", "localhost")


def test_a_job_for_each_system_asks_the_nodes_whose_system_is_not_known():
    asked = []

    def measure(name, link):
        asked.append(name)
        return Node(name, os="darwin")

    links = {"n0": None, "n1": None}
    fleet = play_fleet(links, nodes("linux", None), measure=measure)
    assert len(request(fleet, gummy_each="os").jobs) == 2 and asked == ["n1"]


def test_a_value_that_is_to_be_passed_has_to_be_there_unless_the_run_goes_on(homes, monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    fleet = play_fleet({}, nodes(None))
    settings = {"gummy_pass_env": ["TOKEN"], "gummy_run_id": "r"}
    with pytest.raises(InputError, match="TOKEN"):
        request(fleet, **settings)
    os.makedirs(homes / "state" / "distributed-gummy" / "runs" / "r")
    assert request(fleet, **settings).jobs[0].pass_env == ("TOKEN",)


def test_extra_variables_that_look_like_settings_and_are_none_are_input_errors():
    check_names(action("gummy_job", "mine"))
    check_names(SimpleNamespace(_task=SimpleNamespace()))
    with pytest.raises(InputError, match="gummy_jbo"):
        check_names(action("gummy_jbo"))


def test_the_project_of_a_sync_is_a_real_path_none_or_an_input_error(homes):
    assert find_project({}, {}) == os.path.realpath(homes)
    assert find_project({}, {"gummy_project": "none"}) is None
    with pytest.raises(InputError, match="gummy_project: "):
        find_project({}, {"gummy_project": "nowhere"})
    with pytest.raises(InputError, match="^project: "):
        find_project({"project": "nowhere"}, {"gummy_project": str(homes)})


def test_an_option_counts_before_the_setting_and_is_read_as_one(monkeypatch):
    warned = []
    monkeypatch.setattr(Display, "warning", lambda _display, text: warned.append(text))
    settings = {"gummy_job": "of-setting", "gummy_harvest_limit": "1GB"}
    assert find_option({"job": None}, settings, "job") == "of-setting"
    assert find_option({"job": "r/mine"}, settings, "job") == "r/mine"
    assert find_option({"job": "mine"}, {"gummy_job": " "}, "job") == "mine"
    assert find_option({"harvest_limit": "500MB"}, settings, "harvest_limit") == 500_000_000
    assert warned == [
        "gummy_job does not count: the task has the option job",
        "gummy_harvest_limit does not count: the task has the option harvest_limit",
    ]
    # Given and blank it says that nothing is meant, whatever the setting is.
    assert find_option({"job": ""}, settings, "job") is None
    with pytest.raises(InputError, match="^harvest_limit: 'much' is no size"):
        find_option({"harvest_limit": "much"}, settings, "harvest_limit")
    with pytest.raises(InputError, match="^gummy_harvest_limit: "):
        find_option({}, {"gummy_harvest_limit": "much"}, "harvest_limit")
