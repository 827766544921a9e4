"""The inventory of a tailnet on real nodes.

What it says of each, whose connections it uses, and how it lives beside other sources.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from real_nodes import NODES, Controller, Fleet, free_port


class Source:
    """A tailnet source of the controller's own.

    It has an ssh config of its own too, so that nobody else's connections are used.
    """

    def __init__(self, controller: Controller, fleet: Fleet) -> None:
        self.controller = controller
        self.fleet = fleet
        self.ssh_config = controller.folder / "ssh_config"
        self.path = controller.folder / "my.tailnet.yml"
        self.write()

    def write(
        self, config: str | None = None, status: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        self.ssh_config.write_text(
            config or pathlib.Path(self.fleet.ssh_config).read_text(encoding="utf-8"),
            encoding="utf-8",
        )
        known = json.loads((self.fleet.folder / "status.json").read_text(encoding="utf-8"))
        (self.controller.folder / "status.json").write_text(
            json.dumps({**known, **(status or {})}), encoding="utf-8"
        )
        source = {
            "plugin": "distributed.gummy.tailnet",
            "status_file": "status.json",
            "ssh_config_file": "ssh_config",
            "include_self": False,
        }
        self.path.write_text(
            json.dumps({**source, "probe_timeout": 30, **options}), encoding="utf-8"
        )

    def logins(self) -> dict[str, int]:
        """Connections that each node has accepted so far."""
        logs = {
            node: (self.fleet.folder / node / "sshd" / "log").read_text(
                encoding="utf-8", errors="replace"
            )
            for node in NODES
        }
        return {node: len(re.findall("Accepted publickey", log)) for node, log in logs.items()}

    def hostvars(self, *words: str) -> dict[str, Any]:
        command = [
            sys.executable,
            "-m",
            "ansible",
            "inventory",
            "-i",
            str(self.path),
            *words,
            "--list",
        ]
        done = subprocess.run(
            command,
            env=self.controller.env,
            cwd=self.controller.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        listed: dict[str, Any] = json.loads(done.stdout)["_meta"]["hostvars"]
        return listed

    def plan(self, *words: str) -> dict[str, dict[str, Any]]:
        """How `plan` ranks the nodes."""
        output = self.controller.folder / "plan.json"
        job = (
            "-e",
            "gummy_agent=shell",
            "-e",
            "gummy_command=true",
            "-e",
            f"gummy_output_file={output}",
        )
        played = self.controller.play("plan", *job, *words, inventory=str(self.path))
        assert played.status == 0, played
        (row,) = json.loads(output.read_text(encoding="utf-8"))["jobs"]
        return {entry["host"]: entry for entry in row["ranking"]}


@pytest.fixture
def source(controller: Controller, fleet: Fleet) -> Source:
    return Source(controller, fleet)


def test_inventory_and_run_together_log_in_to_each_node_once(
    controller: Controller, source: Source
) -> None:
    jobs = controller.jobs(*({"name": node, "command": "true", "node": node} for node in NODES))
    before = source.logins()
    played = controller.run("-e", jobs, inventory=str(source.path))
    assert played.status == 0, played
    assert {node: count - before[node] for node, count in source.logins().items()} == dict.fromkeys(
        NODES, 1
    )


def test_a_first_host_that_is_this_machine_gives_its_connection_to_no_other(
    controller: Controller, fleet: Fleet, source: Source
) -> None:
    status = json.loads((fleet.folder / "status.json").read_text(encoding="utf-8"))
    source.write(
        include_self=True,
        status={"Self": {**status["Self"], "DNSName": "a-first.fleet.gummy.test."}},
    )
    jobs = controller.jobs(
        *(
            {"name": node, "node": node, "command": 'echo "$GUMMY_JOB" >> ~/beside-this-machine'}
            for node in NODES
        )
    )
    played = controller.run("-e", jobs, inventory=str(source.path))
    assert played.status == 0 and fleet.lines("beside-this-machine") == {
        node: [node] for node in NODES
    }, played


def test_a_first_host_s_password_is_not_given_to_others(
    controller: Controller, fleet: Fleet
) -> None:
    first = {"ansible_connection": "local", "ansible_password": "secret", "ansible_timeout": 1}
    played = controller.shell(
        "true",
        "-e",
        "gummy_node=node-1",
        inventory=controller.static({"a-first": first, "node-1": fleet.login("node-1")}),
    )
    assert (
        played.status == 0 and played.job["node"] == "node-1" and "secret" not in played.output
    ), played


@pytest.mark.once
def test_playbooks_share_what_the_nodes_said_until_they_are_told_not_to(source: Source) -> None:
    def times(*words: str) -> set[float]:
        return {entry["measured_at"] for entry in source.plan(*words).values()}

    first = times()
    assert times() == first
    anew = times("-e", "gummy_refresh=true")
    assert min(anew) > max(first) and times() == anew
    assert min(times("--flush-cache")) > max(anew)


@pytest.mark.once
def test_a_wrong_refresh_is_an_error(controller: Controller, source: Source) -> None:
    played = controller.run(
        "-e", "gummy_prompt=x", "-e", "gummy_refresh=perhaps", inventory=str(source.path)
    )
    assert (
        played.status != 0 and "gummy_refresh: 'perhaps' is neither true nor false" in played.output
    ), played


@pytest.mark.once
def test_a_static_user_wins_and_the_node_is_measured_with_it(
    controller: Controller, fleet: Fleet, source: Source
) -> None:
    source.write(
        pathlib.Path(fleet.ssh_config)
        .read_text(encoding="utf-8")
        .replace("    User ", "    User stranger\n    # User ")
    )
    assert {row["gummy_facts"]["reason"] for row in source.hostvars().values()} == {
        "it refuses the login: try it with `ssh` by hand"
    }
    alone = controller.shell("true", inventory=str(source.path))
    assert alone.status == 0 and alone.job["node"] == "localhost", alone
    user = fleet.login("node-1")["ansible_user"]
    static = controller.static({node: {"ansible_user": user} for node in NODES})
    for words in (("-i", static), ("-e", f"ansible_user={user}")):
        played = controller.shell("true", *words, inventory=str(source.path))
        assert played.status == 0 and played.job["node"] in NODES, played
        ranking = source.plan(*words)
        assert {ranking[node]["rejected"] for node in NODES} == {None} and all(
            ranking[node]["score"] is not None for node in NODES
        )


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield int(server.getsockname()[1])


@pytest.mark.once
def test_what_is_measured_what_is_unknown_and_what_is_not_reachable_is_told_apart(
    fleet: Fleet, source: Source, mute: int
) -> None:
    # All entries lead to the same node, each but two by settings with one fault.
    login = fleet.login("node-1")
    common = (
        "  HostName 127.0.0.1\n"
        f"  IdentityFile {login['ansible_private_key_file']}\n"
        "  IdentitiesOnly yes\n"
        "  GlobalKnownHostsFile /dev/null\n"
    )
    right = (
        f"  User {login['ansible_user']}\n"
        "  HostKeyAlias node-1\n"
        f"  UserKnownHostsFile {fleet.folder}/known_hosts\n"
        f"  Port {login['ansible_port']}\n"
    )

    # Under node-1's name, the key of another machine is known.
    key = (fleet.folder / "node-2" / "sshd" / "host_key.pub").read_text(encoding="utf-8")
    (source.controller.folder / "changed").write_text(f"node-1 {key}", encoding="utf-8")

    nodes = {
        "good": right,
        "refused": f"  Port {free_port()}\n",
        "silent": f"  Port {mute}\n",
        "changed": right.replace(
            f"{fleet.folder}/known_hosts", f"{source.controller.folder}/changed"
        ),
        "stranger": right.replace("  User ", "  User stranger\n#"),
        "unknown-key": right.replace(f"{fleet.folder}/known_hosts", "/dev/null"),
        "tmux": right
        + "  RemoteCommand tmux attach\n  RequestTTY force\n  LocalForward 1 127.0.0.1:1\n",
    }
    config = "".join(f"Host {name}\n{settings}{common}" for name, settings in nodes.items())

    # Tailscale says that all are there but one.
    peers = {
        str(number): {
            "ID": f"n{number}",
            "DNSName": f"{name}.fleet.gummy.test.",
            "OS": "linux",
            "TailscaleIPs": [f"100.64.5.{number}"],
            "Online": name != "gone",
        }
        for number, name in enumerate([*nodes, "gone"], 1)
    }
    source.write(config, {"Peer": peers}, probe_timeout=4)

    # Each fault has a reason of its own.
    facts = {
        name: (row["gummy_facts"]["state"], row["gummy_facts"]["reason"])
        for name, row in source.hostvars().items()
    }
    assert facts == {
        "good": ("measured", None),
        "refused": ("unreachable", "connection refused: no sshd listens there"),
        "silent": ("unreachable", facts["silent"][1]),
        "changed": (
            "unreachable",
            "its host key has changed: if that is right, remove the old one with `ssh-keygen -R`",
        ),
        "stranger": ("unreachable", "it refuses the login: try it with `ssh` by hand"),
        "unknown-key": ("unreachable", "its host key is not known: log in once by hand"),
        "tmux": ("measured", None),
        "gone": ("unreachable", "offline, says Tailscale"),
    }
    assert facts["silent"][1] in ("timed out", "no answer within 4 s")


@pytest.mark.once
def test_start_up_files_that_print_do_not_spoil_the_measurement(
    fleet: Fleet, source: Source
) -> None:
    noisy = [fleet.home("node-1") / name for name in (".bashrc", ".profile")]
    try:
        for path in noisy:
            fleet.put(
                "node-1",
                path.name,
                "echo welcome; echo '@gummy-probe cpus 99'; printf 'no newline'\n",
            )
        facts = source.hostvars()["node-1"]["gummy_facts"]
    finally:
        for path in noisy:
            path.unlink()
    assert (
        facts["state"] == "measured"
        and facts["reason"] is None
        and facts["cpus"] != 99
        and 0 <= facts["load"]["cpu"] <= 1
    )


@pytest.mark.once
def test_dw_is_asked_by_the_alias_of_the_ssh_config(
    fleet: Fleet, source: Source, tmp_path: pathlib.Path
) -> None:
    config = pathlib.Path(fleet.ssh_config).read_text(encoding="utf-8")
    source.write(
        re.sub(
            "^Host node-2 .*$",
            "Host worker\n    HostName 100.64.0.2\nHost nobody",
            config,
            flags=re.MULTILINE,
        ),
        load_sources=["dw"],
    )
    world = tmp_path / "world.json"
    rows = {"node-1": "1.00 4 25 40 29.50", "worker": "0.40 4 10 20 13.00"}
    world.write_text(json.dumps({"hosts": rows}), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    shutil.copy(pathlib.Path(__file__).resolve().parents[1] / "doubles" / "dw", tmp_path / "bin")
    source.controller.env.update(
        PATH=f"{tmp_path}/bin:{source.controller.env['PATH']}", DW_DOUBLE=str(world)
    )
    found = source.hostvars()
    facts = {
        node: (found[node]["gummy_facts"]["state"], found[node]["gummy_facts"]["load"]["memory"])
        for node in NODES
    }
    assert facts == {
        "node-1": ("measured", 0.4),
        "node-2": ("measured", 0.2),
        "node-3": ("unknown", None),
    }
    assert "dw could not ask it" in found["node-3"]["gummy_facts"]["reason"]


@pytest.mark.once
def test_plan_tells_what_the_inventory_left_out(controller: Controller, source: Source) -> None:
    known = json.loads((source.fleet.folder / "status.json").read_text(encoding="utf-8"))["Peer"]
    phone = {
        "ID": "nphone",
        "DNSName": "phone.fleet.gummy.test.",
        "OS": "iOS",
        "TailscaleIPs": ["100.64.5.5"],
        "Online": True,
    }
    source.write(status={"Peer": {**known, "phone": phone}}, exclude=["node-3"])
    played = controller.play(
        "plan", "-e", "gummy_agent=shell", "-e", "gummy_command=true", inventory=str(source.path)
    )
    assert (
        "left out of the inventory (a phone or tablet, no place for jobs): phone.fleet.gummy.test"
        in played.output
    ), played
    assert "left out of the inventory (exclude names it): node-3.fleet.gummy.test" in played.output


@pytest.mark.once
def test_without_tailscale_a_job_runs_here_and_the_output_says_what_to_do(
    controller: Controller, source: Source
) -> None:
    source.path.write_text(
        json.dumps(
            {
                "plugin": "distributed.gummy.tailnet",
                "status_command": ["no-tailscale-here", "status"],
            }
        ),
        encoding="utf-8",
    )
    played = controller.shell("echo x > x", inventory=str(source.path))
    assert (
        played.status == 0
        and "this machine is the only node: can't start no-tailscale-here"
        in " ".join(played.output.split())
    ), played
    assert played.job["node"] not in NODES and played.job["files_changed"] == 1
