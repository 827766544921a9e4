"""A tailnet on this machine: control server, controller and nodes.

Each is in a network namespace of its own. Root on Linux; `make e2e` builds the programs.

All network devices and all processes live in those namespaces, and these carry a mark that is this
folder's own. So what a killed run left is found by its mark, and nothing else is. Called as a
program, this removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

from real_nodes import PATIENCE, ROOT, Fleet, send, until

# Each clone has a tailnet of its own.
HERE = pathlib.Path(os.environ.get("GUMMY_E2E_DIR") or ROOT / ".cache" / "e2e")
BIN = HERE / "bin"
FLEET = HERE / "fleet"
MARK = f"gummy-e2e-{hashlib.sha256(os.fsencode(HERE)).hexdigest()[:6]}"
# Short, since a socket's path has to fit into 107 bytes.
STATE = pathlib.Path("/run", MARK)
NODES = ("node-1", "node-2", "node-3", "node-4")
HOSTS = ("controller", *NODES)
GATE = "10.99.0.1"
SUFFIX = "e2e.gummy.test"
# The node that gets another name in the tailnet, and that name.
MOVES = "node-2"
MOVED = "moved"
# no logs to anybody, no questions to a router, and a panic rather than a word to the real control
# server
QUIET = {
    "TS_NO_LOGS_NO_SUPPORT": "true",
    "TS_DISABLE_PORTMAPPER": "1",
    "TS_PANIC_IF_HIT_MAIN_CONTROL": "1",
}


def namespace(host: str) -> str:
    return f"{MARK}-{host}"


def inside(host: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", namespace(host))


def cable_address(host: str) -> str:
    """Its address outside of the tailnet."""
    return f"10.99.0.{10 + HOSTS.index(host)}"


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


def lay_cables() -> None:
    """A bridge in the control server's namespace, and a cable from it to each host."""
    control = namespace("control")
    ip("netns", "add", control)
    ip("-n", control, "link", "set", "lo", "up")
    ip("-n", control, "link", "add", "bridge", "type", "bridge")
    ip("-n", control, "addr", "add", f"{GATE}/24", "dev", "bridge")
    ip("-n", control, "link", "set", "bridge", "up")
    for host in HOSTS:
        here = namespace(host)
        ip("netns", "add", here)
        ip(
            "-n",
            control,
            "link",
            "add",
            host,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            here,
        )
        ip("-n", control, "link", "set", host, "master", "bridge", "up")
        ip("-n", here, "link", "set", "lo", "up")
        ip("-n", here, "addr", "add", f"{cable_address(host)}/24", "dev", "eth0")
        ip("-n", here, "link", "set", "eth0", "up")
        # Without one tailscaled thinks that there is no network.
        ip("-n", here, "route", "add", "default", "via", GATE)


