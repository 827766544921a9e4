"""What befalls a soak, one kind a function.

Each waits for something that it can strike, strikes, and mends what no user would mend.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from drivers import HANGS, Driver
from model import Fault
from real_nodes import Controller, descendants, send
from world import DISK, World

# Seconds after which there is nothing that a fault could strike.
PATIENCE = 20.0
# How often the projects change while a sync is waited for, in seconds.
TOUCHED_EVERY = 0.3
# Seconds; the settings of ssh in world.py give up before.
SILENCE = 6.0
TRUNCATED = (
    "claims.json",
    "workspaces/*/*/holder.json",
    "workspaces/*/*/sync.json",
    "attempts/*/ended.json",
    "attempts/*/harvest/result.json",
    "slots/*",
)
Strike = Callable[["Injector"], Fault | None]


def kill(*pids: int) -> None:
    send(signal.SIGKILL, pids)


def reads_nothing(pid: int) -> bool:
    """Whether its stdin is /dev/null, as a supervisor's is, which a session's child forked."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/0") == os.devnull
    return True


class Injector:
    """strike(kind) -> what it did, None if there was nothing to strike."""

    def __init__(
        self, world: World, drivers: Sequence[Driver], operator: Controller, seed: int
    ) -> None:
        self.world = world
        self.drivers = drivers
        self.operator = operator
        self.random = random.Random(f"faults {seed}")
        # When the projects were changed last.
        self._touched = 0.0

    def strike(self, kind: str) -> Fault | None:
        return KINDS[kind](self)

    def over(self) -> bool:
        return not any(driver.is_alive() for driver in self.drivers)

    def wait(self, found: Callable[[], object], patience: float = PATIENCE) -> object:
        until = time.monotonic() + patience
        while not (one := found()):
            if time.monotonic() > until or self.over():
                return None
            time.sleep(0.003)
        return one

    # -- what can be struck

    def all_in_flight(self) -> frozenset[str]:
        return frozenset(self.world.in_flight())

    def driver(self) -> Driver | None:
        """One whose playbook has jobs in flight.

        Every other time it is the very one whose job just now begins on its node.
        """
        known = {*self.world.in_flight()}
        if self.random.random() < 0.5:
            fresh = self.wait(lambda: {*self.world.in_flight()} - known, 3.0)
            jobs = {
                self.world.job_of(path)
                for name, path in self.world.in_flight().items()
                if name in (fresh or ())
            }
            if found := [driver for driver in self.drivers if driver.jobs & jobs]:
                return found[0]

        def busy() -> list[Driver]:
            jobs = {self.world.job_of(path) for path in self.world.in_flight().values()}
            return [
                driver
                for driver in self.drivers
                if driver.jobs & jobs and driver.playing and driver.playing.process.poll() is None
            ]

        found = self.wait(busy)
        return self.random.choice(found) if isinstance(found, list) else None

    def node(self) -> str | None:
        found = self.wait(lambda: [node for node in self.world.nodes if self.world.in_flight(node)])
        return self.random.choice(found) if isinstance(found, list) else None

    def attempt(self) -> tuple[str, str] | None:
        """(id, node) of one that has begun."""

        def choose() -> object:
            paths = sorted(self.world.in_flight().values())
            return self.random.choice(paths) if paths else None

        path = self.wait(choose)
        return (path.name, self.world.node_of(path)) if path else None  # type: ignore[attr-defined]

    def worker(self, driver: Driver) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((driver.record / "lock").read_text())
        return 0

    # -- the controller

    def playbook(self) -> Fault | None:
        if (driver := self.driver()) is None or driver.playing is None:
            return None
        hit = self.all_in_flight()
        kill(self.worker(driver) or driver.playing.process.pid, driver.playing.process.pid)
        driver.playing.kill()
        return Fault("playbook killed", hit, driver.run_id)

    def main_alone(self) -> Fault | None:
        if (driver := self.driver()) is None or driver.playing is None:
            return None
        hit = self.all_in_flight()
        kill(driver.playing.process.pid)
        return Fault("its main process alone", hit, driver.run_id)

    def its_worker(self) -> Fault | None:
        if (driver := self.driver()) is None or not (pid := self.worker(driver)):
            return None
        hit = self.all_in_flight()
        driver.hangs_at = time.monotonic() + HANGS
        kill(pid)
        return Fault("its worker alone", hit, driver.run_id)

    def ssh(self) -> Fault | None:
        if (driver := self.driver()) is None:
            return None

        def clients() -> list[int]:
            ours = {*descendants(driver.playing.process.pid)} if driver.playing else set[int]()
            return [
                pid
                for pid, _parent, words, _env in self.world.processes()
                if pid in ours and words.startswith("ssh ")
            ]

        found = self.wait(clients, 5.0)
        if not isinstance(found, list):
            return None
        hit = self.all_in_flight()
        kill(self.random.choice(found))
        return Fault("ssh killed", hit, driver.run_id)

    def session(self) -> Fault | None:
        """A session's program on a node, or a child of it that answers a request."""

        def programs() -> list[int]:
            here = str(self.world.folder)
            return [
                pid
                for pid, _parent, words, env in self.world.processes()
                if words.endswith(".zip session")
                and (self.world.isolated or here in words or here in env.get("HOME", ""))
                and not reads_nothing(pid)
            ]

        found = self.wait(programs, 5.0)
        if not isinstance(found, list):
            return None
        hit = self.all_in_flight()
        kill(self.random.choice(found))
        return Fault("session killed", hit)

    def master(self) -> Fault | None:
        mine = str(self.world.folder)
        found = self.wait(
            lambda: [
                pid
                for pid, _p, words, env in self.world.processes()
                if "[mux]" in words and env.get("GUMMY_SOAK", mine) == mine
            ]
        )
        if not isinstance(found, list):
            return None
        hit = self.all_in_flight()
        kill(self.random.choice(found))
        return Fault("ssh master killed", hit)

    def rsync(self) -> Fault | None:
        done = self.world.arm.with_name(self.world.arm.name + ".done")
        with contextlib.suppress(FileNotFoundError):
            done.unlink()
        while isinstance(hit := self.wait(self.all_in_flight), frozenset):
            temporary = self.world.arm.with_name("arming")
            temporary.write_text(f"{self.random.uniform(0.01, 0.06):.3f}")
            temporary.rename(self.world.arm)
            if self.wait(self._armed_one_is_taken) and self.wait(done.exists, 1.0):
                return Fault("rsync killed half way", hit | self.all_in_flight())
            with contextlib.suppress(FileNotFoundError):
                self.world.arm.unlink()
        return None

    def _armed_one_is_taken(self) -> bool:
        """Whether an rsync took what was armed."""
        self._touch_projects()
        return not self.world.arm.exists()

    def _touch_projects(self) -> None:
        """Where nothing has changed at home no rsync is needed, so something does now and then."""
        if time.monotonic() > self._touched + TOUCHED_EVERY:
            self._touched = time.monotonic()
            for driver in self.drivers:
                for path in driver.project.iterdir():
                    if path.is_file():
                        os.utime(path)

    def record(self) -> Fault | None:
        if (driver := self.driver()) is None:
            return None
        hit = self.all_in_flight()
        driver.lose_record()
        return Fault("record deleted", hit, driver.run_id)

    def takeover(self) -> Fault | None:
        """Every other time the first controller does not know of it."""
        if (driver := self.driver()) is None or driver.playing is None:
            return None
        hit = self.all_in_flight()
        first = driver.playing
        driver.move()
        if self.random.random() < 0.5:
            first.kill()
        return Fault("run taken over", hit, driver.run_id)

    def cancel(self) -> Fault | None:
        known = {*self.world.in_flight()}
        fresh = self.wait(lambda: {*self.world.in_flight()} - known)
        if not isinstance(fresh, set):
            return None
        attempt = min(fresh)
        played = self.operator.play(
            "cancel",
            "-e",
            f"gummy_job={attempt}",
            inventory=str(self.operator.folder / "hosts.json"),
        )
        return Fault(
            "job cancelled",
            frozenset({attempt}),
            "" if "  cancelled\n" in played.output else "too late",
        )

    # -- the node

    def supervisor(self) -> Fault | None:
        if (one := self.attempt()) is None:
            return None
        lock = next(
            iter(self.world.in_flight(one[1]).get(one[0], self.world.folder).glob("lock")), None
        )
        pid = lock.read_text().strip() if lock else ""
        if not pid.isdigit():
            return None
        with contextlib.suppress(subprocess.CalledProcessError):
            self.world.fleet.ssh(one[1], f"kill -9 {pid}")
        return Fault("supervisor killed", frozenset({one[0]}), one[1])

    def agent(self) -> Fault | None:
        if (one := self.attempt()) is None:
            return None
        command = (
            "for p in /proc/[0-9]*; do "
            f"if grep -qz GUMMY_ATTEMPT={one[0]} $p/environ 2>/dev/null; "
            "then kill -9 ${p#/proc/}; break; fi; done"
        )
        with contextlib.suppress(subprocess.CalledProcessError):
            self.world.fleet.ssh(one[1], command)
        return Fault("agent killed", frozenset({one[0]}), one[1])

    def reboot(self) -> Fault | None:
        if (node := self.node()) is None:
            return None
        before = self.world.in_flight(node)
        self.world.fleet.call("stop", node)
        hit = frozenset({*before, *self.world.in_flight(node)})
        time.sleep(self.random.uniform(0.0, 3.0))
        self.world.fleet.start(node)
        return Fault("node rebooted", hit, node)

    def silence(self) -> Fault | None:
        if (node := self.node()) is None:
            return None
        hit = frozenset(self.world.in_flight(node))
        if self.world.isolated:
            subprocess.run(["ip", "link", "set", node, "down"], check=True)
            time.sleep(SILENCE)
            subprocess.run(["ip", "link", "set", node, "up"], check=True)
        else:
            folder = str(self.world.fleet.home(node).parent)
            frozen = [
                pid
                for pid, _parent, words, _env in self.world.processes()
                if words.startswith("sshd") and folder in words
            ]
            frozen += [child for pid in frozen for child in descendants(pid) if child != pid]
            for number in (signal.SIGSTOP, signal.SIGCONT):
                send(number, frozen)
                time.sleep(SILENCE if number == signal.SIGSTOP else 0)
        return Fault("packets dropped", hit, node)

    def disk(self) -> Fault | None:
        if (node := self.node()) is None:
            return None
        home = self.world.fleet.home(node)
        before = frozenset(self.world.in_flight(node))
        for _time in range(20):
            disk = os.statvfs(home)
            used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            if not subprocess.run(
                ["mount", "-o", f"remount,size={used}", str(home)], capture_output=True, check=False
            ).returncode:
                break
        during: set[str] = set()
        until = time.monotonic() + self.random.uniform(1.0, 3.0)
        while time.monotonic() < until:
            during |= {*self.world.in_flight(node)}
            time.sleep(0.02)
        subprocess.run(["mount", "-o", f"remount,size={DISK}", str(home)], check=True)
        return Fault("disk full", before | during | frozenset(self.world.in_flight(node)), node)

    def truncate(self) -> Fault | None:
        if (node := self.node()) is None:
            return None
        pattern = self.random.choice(TRUNCATED)
        files = [
            path for attempts in self.world.stores(node) for path in attempts.parent.glob(pattern)
        ]
        if not files:
            return None
        path = self.random.choice(sorted(files))
        hit = frozenset(self.world.in_flight(node))
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, path.stat().st_size // 2)
        named = {part for part in path.parts if part.count("-") == 1}
        return Fault("file truncated", hit | named, f"{node}: {path.name}")

    def newer(self) -> Fault | None:
        if (node := self.node()) is None:
            return None
        hit = frozenset(self.world.in_flight(node))
        (attempts, *_others) = self.world.stores(node)
        path = attempts.parent / "store.json"
        known = path.read_bytes()
        path.write_text(json.dumps({**json.loads(known), "format": 2}))
        time.sleep(self.random.uniform(0.5, 3.0))
        path.write_bytes(known)
        return Fault("store of a newer schema", hit, node)


KINDS: dict[str, Strike] = {
    "playbook killed": Injector.playbook,
    "its main process alone": Injector.main_alone,
    "its worker alone": Injector.its_worker,
    "ssh killed": Injector.ssh,
    "session killed": Injector.session,
    "ssh master killed": Injector.master,
    "rsync killed half way": Injector.rsync,
    "record deleted": Injector.record,
    "run taken over": Injector.takeover,
    "job cancelled": Injector.cancel,
    "supervisor killed": Injector.supervisor,
    "agent killed": Injector.agent,
    "node rebooted": Injector.reboot,
    "packets dropped": Injector.silence,
    "disk full": Injector.disk,
    "file truncated": Injector.truncate,
    "store of a newer schema": Injector.newer,
}
NEEDS_PROC = frozenset(
    {"ssh killed", "session killed", "ssh master killed", "agent killed", "packets dropped"}
)


def possible(kind: str, isolated: bool) -> bool:
    if kind == "rsync killed half way":
        return shutil.which("timeout") is not None
    return (isolated or kind != "disk full") and (
        os.path.isdir("/proc/self") or kind not in NEEDS_PROC
    )
