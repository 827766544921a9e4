"""A node that asks for a password: Ansible's own settings give it, and nothing else learns it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from real_nodes import Controller, Fleet, free_port, until

pytestmark = pytest.mark.skipif(
    not shutil.which("openssl"),
    reason="needs openssl, to write a password into the node's shadow file",
)
# Where the node sees its sshd's folder.
INSIDE = "/run/gummy-node"
PASSWORD = "pass word's"


@pytest.fixture
def login(repaired: Fleet) -> Iterator[dict[str, Any]]:
    """Variables that lead to node-1 by way of a second sshd there.

    That takes a password and no key.
    """
    fleet = repaired
    folder = repaired.folder / "node-1"
    if not fleet.state["namespaces"]:
        pytest.skip(f"needs nodes with a shadow file of their own: {fleet.state['reason']}")

    # The node's user gets a password.
    digest = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True
    ).stdout.strip()
    shadow = folder / "etc" / "shadow"
    rows = shadow.read_text(encoding="utf-8")
    # In place: the node has this very file mounted.
    with shadow.open("r+", encoding="utf-8") as file:
        file.write(
            re.sub("^gummy:[^:]*:", lambda _row: f"gummy:{digest}:", rows, flags=re.MULTILINE)
        )

    # The second sshd has the settings of the first, but for its port and what it asks for.
    port = free_port()
    config = (folder / "sshd" / "sshd_config").read_text(encoding="utf-8")
    for line in (
        f"Port {port}",
        "AuthenticationMethods password",
        "PasswordAuthentication yes",
        "PubkeyAuthentication no",
    ):
        config = re.sub(rf"^{line.split()[0]} .*$", line, config, flags=re.MULTILINE)
    (folder / "sshd" / "password_config").write_text(config, encoding="utf-8")

    # It runs in the node's namespaces.
    init = json.loads((fleet.folder / "fleet.json").read_text(encoding="utf-8"))["nodes"]["node-1"][
        "init"
    ]["pid"]

    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    enter = [
        "nsenter",
        "--target",
        str(init),
        "--mount",
        "--uts",
        "--pid",
        "--",
        str(sshd),
        "-D",
        "-f",
        f"{INSIDE}/password_config",
    ]

    # The fleet knows its sshds by the log that they write.
    with (folder / "sshd" / "log").open("ab") as log:
        server = subprocess.Popen(
            [*enter, "-E", f"{INSIDE}/log"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    until(
        lambda: (
            f"port {port}."
            in (folder / "sshd" / "log").read_text(encoding="utf-8", errors="replace")
        ),
        "the second sshd",
    )

    variables = {
        key: value
        for key, value in fleet.login("node-1").items()
        if key != "ansible_private_key_file"
    }
    yield {**variables, "ansible_port": port}

    # This ends all sshds that write its log.
    fleet.stop("node-1")
    server.wait()
    with shadow.open("r+", encoding="utf-8") as file:
        file.truncate()
        file.write(rows)


def test_a_password_of_the_host_s_variables_leads_to_the_node_and_is_written_nowhere(
    controller: Controller, login: dict[str, Any]
) -> None:
    inventory = controller.static({"guarded": {**login, "ansible_password": PASSWORD}})
    played = controller.shell("echo x > x", "-vvv", "-e", "gummy_node=guarded", inventory=inventory)
    assert (
        played.status == 0 and played.job["node"] == "guarded" and played.job["files_changed"] == 1
    ), played
    kept = [
        path
        for path in (controller.state, controller.fleet.home("node-1"))
        for path in path.rglob("*")
        if path.is_file()
    ]
    assert PASSWORD not in played.output and not [
        path for path in kept if PASSWORD.encode() in path.read_bytes()
    ]


def test_what_asks_for_a_password_is_measured_by_the_run_that_has_it(
    controller: Controller, login: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    # A tailnet of node-1 alone, which ssh reaches by its second sshd.
    config = "".join(
        f"    {name} {value}\n"
        for name, value in (
            ("HostName", "127.0.0.1"),
            ("Port", login["ansible_port"]),
            ("User", login["ansible_user"]),
        )
    )
    known = (
        f"    HostKeyAlias node-1\n    UserKnownHostsFile {controller.fleet.folder}/known_hosts\n"
    )
    (controller.folder / "ssh_config").write_text(f"Host node-1\n{config}{known}", encoding="utf-8")

    status = json.loads((controller.fleet.folder / "status.json").read_text(encoding="utf-8"))
    only = {
        key: peer for key, peer in status["Peer"].items() if peer["DNSName"].startswith("node-1.")
    }
    (controller.folder / "status.json").write_text(
        json.dumps({**status, "Peer": only}), encoding="utf-8"
    )

    source = controller.folder / "my.tailnet.yml"
    options = {
        "plugin": "distributed.gummy.tailnet",
        "status_file": "status.json",
        "ssh_config_file": "ssh_config",
        "include_self": False,
    }
    source.write_text(json.dumps({**options, "probe_timeout": 30}), encoding="utf-8")

    (tmp_path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    job = ("-e", "gummy_agent=shell", "-e", "gummy_command=true", "--limit", "node-1")

    # Without a password the node is not to be had.
    without = controller.run(*job, inventory=str(source))
    assert without.status == 2 and "it asks for a password" in without.job["message"], without

    # With it the node is measured and gets the job.
    given = ("--connection-password-file", str(tmp_path / "password"))
    plan = controller.play("plan", *job, *given, inventory=str(source))
    assert re.search(
        r"^  node-1 +0\.\d\d +0/2 slots +\d+ s old  score", plan.output, re.MULTILINE
    ), plan
    played = controller.run(*job, *given, inventory=str(source))
    assert played.status == 0 and played.job["node"] == "node-1", played

    # With a wrong one it is unreachable, and the reason says password.
    (tmp_path / "password").write_text("wrong\n", encoding="utf-8")
    # Other settings make it another connection, which has to ask again.
    anew = (
        "-e",
        "gummy_refresh=true",
        "-e",
        "gummy_attempts=1",
        "-e",
        "ansible_ssh_extra_args='-o SendEnv=OTHER'",
    )
    wrong = controller.run(*job, *given, *anew, inventory=str(source))
    assert (
        wrong.status == 2
        and wrong.job["class"] == "unreachable"
        and "password" in wrong.job["message"].lower()
    ), wrong


def test_doctor_says_that_a_password_is_asked_for_and_looks_at_the_node_if_one_is_given(
    controller: Controller, login: dict[str, Any]
) -> None:
    path = controller.folder / "doctor.json"
    words = ("-e", f"gummy_output_file={path}", "--limit", "guarded")

    def checks(**more: Any) -> dict[str, Any]:
        inventory = controller.static({"guarded": {**login, **more}})
        played = controller.play("doctor", *words, inventory=inventory)
        assert path.exists() and PASSWORD not in played.output, played
        document = json.loads(path.read_text(encoding="utf-8"))
        assert PASSWORD not in json.dumps(document)
        found: dict[str, Any] = document["machines"]["guarded"]["checks"]
        return found

    without = checks()
    assert without["login"]["status"] == "failed"
    assert "it asks for a password" in without["login"]["summary"]
    assert without["login"]["remedy"].startswith("ssh-copy-id ")
    assert without["reach"]["status"] == without["host_key"]["status"] == "ok"

    wrong = checks(ansible_password="wrong")
    assert wrong["login"]["status"] == "failed" and wrong["python"]["status"] == "unknown"

    given = checks(ansible_password=PASSWORD)
    assert given["login"]["status"] == given["python"]["status"] == "ok"