def remove() -> None:
    """All that has our mark. A namespace goes after its processes, which are found by it."""
    subprocess.run(
        Fleet.command("down", "--dir", str(FLEET)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    for name in sorted(path.name for path in pathlib.Path("/run/netns").glob(f"{MARK}-*")):
        until(lambda name=name: not end_all(name), f"the end of all processes in {name}")
        ip("netns", "del", name)
    shutil.rmtree(STATE, ignore_errors=True)


def end_all(name: str) -> list[int]:
    pids = [int(pid) for pid in ip("netns", "pids", name).split()]
    send(signal.SIGKILL, pids)
    return pids


class Tailnet(Fleet):
    """The nodes as machines of a tailnet; what its control server says of them can be changed."""

    def __init__(self) -> None:
        STATE.mkdir(mode=0o700)
        lay_cables()
        self._control = self._start(
            "control",
            str(BIN / "control"),
            f"{GATE}:9911",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._control_says() == "ready", self._log("control")
        self._daemons = {host: self._start_daemon(host) for host in HOSTS}
        settings = (
            f"--login-server=http://{GATE}:9911",
            "--accept-dns=false",
            "--netfilter-mode=off",
            f"--timeout={PATIENCE:.0f}s",
        )
        logins = {
            host: self._start(host, *self.cli(host, "up", f"--hostname={host}", *settings))
            for host in HOSTS
        }
        places = (f"{namespace(node)}@{cable_address(node)}" for node in NODES)
        super().__init__(
            FLEET,
            *(word for place in places for word in ("--net", place)),
            within=inside("control"),
        )
        for host, login in logins.items():
            assert login.wait(PATIENCE) == 0, self._log(host)
        self._ids = {host: self.status(host)["Self"]["ID"] for host in HOSTS}
        # Our control server gives bare names, and says of nobody that he is online.
        for host in HOSTS:
            self.announce(host, Name=f"{host}.{SUFFIX}.", Online=True)
        self._until_all_are_online()
        self._write_settings()

    def _start(self, host: str, *words: str, **pipes: int) -> subprocess.Popen[str]:
        """A process that does not outlive us: not the thread that calls this, to be exact."""
        env = {
            name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
        }
        # Without this it writes into /var/lib.
        env |= {**QUIET, "HOME": str(STATE), "TS_LOGS_DIR": str(STATE / host)}
        (STATE / host).mkdir(exist_ok=True)
        with (STATE / f"{host}.log").open("a") as log:
            files: dict[str, Any] = {
                "stdin": subprocess.DEVNULL,
                "stdout": log,
                "stderr": log,
                **pipes,
            }
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *inside(host), *words],
                env=env,
                cwd=STATE,
                text=True,
                **files,
            )

    def _start_daemon(self, host: str, tun: str = "ts0") -> subprocess.Popen[str]:
        words = (
            f"--statedir={STATE / host}",
            f"--socket={STATE / host}.sock",
            f"--tun={tun}",
            "--port=0",
            "--no-logs-no-support",
        )
        return self._start(host, str(BIN / "tailscaled"), *words)

    def _log(self, host: str) -> str:
        return f"{host}:\n{(STATE / f'{host}.log').read_text(errors='replace')[-4000:]}"

    def _write_settings(self) -> None:
        """Write what a user has: an inventory source and an ssh config.

        This has user and key for the nodes' names, and no address.
        """
        known = (
            f'UserKnownHostsFile "{FLEET}/known_hosts"\n'
            "    GlobalKnownHostsFile /dev/null\n"
            "    StrictHostKeyChecking yes"
        )
        login = (
            f"User {self.user}\n"
            f'    IdentityFile "{FLEET}/id_ed25519"\n'
            "    IdentitiesOnly yes\n"
            "    IdentityAgent none"
        )
        names = {**{node: node for node in NODES}, MOVED: MOVES}
        stanzas = (
            f"Host {name}\n    HostKeyAlias {node}\n    {login}\n    {known}\n"
            for name, node in names.items()
        )
        (STATE / "ssh_config").write_text("\n".join(stanzas), encoding="utf-8")
        source = {
            "plugin": "distributed.gummy.tailnet",
            "status_command": self.cli("controller", "status", "--json"),
            "ssh_config_file": "ssh_config",
            # All nodes share this machine, which may be busy.
            "probe_timeout": 20,
        }
        (STATE / "my.tailnet.yml").write_text(json.dumps(source), encoding="utf-8")
        self.ssh_config = str(STATE / "ssh_config")
        self.inventory = str(STATE / "my.tailnet.yml")

    def cli(self, host: str, *words: str) -> list[str]:
        return [str(BIN / "tailscale"), f"--socket={STATE / host}.sock", *words]

    def tailscale(self, host: str, *words: str) -> str:
        done = subprocess.run(
            self.cli(host, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{host}: tailscale {' '.join(words)}: {done.stderr}"
        return done.stdout

    def status(self, host: str = "controller") -> dict[str, Any]:
        return json.loads(self.tailscale(host, "status", "--json"))

    def peer(self, node: str) -> dict[str, Any]:
        """What the controller's tailscale says of it."""
        return next(
            (
                peer
                for peer in (self.status()["Peer"] or {}).values()
                if peer["ID"] == self._ids[node]
            ),
            {},
        )

    def announce(self, host: str, **fields: Any) -> None:
        """The control server tells all hosts that this one has these fields of a tailcfg.Node."""
        assert self._control.stdin is not None
        print(
            json.dumps({"StableID": self._ids[host], **fields}),
            file=self._control.stdin,
            flush=True,
        )
        assert (said := self._control_says()) == "ok", said

    def _control_says(self) -> str:
        assert self._control.stdout is not None
        return self._control.stdout.readline().strip()

    def until_it_says(self, node: str, **wanted: Any) -> None:
        """Until the controller's tailscale says it of the node."""
        until(
            lambda: {**self.peer(node), **wanted} == self.peer(node),
            f"{wanted} in the status of {node}",
        )

    def _until_all_are_online(self) -> None:
        for node in NODES:
            self.until_it_says(node, Online=True, HostName=node, DNSName=f"{node}.{SUFFIX}.")

    def cut_off(self, node: str) -> None:
        """SIGKILL for its tailscaled: nobody is told, and no packet comes back."""
        self._daemons[node].kill()
        self._daemons[node].wait()

    def take_interface(self, node: str) -> None:
        """Start its tailscaled again, in userspace.

        Many containers are such a machine, from which only `tailscale nc` reaches the others.
        """
        self.cut_off(node)
        self._daemons[node] = self._start_daemon(node, "userspace-networking")
        until(lambda: self.ready(node), f"{node} in userspace")

    def ready(self, node: str) -> bool:
        done = subprocess.run(
            self.cli(node, "status", "--json"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0 and json.loads(done.stdout)["BackendState"] == "Running"

    def reconnect(self, node: str) -> None:
        """Start its tailscaled again, and send a packet to the controller.

        That might else go on with the old session for a while.
        """
        self._daemons[node] = self._start_daemon(node)
        greet = self.cli(
            node, "ping", "--tsmp", "-c", "1", self.status()["Self"]["TailscaleIPs"][0]
        )
        until(
            lambda: (
                subprocess.run(
                    greet, stdin=subprocess.DEVNULL, capture_output=True, check=False
                ).returncode
                == 0
            ),
            f"a pong for {node}",
        )

    def repair(self) -> None:
        for node in NODES:
            if self._daemons[node].poll() is not None:
                self.reconnect(node)
            self.tailscale(node, "set", f"--hostname={node}")
            self.announce(node, Online=True, Tags=None, Name=f"{node}.{SUFFIX}.")
        self._until_all_are_online()


@contextlib.contextmanager
def tailnet() -> Iterator[Tailnet]:
    HERE.mkdir(parents=True, exist_ok=True)
    with (HERE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove()
        try:
            yield Tailnet()
        finally:
            remove()


if __name__ == "__main__":
    remove()
