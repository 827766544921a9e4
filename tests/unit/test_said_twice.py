"""What must stand twice, for it runs where the other side's code is not, says the same both times.

The controller, the node program, what a shell of the node runs, and the role `local_fleet`.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pathlib
import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import BadValue
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import paths, run_files
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import (
    config,
    keys,
    nodes,
    pricing,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import link
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.shell_path import SHELL_PATH
from ansible_collections.distributed.gummy.plugins.plugin_utils._load import facts, probe
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import (
    agents,
    beside,
    durations,
    launch,
    places,
    row,
    store,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import harvest as node_harvest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import setup as node_setup
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import harvest_files
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import resume
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule import (
    durations as schedule_durations,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import costs, report, text

ROOT = pathlib.Path(__file__).resolve().parents[2]

PROGRAMS = sorted({program for agent in agents.AGENTS.values() for program in agent.programs})
SETS = [
    list(some)
    for count in range(len(PROGRAMS) + 1)
    for some in itertools.combinations(PROGRAMS, count)
]


def test_every_agent_of_the_table_can_be_asked_for_and_configured() -> None:
    assert set(agents.AGENTS) == set(keys.JOB_KEYS["agent"].choices) == set(config.AGENT_SETTINGS)


def test_what_can_be_set_for_an_agent_is_what_its_row_takes() -> None:
    for name, agent in agents.AGENTS.items():
        assert set(agent.settings) == set(config.AGENT_SETTINGS[name]) - {"account"}
        # What has an account can be logged out of it.
        assert bool(agent.login_program) == (name in config.QUOTA_AGENTS)


def test_how_an_agent_is_held_to_a_budget_is_what_its_row_does() -> None:
    assert {row.FREE, row.CAPPED, row.LIVE} == {pricing.FREE, pricing.CAPPED, pricing.LIVE}
    assert {
        name: agent.pricing
        for name, agent in agents.AGENTS.items()
        if agent.pricing != row.UNPRICED
    } == pricing.PRICING
    # What is shown as costing nothing.
    assert [name for name, kind in pricing.PRICING.items() if kind == pricing.FREE] == [costs.FREE]


def test_durations_are_said_in_the_same_words_by_nodes_scheduler_and_summary() -> None:
    steps = [-5, 0, 0.04, 0.06, 9.94, 9.96, 59.9, 90, 599, 600, 3599, 3600, 172_799, 172_800, 1e7]
    for seconds in [*steps, *(1.17**power for power in range(100))]:
        words = text.spoken(seconds)
        assert durations.spoken(seconds) == words
        assert schedule_durations.spoken(seconds) == words


def test_what_people_are_told_to_go_on_with_is_what_a_run_takes_up() -> None:
    assert report.TAKEN_UP_AGAIN | {"harvest"} == resume.TAKEN_UP_AGAIN


def test_the_log_of_a_setup_is_called_by_one_name() -> None:
    assert run_files.SETUP_LOG == node_setup.LOG


def test_what_is_let_in_of_a_harvest_is_what_the_node_program_writes() -> None:
    assert harvest_files.ARTIFACTS == beside.ARTIFACTS
    assert harvest_files.NESTED == beside.NESTED
    written = {"log", node_setup.LOG, "report.md", "result.json", *node_harvest.OUTPUTS}
    assert harvest_files.KNOWN | {harvest_files.ARTIFACTS, harvest_files.NESTED} == written


def test_the_probe_and_the_node_program_look_into_the_same_folders(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = [pathlib.Path(os.path.expanduser(folder)) for folder in places.USUAL]
    for folder in folders:
        if folder.is_relative_to(tmp_path):
            folder.mkdir(parents=True)
    script = f'{SHELL_PATH}\nusual_path; printf %s "$usual"'
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split(":") == [str(folder) for folder in folders if folder.is_dir()]


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("there", SETS, ids=lambda there: "+".join(there) or "nothing")
def test_what_the_probe_calls_usable_is_what_the_node_would_start(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, there: list[str], root: bool
) -> None:
    for program in there:
        (tmp_path / program).touch(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.delenv("IS_SANDBOX", raising=False)
    words = " ".join([*there, *(["is-root"] if root and "claude" in there else [])])
    probed = probe.parse(f"@gummy-probe programs {words} @end\n").agents
    assert probed is not None
    assert {*probed, "shell"} == {
        name for name in agents.AGENTS if agents.unusable(name, str(tmp_path)) is None
    }


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "GUMMY_X",
        "GIT_CEILING_DIRECTORIES",
        "A-B",
        "1A",
        "PATHS",
        "home",
        "_",
        "GUMMY",
        "TOKEN",
    ],
)
def test_both_sides_refuse_the_same_names_of_variables(name: str) -> None:
    try:
        keys.coerce(keys.JOB_KEYS["pass_env"], [name])
    except BadValue:
        assert not launch.PASSED.match(name)
    else:
        assert launch.PASSED.match(name)


# Where the state lives


@pytest.fixture(params=["unset", "empty", "set"])
def home(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> pathlib.Path:
    """A user's home, with XDG_STATE_HOME in each of the states that it may be in."""
    monkeypatch.setenv("HOME", str(tmp_path / "a home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if request.param == "empty":
        monkeypatch.setenv("XDG_STATE_HOME", "")
    elif request.param == "set":
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a state's home"))
    return tmp_path


def sh(script: str) -> str:
    words = ["/bin/sh", "-s"]
    return subprocess.run(words, input=script, capture_output=True, text=True, check=True).stdout


def test_the_node_program_has_the_state_where_the_controller_has_it(home: pathlib.Path) -> None:
    mask = os.umask(0)
    try:
        root = store.Store().root
    finally:
        os.umask(mask)
    assert root == os.path.join(paths.state_home(), store.machine_id())


def test_the_first_script_of_a_link_finds_the_program_in_the_same_state(home: pathlib.Path) -> None:
    printed = sh(f"set -- 0 python3\n{link.hello()}")
    assert f"\x1estate={paths.state_home()}\n" in printed


def test_the_guess_of_a_link_starts_the_program_of_the_same_state(home: pathlib.Path) -> None:
    printed = sh("set -- code\n" + link.GUESS.format(python="printf '%s|'", installed="0"))
    assert printed.split("|")[3:5] == ["code", os.path.join(paths.state_home(), "bin", "0.zip")]


def test_the_probe_counts_the_slots_of_the_same_state(home: pathlib.Path) -> None:
    slots = pathlib.Path(paths.state_home(), store.machine_id(), "slots")
    slots.mkdir(parents=True)
    (slots / "0").write_text(f"{os.getpid()}\n", encoding="ascii")
    assert probe.parse(sh(probe.LOAD_SCRIPT)).busy == 1


def test_the_role_has_its_fleet_in_the_same_state(
    home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ROOT / "roles" / "local_fleet" / "files"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("fleet_of_the_role", folder / "fleet.py")
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert program.default_folder() == os.path.join(paths.state_home(), "fleet")


@pytest.mark.parametrize("name", ["a", "0", "a.b-c_d", "A" * 64])
def test_the_node_takes_every_name_that_the_controller_takes(name: str) -> None:
    assert paths.NAME.fullmatch(name) and store.NAME.match(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "_a", "a/b", "a\n", "\u00e4"])
def test_both_sides_refuse_what_is_no_name_of_a_folder(name: str) -> None:
    assert not paths.NAME.fullmatch(name) and not store.NAME.match(name)


@pytest.mark.parametrize("cpus", [None, 1, 2, 9])
def test_who_measures_a_node_and_who_reads_it_give_it_the_same_slots(cpus: int | None) -> None:
    read = nodes.node_from_vars("n", {"gummy_facts": {"cpus": cpus}})
    assert read.slots == facts.default_slots(cpus)
