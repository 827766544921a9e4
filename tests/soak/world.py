"""Where a soak takes place: nodes, controllers, and what can be seen of all that.

Nodes have cables and disks of their own where this machine allows it.

As root on Linux everything lives in namespaces that end with the soak (mounts, network, processes):
`isolated` says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

from real_nodes import Controller, Fleet

DOUBLES = pathlib.Path(__file__).resolve().parents[1] / "doubles"
SLOTS = 3
# How large a node's disk is, in bytes; a claim wants 256 MB free.
DISK = 400 << 20
# Short enough for a soak, by ordinary settings. A silent connection ends after about four seconds.
SSH = (
    "-o ControlMaster=auto -o ControlPersist=60s "
    "-o ServerAliveInterval=1 -o ServerAliveCountMax=3 -o ConnectTimeout=3"
)
# The mark of an attempt that began, and those that end it.
IN_FLIGHT = "starting"
OVER = ("ended.json", "void")
RSYNC = """#!/bin/sh
# When it is armed, it ends itself half way.
arm={arm}
if mv "$arm" "$arm.$$" 2>/dev/null; then
  timeout --foreground -s KILL "$(cat "$arm.$$")" {rsync} "$@"
  status=$?
  if [ "$status" = 137 ]; then mv "$arm.$$" "$arm.done"; else mv "$arm.$$" "$arm"; fi
  exit "$status"
