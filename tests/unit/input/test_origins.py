"""Where the settings of a request came from."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input import origins
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import (
    Config,
    load_config,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import read_request
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.report import plan_text

FILE = """
load_weights: {cpu: 1}
sync_exclude: [dist]
keep: {days: 3, free_gb: 1}
agents: {claude: {account: team}, gummy: {install: make gummy}}
nodes: {big: {slots: 2}}
"""


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def rows_of(words=(), variables=None, options=None, where=None, text=None):
        config = Config()
        if text is not None:
            (tmp_path / "config.yaml").write_text(text)
            config = load_config(str(tmp_path / "config.yaml"))
        request = read_request(
            words,
            variables or {},
            ["a"],
            str(tmp_path),
            config,
            match=list,
            options=options,
            origins=where,
        )
        return {row["name"]: row for row in request.settings}

    return rows_of


def test_each_place_is_told(rows, tmp_path):
    found = rows(
        ["gummy_prompt=a b"],
        {"gummy_timeout": "5m", "gummy_attempts": 2, "gummy_priority": 1},
        where={"gummy_attempts": origins.PLAY, "gummy_priority": origins.GROUP_ALL},
        text=FILE,
    )
    sources = {name: row["source"] for name, row in found.items()}
    assert sources["gummy_prompt"] == sources["gummy_timeout"] == "extra var"
    assert sources["gummy_attempts"] == "play" and sources["gummy_priority"] == "group all"
    assert sources["gummy_agent"] == "default" and found["gummy_agent"]["value"] == "gummy"
    # A text may be long, and says itself elsewhere.
    assert found["gummy_prompt"]["value"] is None
    assert (found["gummy_timeout"]["value"], found["gummy_attempts"]["value"]) == (300.0, 2)

    in_file = {name: row["value"] for name, row in found.items() if row["file"]}
    assert in_file == {
        "load_weights": {"cpu": 1, "memory": 0, "load_average": 0, "io_wait": 0},
        "sync_exclude": ["dist"],
        "keep.days": 3,
        "keep.free_gb": 1,
        "agents.claude.account": "team",
        "agents.gummy.install": None,
        "nodes.big.slots": 2,
    }
    assert {row["file"] for row in found.values()} == {None, str(tmp_path / "config.yaml")}
    assert "gummy_load_weights" not in found and "keep" not in found


def test_what_counts_more_than_the_file_says_so(rows, tmp_path):
    found = rows(["gummy_prompt=a"], {"gummy_load_weights": "{memory: 1}"}, text=FILE)
    row = found["gummy_load_weights"]
    assert row["source"] == "extra var" and row["value"] == {"memory": 1}
    assert row["instead_of"] == f"{tmp_path / 'config.yaml'}: load_weights"
    assert "load_weights" not in found


def test_options_are_told_but_not_the_one_of_our_own_playbook(rows):
    found = rows(["gummy_prompt=a"], {}, {"fail_on": []})
    assert "fail_on" not in found and found["gummy_fail_on"]["source"] == "default"
    found = rows(
        ["gummy_prompt=a"],
        {"gummy_fail_on": "lost"},
        {"fail_on": []},
        where={"gummy_fail_on": origins.GROUP_ALL},
    )
    assert "fail_on" not in found and found["gummy_fail_on"]["source"] == "group all"
    found = rows([], {}, {"prompt": "a", "attempts": 2})
    assert found["prompt"]["source"] == found["attempts"]["source"] == "option of the task"
    assert found["attempts"]["value"] == 2 and "gummy_attempts" not in found


def test_people_get_a_line_for_each_place(rows, tmp_path):
    found = rows(
        ["gummy_prompt=a b"],
        {"gummy_timeout": "5m", "gummy_attempts": 2, "gummy_load_weights": "{cpu: 1}"},
        where={"gummy_attempts": origins.PLAY},
        text=FILE,
    )
    document = {"jobs": [], "left_out": [], "notes": ["a note"], "settings": list(found.values())}
    path = str(tmp_path / "config.yaml")
    lines = plan_text({**document, "config": {"path": path, "exists": True}})
    wide = len(path)
    assert lines[1:] == [
        "where the settings come from:",
        f"  {'extra var'.ljust(wide)}  gummy_prompt, gummy_timeout, gummy_load_weights",
        f"  {'play'.ljust(wide)}  gummy_attempts",
        f"  {path}  sync_exclude, keep, agents, nodes",
        (
            f"  {'default'.ljust(wide)}  all else; of the config file these do not count: "
            "load_weights"
        ),
        "a note",
    ]
    lines = plan_text({**document, "settings": [], "config": {"path": path, "exists": False}})
    assert lines == ["plan: nothing is changed", "a note"]
    (row,) = (row for row in found.values() if row["name"] == "gummy_prompt")
    lines = plan_text({**document, "settings": [row], "config": {"path": "/c", "exists": False}})
    assert lines[2:4] == ["  extra var  gummy_prompt", "  default    all else; there is no /c"]
