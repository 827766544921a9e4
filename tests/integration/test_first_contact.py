"""The first contact with a node that is there and does no job: people see what they would see.

By hand they read the words that a login prints, so a run says them too, soon, and asks only once.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from real_nodes import Controller, Fleet

pytestmark = pytest.mark.once

CHECK = (
    "# Tailscale SSH requires an additional check.\n"
    "# To authenticate, visit: https://login.tailscale.com/a/0123456789abcdef\n"
)
# Where a node's own folder is, as the node itself sees it.
INSIDE = "/run/gummy-node"


class OwnSshd:
    """A login of node-1 by an sshd of its own for each connection, which counts them."""

    def __init__(self, fleet: Fleet, folder: pathlib.Path) -> None:
        node = json.loads((fleet.folder / "fleet.json").read_text("utf-8"))["nodes"]["node-1"]
        self._fleet = fleet
        self._folder = folder
        self._sshd = str(shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"))
        self._enter: list[str] = []
        if fleet.state["namespaces"]:
            pid = str(node["init"]["pid"])
            self._enter = ["nsenter", "--target", pid, "--mount", "--uts", "--pid", "--"]
        self._source = fleet.folder / "node-1" / "sshd"
        self.counted = folder / "connections"

    @property
    def connections(self) -> int:
        return len(self.counted.read_text().splitlines())

    def variables(self, *lines: str, banner: str = "") -> dict[str, Any]:
        """Variables of a host that is reached so; lines: of its config."""
        config = (self._source / "sshd_config").read_text(encoding="utf-8")
        inside = config.partition('HostKey "')[2].partition("/host_key")[0]
        (self._source / "banner").write_text(banner, encoding="utf-8")
        shown = f'Banner "{inside}/banner"\n' if banner else ""
        text = shown + "\n".join(lines) + "\n" + config
        (self._source / "own_config").write_text(text, encoding="utf-8")
        script = self._folder / "connect"
        words = [*self._enter, self._sshd, "-i", "-f", f"{inside}/own_config"]
        script.write_text(f"#!/bin/sh\necho x >> {self.counted}\nexec {shlex.join(words)}\n")
        script.chmod(0o755)
        self.counted.write_text("")
        own = self._fleet.login("node-1")
        common = f"{own.get('ansible_ssh_common_args', '')} -o ProxyCommand={script}"
        # Others say less than people read by hand.
        return {**own, "ansible_ssh_common_args": f"{common} -o LogLevel=QUIET -q"}


@pytest.fixture
def own_sshd(repaired: Fleet, tmp_path: pathlib.Path) -> Iterator[OwnSshd]:
    yield OwnSshd(repaired, tmp_path)


def said(output: str) -> str:
    return " ".join(output.split())


def test_tailscale_ssh_that_asks_to_be_visited_is_shown_soon_and_asked_once(
    controller: Controller, own_sshd: OwnSshd
) -> None:
    asks = own_sshd.variables("ForceCommand sleep 1000", banner=CHECK)
    inventory = controller.static({"asks": asks})

    status = controller.play("status", inventory=inventory)
    assert "https://login.tailscale.com/a/0123456789abcdef" in status.output, status
    own_sshd.counted.write_text("")
    run = controller.shell("true", "-e", "gummy_node=asks", inventory=inventory)
    assert "https://login.tailscale.com/a/0123456789abcdef" in said(run.output), run
    assert run.job["status"] == "failed" and own_sshd.connections <= 2, run


def test_a_banner_alone_keeps_nobody_from_working(
    controller: Controller, own_sshd: OwnSshd
) -> None:
    words = "Log in only with leave: https://example.org/policy\n"
    inventory = controller.static({"banner": own_sshd.variables(banner=words)})
    run = controller.shell("echo done", "-e", "gummy_node=banner", inventory=inventory)
    assert run.job["status"] == "success", run


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "ForceCommand echo Please login as the user ubuntu rather than root.; exit 142",
            "Please login as the user ubuntu",
        ),
        ("ForceCommand echo This account is not available.", "This account is not available"),
        ("ForceCommand echo Password change required. >&2; exit 1", "Password change required"),
        ('ForceCommand echo rejected: "$SSH_ORIGINAL_COMMAND"; exit 1', "rejected: "),
        ("ForceCommand exit 3", "nothing, and ends with exit status 3"),
    ],
)
def test_a_login_that_answers_with_a_sentence_is_told_at_once_and_asked_once(
    controller: Controller, own_sshd: OwnSshd, line: str, words: str
) -> None:
    inventory = controller.static({"odd": own_sshd.variables(line)})
    run = controller.shell("true", "-e", "gummy_node=odd", inventory=inventory)
    assert run.job["status"] == "failed", run
    assert f"the login runs no command, and says: {words}" in said(run.job["message"]), run
    assert own_sshd.connections <= 2

    status = controller.play("status", inventory=inventory)
    assert words in said(status.output), status


def test_a_start_up_file_that_runs_something_else_is_told(
    controller: Controller, repaired: Fleet
) -> None:
    repaired.put("node-1", ".bashrc", "exec echo 'the menu of this machine'\n")
    try:
        run = controller.shell("true", "-e", "gummy_node=node-1")
        assert "says: the menu of this machine" in said(run.job["message"]), run
    finally:
        (repaired.home("node-1") / ".bashrc").unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to take the home away")
def test_a_home_that_can_t_be_written_is_one_sentence(
    controller: Controller, repaired: Fleet
) -> None:
    home = repaired.home("node-1")
    owner = home.stat()
    state = home / ".local"
    aside = home.parent / "aside"

    def look() -> str:
        run = controller.shell("true", "-e", "gummy_node=node-1", "-e", "gummy_refresh=true")
        message = said(run.job["message"])
        assert run.job["class"] == "refused" and "Permission denied" in message, run
        assert "Traceback" not in run.output and 'File "' not in run.output, run
        status = said(controller.play("status").output)
        assert "Permission denied" in status and "Traceback" not in status
        return message

    # A node that knows our program, and then one that has nothing of ours.
    assert controller.shell("true", "-e", "gummy_node=node-1").status == 0
    store = next(
        path for path in (state / "state/distributed-gummy").iterdir() if path.name != "bin"
    )
    os.chown(store, 0, 0)
    try:
        assert str(store.name) in look()
    finally:
        os.chown(store, owner.st_uid, owner.st_gid)

    state.rename(aside)
    os.chown(home, 0, 0)
    home.chmod(0o755)
    try:
        assert "the node program can't be written to" in look()
    finally:
        os.chown(home, owner.st_uid, owner.st_gid)
        home.chmod(owner.st_mode & 0o777)
        aside.rename(state)