fi
exec {rsync} "$@"
"""


def why_not_isolated() -> str | None:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "not root on Linux"
    if missing := [
        tool for tool in ("unshare", "nsenter", "ip", "mount") if not shutil.which(tool)
    ]:
        return f"{missing[0]} is missing"
    tried = subprocess.run(
        [*ISOLATE, "sh", "-c", "mount -t tmpfs none /run && ip link add soak type bridge"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip()[-200:] or "namespaces can't be made" if tried.returncode else None


ISOLATE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class World:
    """The fleet is up when it is made; down() leaves nothing of it."""

    def __init__(
        self, folder: pathlib.Path, size: int, isolated: bool, collections: pathlib.Path
    ) -> None:
        self.folder = folder
        self.isolated = isolated
        self.nodes = [f"node-{number}" for number in range(1, size + 1)]
        self._collections = collections
        self._over = set[str]()
        self._controllers = list[Controller]()
        self.arm = folder / "kill-rsync"
        (folder / "bin").mkdir(parents=True)
        rsync = folder / "bin" / "rsync"
        rsync.write_text(
            RSYNC.format(arm=shlex.quote(str(self.arm)), rsync=shutil.which("rsync")),
            encoding="utf-8",
        )
        rsync.chmod(0o755)
        places = self._lay_cables() if isolated else []
        self.fleet = Fleet(
            folder / "fleet",
            *([word for place in places for word in ("--net", place)] or ["--size", str(size)]),
        )
        if isolated:
            for node in self.nodes:
                self._give_disk(node)
        # This is not on the disk that gets full.
        self.count_in = "/tmp/soak" if self.fleet.state["namespaces"] else "$HOME/soak"
        for node in self.nodes:
            self.fleet.ssh(node, f"mkdir -p {self.count_in}")
            self._give_agents(node)

    def _lay_cables(self) -> list[str]:
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.mkdir("/run/netns")
        for words in (
            "link set lo up",
            "link add soak type bridge",
            "addr add 10.99.1.254/24 dev soak",
            "link set soak up",
        ):
            ip(*words.split())
        for number, node in enumerate(self.nodes, 1):
            ip("netns", "add", node)
            for words in (
                f"link add {node} type veth peer name eth0 netns {node}",
                f"link set {node} master soak up",
                f"-n {node} link set lo up",
                f"-n {node} addr add 10.99.1.{number}/24 dev eth0",
                f"-n {node} link set eth0 up",
            ):
                ip(*words.split())
        return [f"{node}@10.99.1.{number}" for number, node in enumerate(self.nodes, 1)]

    def _give_agents(self, node: str) -> None:
        """The doubles of gummy and claude, where the login shell finds them."""
        home = self.fleet.home(node)
        folder = home / "bin"
        folder.mkdir()
        for name in ("gummy", "claude"):
            shutil.copy(DOUBLES / name, folder)
        (folder / "jq").write_text("#!/bin/sh\n", encoding="utf-8")
        with (home / ".profile").open("a", encoding="utf-8") as file:
            file.write("PATH=$HOME/bin:$PATH; export PATH\n")

        owner = home.stat()
        for path in (folder, *folder.iterdir(), home / ".profile"):
            os.chown(path, owner.st_uid, owner.st_gid)
            path.chmod(0o755)

    def _give_disk(self, node: str) -> None:
        home = self.fleet.home(node)
        self.fleet.call("stop", node)
        owner = home.stat()
        options = f"size={DISK},mode=700,uid={owner.st_uid},gid={owner.st_gid}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(home)], check=True)
        self.fleet.start(node)

    def down(self) -> None:
        for one in self._controllers:
            one.close()
        for node in self.nodes if self.isolated else ():
            self.fleet.call("stop", node)
            # What is mounted can't be removed.
            subprocess.run(["umount", str(self.fleet.home(node))], check=False)
        self.fleet.call("down")

    # -- controllers

    def controller(self, number: int) -> Controller:
        folder = self.folder / f"controller-{number}"
        home = folder / "home"
        home.mkdir(parents=True)
        (home / "ansible.cfg").touch()

        # Nothing of the caller's settings gets in, and the programs of the soak come first.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.lstrip("_").startswith(("ANSIBLE_", "GIT_", "XDG_", "SSH_"))
        }
        homes = {
            f"XDG_{what}_HOME": str(home / f".{what.lower()}")
            for what in ("CACHE", "CONFIG", "STATE")
        }

        env = {
            **kept,
            **homes,
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self._collections),
            "GUMMY_SOAK": str(self.folder),
            "PATH": os.pathsep.join(
                [str(self.folder / "bin"), os.path.dirname(sys.executable), os.environ["PATH"]]
            ),
        }

        one = Controller(
            self.fleet, folder, env, {"nodes": {node: {"slots": SLOTS} for node in self.nodes}}
        )
        self._controllers.append(one)

        hosts = {}
        for place, node in enumerate(self.nodes, 1):
            address = {"ansible_host": f"10.99.1.{place}"} if self.isolated else {}
            # No two controllers share a master: they stand for two machines.
            own = f"-o NumberOfPasswordPrompts={number}"
            hosts[node] = {**self.fleet.login(node), **address, "ansible_ssh_args": f"{SSH} {own}"}
        one.static(hosts)
        return one

    # -- what can be seen

    def stores(self, node: str) -> list[pathlib.Path]:
        return list(self.fleet.home(node).glob(".local/state/distributed-gummy/*/attempts"))

    def in_flight(self, node: str | None = None) -> dict[str, pathlib.Path]:
        """Folders of attempts that began and have not ended, by id."""
        found = {}
        for one in self.nodes if node is None else [node]:
            for attempts in self.stores(one):
                for name in {*os.listdir(attempts)} - self._over:
                    folder = attempts / name
                    if any((folder / mark).exists() for mark in OVER):
                        self._over.add(name)
                    elif (folder / IN_FLIGHT).exists():
                        found[name] = folder
        return found

    def job_of(self, attempt: pathlib.Path) -> str:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads((attempt / "spec.json").read_bytes())["job"])
        return ""

    def node_of(self, attempt: pathlib.Path) -> str:
        return next(node for node in self.nodes if attempt.is_relative_to(self.fleet.home(node)))

    def counted(self, name: str) -> list[list[str]]:
        """The words of each line that jobs wrote."""
        lines = []
        for node in self.nodes:
            folder = self.fleet.home(node) / "soak"
            if self.count_in.startswith("/"):
                folder = self.fleet.home(node).parent / "tmp" / "soak"
            with contextlib.suppress(FileNotFoundError):
                text = (folder / name).read_text(encoding="utf-8")
                lines += [line.split() for line in text.splitlines()]
        return lines

    def processes(self) -> Iterator[tuple[int, int, str, dict[str, str]]]:
        """(pid, parent, command line, environment) of what runs on this machine.

        Nothing where there is no /proc.
        """
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                words = (
                    (path / "cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                    .strip()
                )
                pairs = (
                    word.partition("=")
                    for word in (path / "environ").read_bytes().decode(errors="replace").split("\0")
                )
                if words:
                    yield int(path.name), parent, words, {name: value for name, _is, value in pairs}
