"""The document of `doctor`: the controller, then the nodes, whatever becomes of each."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.doctor import doctor
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.fleet_info import (
    Wanted,
    gather,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet.fleet import Surroundings
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link, LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.program import Program
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import play_fleet


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """Of this machine, one that can't be reached, and one whose settings lead nowhere."""
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))

    def make_link(name):
        if name == "odd":
            raise LinkError("odd has the connection docker", "settings")
        ssh = None if name == "here" else ["/no/such/ssh"]
        return Link(name, name, ssh, Program({}))

    return play_fleet(
        {},
        [Node("here"), Node("odd"), Node("away")],
        make_link=make_link,
        fallback=Node("localhost", local=True),
        surroundings=Surroundings(
            "2.21.5", in_tailnet={"here": {"ips": ["100.64.0.1"], "ip": "100.64.0.1"}}
        ),
    )


def test_each_machine_has_its_checks_and_what_is_broken_fails_the_document(fleet):
    document = doctor(fleet)
    machines = document["machines"]
    assert list(machines) == ["localhost", "here", "odd", "away"]
    assert (document["kind"], document["schema_version"]) == ("doctor", 1)
    assert (document["status"], document["overall"]) == ("failed", "broken")
    assert "odd: reach, away: reach" in document["message"]
    assert "docker" in machines["odd"]["checks"]["reach"]["summary"]
    assert "can't start /no/such/ssh" in machines["away"]["checks"]["reach"]["summary"]
    assert machines["here"]["checks"]["reach"]["status"] == "ok"
    assert machines["here"]["checks"]["clock"]["status"] == "ok"
    # What mends this machine needs no ssh.
    assert machines["here"]["checks"]["git_identity"]["remedy"].startswith("git config ")


def test_it_can_be_gathered_with_others(fleet):
    documents, shown = gather(fleet, ["doctor"], Wanted())
    assert list(documents) == ["doctor"] and shown is documents["doctor"]
