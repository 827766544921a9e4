"""The inventory and whole runs on a real tailnet.

Nodes are reached at their tailnet addresses, over WireGuard.
"""

from __future__ import annotations

import ipaddress
import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from real_nodes import PATIENCE, Controller, applies, until
from real_tailnet import HOSTS, NODES, Tailnet, inside

ON_NODES = ("-e", "gummy_nodes=all:!tailnet_self")


class Listing:
    """What ansible-inventory prints in the controller's namespace, or in another machine's."""

    def __init__(
        self, controller: Controller, source: str | None = None, host: str = "controller"
    ) -> None:
        command = [
            *inside(host),
            sys.executable,
            "-m",
            "ansible",
            "inventory",
            "-i",
            source or controller.fleet.inventory,
            "--list",
        ]
        more: dict[str, Any] = {
            "cwd": controller.project,
            "env": controller.env,
            "stdin": subprocess.DEVNULL,
            "timeout": PATIENCE,
        }
        done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
        assert done.returncode == 0, done.stderr
        self.text = done.stdout
        # This is how it writes texts of the network.
        self._groups = json.loads(
            done.stdout, object_hook=lambda one: one.get("__ansible_unsafe", one)
        )
        self.hosts: dict[str, dict[str, Any]] = self._groups["_meta"]["hostvars"]

    def group(self, name: str) -> set[str]:
        return set(self._groups.get(name, {}).get("hosts", []))

    def facts(self, host: str) -> Mapping[str, Any]:
        return self.hosts[host]["gummy_facts"]


class Counter:
    """A command that counts its starts in its node's home; its change is the node's name."""

    def __init__(self, tailnet: Tailnet, name: str) -> None:
        self._tailnet = tailnet
        self._name = name
        self.command = f'echo "$GUMMY_JOB" >> "$HOME/{name}-starts"; hostname > where.txt'
        wait = f'until [ -e "$HOME/{name}-go" ]; do sleep 0.05; done'
        self.held = f"{self.command}; {wait}; echo done > done.txt"

    def let_go(self) -> None:
        for node in NODES:
            self._tailnet.put(node, f"{self._name}-go", "")

    def hold(self) -> None:
        for node in NODES:
            (self._tailnet.home(node) / f"{self._name}-go").unlink()

    def starts(self) -> dict[str, list[str]]:
        """The names of the jobs that started, by node."""
        return self._tailnet.lines(f"{self._name}-starts")


@pytest.fixture
def counter(tailnet: Tailnet, request: pytest.FixtureRequest) -> Counter:
    return Counter(tailnet, request.node.name)


def read(patch: str) -> str:
    return pathlib.Path(patch).read_text(encoding="utf-8")


def test_every_machine_of_the_tailnet_is_a_host_and_nodes_are_measured_over_wireguard(
    controller: Controller, tailnet: Tailnet
) -> None:
    before = {node: tailnet.peer(node)["RxBytes"] for node in NODES}
    listing = Listing(controller)
    assert (
        set(listing.hosts)
        == listing.group("tailnet_online")
        == listing.group("os_linux")
        == listing.group("gummy_ready")
        == {*HOSTS}
    )
    assert listing.group("tailnet_self") == {"controller"} and not listing.group("tailnet_offline")
    addresses = {
        ipaddress.ip_address(variables["gummy_tailnet"]["ip"])
        for variables in listing.hosts.values()
    }
    assert len(addresses) == len(HOSTS) and all(
        one in ipaddress.ip_network("100.64.0.0/10") for one in addresses
    )
    for node in NODES:
        facts = listing.facts(node)
        assert (facts["state"], facts["reason"], facts["source"], facts["slots"]["total"]) == (
            "measured",
            None,
            "probe",
            1,
        ) and facts["python"]
        assert tailnet.peer(node)["RxBytes"] > before[node]


def test_jobs_run_on_the_nodes_and_their_patches_come_home(
    controller: Controller, counter: Counter
) -> None:
    started = controller.begin(
        "run", *ON_NODES, "-e", controller.jobs(*({"command": counter.held} for _node in NODES))
    )
    started.wait_for(lambda: {*counter.starts()} == {*NODES}, "a start on every node")
    counter.let_go()
    played = started.end()
    assert played.status == 0 and len(played.jobs) == len(NODES), played
    assert counter.starts() == {row["node"]: [name] for name, row in played.jobs.items()}
    for row in played.jobs.values():
        assert applies(row["patch"], controller.project) and f"\n+{row['node']}\n" in read(
            row["patch"]
        )


def test_jobs_run_on_the_nodes_where_the_controller_is_a_candidate_too(
    controller: Controller, counter: Counter
) -> None:
    played = controller.run(
        "-e",
        controller.jobs(
            *({"name": node, "node": node, "command": counter.command} for node in NODES)
        ),
    )
    assert played.status == 0 and counter.starts() == {node: [node] for node in NODES}, played


