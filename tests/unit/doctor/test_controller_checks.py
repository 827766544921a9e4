"""What the controller's facts mean, and how its folders are looked at."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor import (
    controller_checks,
    examine,
    node_checks,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor.controller_facts import (
    Answer,
    ControllerFacts,
    Folder,
    gather_controller,
    look_at,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._doctor.node_facts import (
    NodeFacts,
    Program,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import (
    Surroundings,
    Tailnet,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import play_fleet

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "doctor.md"
WELL = ControllerFacts(
    now=1e9,
    nodes=2,
    ansible="2.21.5",
    python="3.13.0",
    answers={
        "ssh": Answer("/usr/bin/ssh", "OpenSSH_9.2p1", "", 0),
        "ssh_config": Answer("/usr/bin/ssh", "host x", "", 0),
        "rsync": Answer("/usr/bin/rsync", "rsync  version 3.2.7  protocol version 31", "", 0),
        "git": Answer("/usr/bin/git", "git version 2.39.5", "", 0),
    },
    tailnets=(Tailnet("t", None, {}, ("probe",)),),
    config_path="/c/config.yaml",
    state=Folder("/s", None, "/s", 10**10),
    cache=Folder("/k", None, "/k", 10**10),
)


def found(facts, nodes=()):
    rows = examine.examine_controller(facts, nodes, 0.1)
    return {name: row for name, row in rows.items() if row["status"] == "failed"}


def answering(name, *words):
    return {"answers": {**WELL.answers, name: Answer(*words)}}


def test_a_controller_on_which_all_is_well_has_no_finding():
    assert found(WELL) == {}
    rows = examine.examine_controller(WELL, (), 0.1)
    assert {row["status"] for row in rows.values()} == {"ok"}


@pytest.mark.parametrize(
    ("change", "check", "says", "remedy"),
    [
        ({"nodes": 0}, "inventory", "no node", "ansible-inventory --graph"),
        ({"config_problems": ["a: unknown key"]}, "config", "unknown key", "/c/config.yaml"),
        ({"setting_problems": list("abcd")}, "settings", "a; b; c; and 1 more", "--list"),
        ({"unknown_names": ["n9"]}, "config_names", "n9", "/c/config.yaml"),
        ({"ansible": "2.18.4"}, "ansible", "2.18.4 is too old", "pip install"),
        ({"python": "3.10.2"}, "python", "3.10.2 is too old", "3.11"),
        (answering("ssh"), "ssh", "not installed", "apt-get install -y openssh-client"),
        (
            answering("ssh_config", "/usr/bin/ssh", "", "/c line 3: Bad configuration option", 255),
            "ssh_config",
            "/c line 3: Bad configuration option",
            "ssh -G",
        ),
        (answering("rsync"), "rsync", "not installed", "apt-get install -y rsync"),
        (
            {
                **answering("rsync", "/usr/bin/rsync", "openrsync: protocol version 29", "", 0),
                "macos": True,
            },
            "rsync",
            "openrsync",
            "brew install rsync",
        ),
        (answering("git"), "git", "not installed", "install -y git"),
        (answering("git", "/g", "git version 2.20.1", "", 0), "git", "2.20", "install -y git"),
        (
            {"tailnets": (Tailnet("t", "Tailscale is stopped: run `sudo tailscale up`"),)},
            "tailscale",
            "t: Tailscale is stopped",
            "sudo tailscale up",
        ),
        (
            {"tailnets": (Tailnet("t", "it is in use by another user"),)},
            "tailscale",
            "t: it is in use by another user",
            "tailscale status",
        ),
        (
            {"tailnets": (Tailnet("t", None, {"key_expiry": "2001-09-10T01:46:40Z"}),)},
            "tailscale_key",
            "expires in 1 days",
            "tailscale up",
        ),
        (
            {"tailnets": (Tailnet("t", None, {}, ("dw", "probe")),)},
            "dw",
            "not installed",
            "load_sources in t",
        ),
        (
            {"state": Folder("/s/d", "can't be written", "/s")},
            "state",
            "/s can't",
            "chmod u+rwx /s",
        ),
        ({"cache": Folder("/k", "is no folder", "/k")}, "cache", "/k is no", "mv /k /k.old"),
        ({"state": Folder("/s", None, "/s", 1000)}, "disk", "full", "distributed.gummy.clean"),
    ],
)
def test_each_finding_says_what_it_is_and_what_mends_it(change, check, says, remedy):
    ((name, row),) = found(dataclasses.replace(WELL, **change)).items()
    assert (name, says in row["summary"], remedy in row["remedy"]) == (check, True, True), row
    assert row["details"]["why"]


def test_versions_that_differ_are_told_and_those_of_who_says_none_are_not():
    def node(name, version):
        return NodeFacts(name, programs={"claude": Program({}, "", version)})

    assert found(WELL, [node("a", "2.1.3 (x)"), node("b", "2.1.3"), node("c", "")]) == {}
    row = found(WELL, [node("a", "2.1.3"), node("b", "2.1.9"), node("c", "2.1.3")])[
        "agent_versions"
    ]
    assert row["summary"] == "claude has several versions (2.1.3: a, c; 2.1.9: b)"
    assert row["category"] == "info"


def test_folders_are_looked_at_and_not_made(tmp_path):
    new = tmp_path / "a" / "b"
    folder = look_at(str(new))
    assert (folder.path, folder.trouble, folder.about) == (str(new), None, str(tmp_path))
    assert not (tmp_path / "a").exists() and look_at(str(new)).free > 0
    new.parent.write_text("")
    assert look_at(str(new)).trouble == "is no folder"
    assert look_at(str(new.parent)).trouble == "is no folder"
    (tmp_path / "link").symlink_to("/nowhere/at/all")
    assert "can't be looked at" in look_at(str(tmp_path / "link")).trouble
    if os.geteuid() != 0:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        assert look_at(str(closed / "x")).trouble == "can't be written"


def test_this_machine_is_looked_at_and_nothing_is_made(monkeypatch, tmp_path):
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    fleet = play_fleet(
        {}, [Node("n1")], surroundings=Surroundings("2.21.5", ("a: odd",), ("b: odd",))
    )
    facts = gather_controller(fleet)
    assert (facts.nodes, facts.ansible, facts.python[:2]) == (1, "2.21.5", "3.")
    assert facts.config_problems == ("a: odd",) and facts.setting_problems == ("b: odd",)
    assert facts.answer("git").first_line.startswith("git version")
    assert facts.answer("ssh").first_line.startswith("OpenSSH")
    assert not list(tmp_path.iterdir())


def test_programs_that_are_not_here_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = gather_controller(play_fleet({}, [Node("n1")]))
    assert {"ssh", "rsync", "git"} <= set(found(facts))


def test_the_page_has_each_check_with_its_category():
    here, _head, there = PAGE.read_text(encoding="utf-8").partition("## Each node")
    there = there.partition("## The document")[0]
    for part, checks in (
        (here, (*controller_checks.CHECKS, examine.VERSIONS)),
        (there, node_checks.CHECKS),
    ):
        rows = re.findall(r"^\| `(\w+)` \| (critical|warning|info) \|", part, re.MULTILINE)
        assert sorted(rows) == sorted((check.id, check.category) for check in checks)
