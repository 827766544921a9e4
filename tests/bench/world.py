"""What the rows stand on: nodes, a project, inventories, an environment, a clock.

The environment sees nothing of the user's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Self

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "roles" / "local_fleet" / "files" / "fleet.py"
NODES = 5
SLOTS = 2
FILES = 20
# What one call of a side gave; `wall` and `cpu` in seconds, whatever else a row asks for.
Sample = dict[str, float]


class BenchError(Exception):
    """A side did not do its work: a ratio of it would mean nothing."""


class World:
    """Use it as a context: the fleet is up inside, and down afterwards whatever happened."""

    def __init__(self, folder: pathlib.Path, size: int = NODES) -> None:
        self.folder = folder
        self.fleet_dir = folder / "fleet"
        self.project = folder / "project"
        self.nodes = [f"node-{number}" for number in range(1, size + 1)]
        foreign = ("ANSIBLE_", "GIT_", "PARALLEL", "SSH_AUTH_SOCK")
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.lstrip("_").startswith(foreign)
        }
        homes = (
            "ANSIBLE_HOME",
            "PARALLEL_HOME",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
        )
        self.env = {
            **kept,
            **{name: str(folder / name) for name in homes},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        }

    def __enter__(self) -> Self:
        self.fleet("down")
        shutil.rmtree(self.folder, ignore_errors=True)
        # A socket's path must be short, and that of the folder may be long.
        self.sockets = self.env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = tempfile.mkdtemp(
            prefix="gummy-bench-"
        )
        try:
            self.fleet("up", "--size", str(len(self.nodes)))
            self._lay()
        except BaseException:
            self.__exit__()
            raise
        # From here on ssh masters, which leave their parents, become our children and can be
        # counted.
        if sys.platform == "linux":
            # 36 is PR_SET_CHILD_SUBREAPER.
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.fleet("down")
        shutil.rmtree(self.sockets, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fleet(self, *words: str) -> None:
        if words == ("down",) and not self.fleet_dir.exists():
            return
        done = subprocess.run(
            [sys.executable, PROGRAM, *words, "--dir", self.fleet_dir],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(
                f"fleet.py {words[0]} ended with {done.returncode}: {done.stderr.strip()}"
            )

    def _lay(self) -> None:
        """Write what the rows need beside the nodes."""
        for name in ("XDG_CONFIG_HOME/distributed-gummy", "PARALLEL_HOME", "project", "out"):
            (self.folder / name).mkdir(parents=True)
        self.set_slots([SLOTS] * len(self.nodes))

        self._lay_project()
        self._lay_inventories()

        # GNU parallel's --cleanup removes this folder when it is empty, while its next job begins
        # in it.
        for name in self.nodes:
            keep = "mkdir -p .parallel/tmp/keep"
            subprocess.run(
                ["ssh", "-F", self.fleet_dir / "ssh_config", name, keep],
                stdin=subprocess.DEVNULL,
                check=True,
            )

    def _lay_project(self) -> None:
        for number in range(FILES):
            text = "".join(f"line {line} of file {number}\n" for line in range(20 * number))
            (self.project / f"file-{number}.txt").write_text(text, encoding="utf-8")

        identity = [
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.com",
            "-c",
            "init.templateDir=",
        ]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "project"]):
            subprocess.run(
                ["git", *identity, *words],
                cwd=self.project,
                env={**self.env, "GIT_CONFIG_GLOBAL": os.devnull},
                check=True,
            )

    def _lay_inventories(self) -> None:
        """Write the nodes as an inventory that asks nobody, and a playbook that does nothing."""
        words = ["ansible-inventory", "-i", "fleet/tailnet.yml", "--list"]
        listed = subprocess.run(
            words, cwd=self.folder, env=self.env, capture_output=True, check=True
        )
        found = json.loads(listed.stdout)["_meta"]["hostvars"]
        ssh = {
            name: {key: value for key, value in found[name].items() if key.startswith("ansible_")}
            for name in self.nodes
        }
        self.write("static.yml", {"all": {"hosts": ssh}})
        self.write(
            "debug.yml",
            [
                {
                    "hosts": self.nodes[0],
                    "gather_facts": False,
                    "tasks": [{"ansible.builtin.debug": {"msg": "x"}}],
                }
            ],
        )

    def set_slots(self, slots: Sequence[int]) -> None:
        self.write(
            "XDG_CONFIG_HOME/distributed-gummy/config.yaml",
            {
                "nodes": {
                    name: {"slots": count} for name, count in zip(self.nodes, slots, strict=True)
                }
            },
        )

    def write(self, name: str, document: object) -> str:
        # JSON is YAML.
        (self.folder / name).write_text(json.dumps(document), encoding="utf-8")
        return name

    def timed(self, *argv: str, cwd: str = ".", stdin: str = "") -> Sample:
        """Run a command; return its wall seconds and its CPU seconds.

        These are those of the command, its children, and the ssh masters that it uses. Raises
        BenchError.
        """
        before = adopted()
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as given:
            given.write(stdin)
            given.seek(0)
            begun = time.monotonic()
            process = subprocess.Popen(
                argv, cwd=self.folder / cwd, env=self.env, stdin=given, stdout=output, stderr=output
            )
            try:
                _pid, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.terminate()
                process.wait(20)
                raise
            wall = time.monotonic() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            if process.returncode:
                raise BenchError(
                    f"{' '.join(argv)[:200]} ended with {process.returncode}: "
                    f"{output.read()[-2000:]}"
                )
        masters = sum(seconds - before.get(pid, 0.0) for pid, seconds in adopted().items())
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime + masters}


def adopted() -> dict[int, float]:
    """CPU seconds so far of the processes that lost their parents and became ours.

    Empty where the system can't say.
    """
    found = {}
    tick = os.sysconf("SC_CLK_TCK")
    with contextlib.suppress(OSError):
        for pid in (
            pathlib.Path(f"/proc/self/task/{os.getpid()}/children")
            .read_text(encoding="ascii")
            .split()
        ):
            with contextlib.suppress(OSError):
                fields = (
                    pathlib.Path(f"/proc/{pid}/stat")
                    .read_text(encoding="utf-8", errors="replace")
                    .rpartition(")")[2]
                    .split()
                )
                found[int(pid)] = sum(map(int, fields[11:15])) / tick
    return found
