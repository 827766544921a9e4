"""The controller and the node program know the same agents, and the same of them."""

from __future__ import annotations

import itertools
import os
import pathlib

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import BadValue
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import config, keys
from ansible_collections.distributed.gummy.plugins.plugin_utils._load import probe
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import agents, launch

PROGRAMS = sorted({program for agent in agents.AGENTS.values() for program in agent.programs})
SETS = [
    list(some)
    for count in range(len(PROGRAMS) + 1)
    for some in itertools.combinations(PROGRAMS, count)
]


def test_every_agent_of_the_table_can_be_asked_for_and_configured() -> None:
    assert set(agents.AGENTS) == set(keys.JOB_KEYS["agent"].choices) == set(config.AGENT_SETTINGS)


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