def test_a_node_that_vanished_is_unreachable_and_others_do_its_work(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    repaired.cut_off("node-3")
    listing = Listing(controller)
    assert "node-3" in listing.group("tailnet_online") - listing.group("gummy_ready"), (
        "the control server has not noticed, the probe has"
    )
    assert listing.facts("node-3")["state"] == "unreachable" and listing.facts("node-3")["reason"]
    assert all(listing.facts(node)["state"] == "measured" for node in {*NODES} - {"node-3"})
    played = controller.run(
        *ON_NODES, "-e", controller.jobs(*({"command": counter.command} for _number in range(6)))
    )
    assert played.status == 0 and len(played.jobs) == 6, played
    assert (
        sorted(job for jobs in counter.starts().values() for job in jobs) == sorted(played.jobs)
        and "node-3" not in counter.starts()
    )


def test_a_job_outlives_the_way_to_its_node_and_is_not_started_again(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    started = controller.begin(
        "run", *ON_NODES, "-e", controller.jobs({"command": counter.held, "node": "node-2"})
    )
    started.wait_for(lambda: "  start  " in started.said() and counter.starts(), "the start")
    repaired.cut_off("node-2")
    counter.let_go()
    attempt = re.search(r"attempt (\S+)", started.said())
    store = repaired.home("node-2") / ".local" / "state" / "distributed-gummy"
    until(
        lambda: attempt and list(store.glob(f"*/attempts/{attempt[1]}/ended.json")),
        "the end of the job on its node",
    )
    repaired.reconnect("node-2")
    played = started.end()
    assert (
        played.status == 0
        and applies(played.job["patch"], controller.project)
        and "+done\n" in read(played.job["patch"])
    ), played
    assert counter.starts() == {"node-2": ["job-1"]} and len(played.job["attempts"]) == 1


def test_no_job_goes_to_a_node_that_the_control_server_calls_offline(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    repaired.announce("node-4", Online=False)
    repaired.until_it_says("node-4", Online=False)
    listing = Listing(controller)
    assert listing.group("tailnet_offline") == {"node-4"} and "node-4" not in listing.group(
        "gummy_ready"
    ) | listing.group("tailnet_online")
    assert (
        listing.facts("node-4")["state"] == "unreachable"
        and "offline" in listing.facts("node-4")["reason"]
    )
    played = controller.run(
        *ON_NODES, "-e", controller.jobs(*({"command": counter.command} for _number in range(5)))
    )
    assert played.status == 0 and len(played.jobs) == 5, played
    assert (
        sorted(job for jobs in counter.starts().values() for job in jobs) == sorted(played.jobs)
        and "node-4" not in counter.starts()
    )


def test_names_that_nodes_give_themselves_move_no_host_and_are_no_templates(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    names = {"node-1": "node-2", "node-2": "{{ lookup('ansible.builtin.pipe', 'touch ran') }}\nall"}
    for node, name in names.items():
        repaired.tailscale(node, "set", f"--hostname={name}")
        repaired.until_it_says(node, HostName=name)
    listing = Listing(controller)
    assert {*listing.hosts} == {*HOSTS} and "lookup(" not in listing.text
    played = controller.run(
        *ON_NODES,
        "-e",
        controller.jobs(
            *({"name": node, "node": node, "command": counter.command} for node in names)
        ),
    )
    assert played.status == 0 and counter.starts() == {node: [node] for node in names}, played
    assert not (controller.project / "ran").exists()


def test_a_tag_is_a_group_that_jobs_can_be_sent_to(
    controller: Controller, repaired: Tailnet, counter: Counter
) -> None:
    repaired.announce("node-3", Tags=["tag:big-disk"])
    repaired.until_it_says("node-3", Tags=["tag:big-disk"])
    played = controller.run(
        "-e",
        "gummy_nodes=tag_big_disk",
        "-e",
        controller.jobs({"command": counter.command}, {"command": counter.command}),
    )
    assert played.status == 0 and counter.starts() == {"node-3": ["job-1", "job-2"]}, played


def test_from_a_machine_without_a_network_interface_nodes_are_reached_through_tailscale(
    controller: Controller, repaired: Tailnet
) -> None:
    repaired.take_interface("node-4")
    try:
        source = controller.folder / "node-4.tailnet.yml"
        given = json.loads(pathlib.Path(repaired.inventory).read_text(encoding="utf-8"))
        given |= {
            "status_command": repaired.cli("node-4", "status", "--json"),
            "ssh_config_file": repaired.ssh_config,
        }
        source.write_text(json.dumps(given), encoding="utf-8")
        listing = Listing(controller, str(source), "node-4")
    finally:
        repaired.cut_off("node-4")
    for node in NODES[:3]:
        assert (listing.facts(node)["state"], listing.facts(node)["reason"]) == (
            "measured",
            None,
        ), listing.text
        assert " nc %h %p" in listing.hosts[node]["ansible_ssh_common_args"]
