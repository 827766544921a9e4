"""Real nodes, and controllers that play whole playbooks on them.

They are what the fixtures in conftest.py hand out.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "roles" / "local_fleet" / "files" / "fleet.py"
NODES = ("node-1", "node-2", "node-3")
# Seconds after which a playbook or a condition counts as never coming.
PATIENCE = 90.0


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """The condition's first true value; it is asked again and again."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)
    return found


def applies(patch: str | None, project: pathlib.Path) -> bool:
    assert patch, "there is no patch"
    return git(project, "apply", "--check", patch, check=False).returncode == 0


def git(
    tree: pathlib.Path, *words: str | pathlib.Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    who = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who |= {
        f"GIT_{part}_{what}": "tester"
        for part in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    } | {"GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        ["git", "-c", "safe.directory=*", *words],
        cwd=tree,
        env=who,
        capture_output=True,
        text=True,
        check=check,
    )


class Fleet:
    """The nodes, seen from outside."""

    def __init__(self, folder: pathlib.Path, *words: str, within: Sequence[str] = ()) -> None:
        self.folder = folder
        self._within = within
        self.state = self.call("up", *(words or ("--size", str(len(NODES)))))
        self.inventory = self.state["inventory"]
        self.ssh_config = self.state["ssh_config"]
        self._nodes = {node["name"]: node for node in self.state["nodes"]}

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, "-B", str(PROGRAM), *words]

    def call(self, *words: str) -> dict[str, Any]:
        command = [*self._within, *self.command(*words, "--dir", str(self.folder))]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stop(self, node: str) -> None:
        """The node's sshd and its sessions end; its jobs live on."""
        self.call("stop", node, "--keep-jobs")

    def start(self, node: str) -> None:
        self.call("start", node)

    @property
    def user(self) -> str:
        return next(iter(self._nodes.values()))["user"]

    def home(self, node: str) -> pathlib.Path:
        return pathlib.Path(self._nodes[node]["home"])

    def put(self, node: str, name: str, text: str | bytes, mode: int = 0o644) -> None:
        path = self.home(node) / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)

    def put_doubles(self, **doubles: str) -> None:
        """Doubles of agents, and what gummy needs; by name the files of tests/doubles."""
        session_path = self.ssh("node-1", 'printf %s "$PATH"')
        for node in NODES:
            for name, double in doubles.items():
                program = (ROOT / "tests" / "doubles" / double).read_bytes()
                self.put(node, f"bin/{name}", program, 0o755)
            self.put(node, "bin/jq", "#!/bin/sh\nexit 0\n", 0o755)
            self.put(node, ".profile", f'PATH="$HOME/bin:{session_path}"\n')

    def ssh(self, node: str, command: str) -> str:
        ask = ["ssh", "-F", self.ssh_config, node, command]
        return subprocess.run(
            ask,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout

    def lines(self, name: str) -> dict[str, list[str]]:
        """The lines of a file in each node's home."""
        found = {}
        for node in self._nodes:
            with contextlib.suppress(FileNotFoundError):
                found[node] = (
                    (self.home(node) / name)
                    .read_text(encoding="utf-8", errors="surrogateescape")
                    .splitlines()
                )
        return found

    def count(self, name: str, word: str = "") -> int:
        return sum(word in line for lines in self.lines(name).values() for line in lines)

    def files(self) -> set[pathlib.Path]:
        """All that the nodes keep."""
        return {path for node in self._nodes for path in self.home(node).rglob("*")}

    def login(self, node: str) -> dict[str, Any]:
        """Variables of an inventory that knows how to reach the node.

        They are the node's address, port, user and key, and no ssh config.
        """
        words = (
            f"-o HostKeyAlias={node} -o UserKnownHostsFile='{self.folder}/known_hosts' "
            "-o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
        )
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self._nodes[node]["port"],
            "ansible_user": self._nodes[node]["user"],
            "ansible_private_key_file": str(self.folder / "id_ed25519"),
            "ansible_ssh_common_args": words,
        }


class Counter:
    """Commands that count their starts in their nodes' homes.

    To be held, they wait there for a file.
    """

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.name = name

    def command(self, hold: str = "") -> str:
        wait = f'until [ -e "$HOME/{self.name}{hold}" ]; do sleep 0.05; done; ' if hold else ""
        return f'echo "$GUMMY_JOB" >> "$HOME/{self.name}-starts"; {wait}echo done > done.txt'

    def let_go(self, hold: str) -> None:
        for node in NODES:
            self.fleet.put(node, f"{self.name}{hold}", "")

    def starts(self) -> list[str]:
        return sorted(
            line for lines in self.fleet.lines(f"{self.name}-starts").values() for line in lines
        )


class Played:
    """A playbook that ended: exit status, output, and the document of its run, if it has one."""

    def __init__(self, status: int, output: str) -> None:
        self.status = status
        self.output = output
        record = re.search(r"^record: (.*)$", output, re.MULTILINE)
        self.run: dict[str, Any] = (
            json.loads(pathlib.Path(record[1]).read_text(encoding="utf-8")) if record else {}
        )
        self.jobs: dict[str, dict[str, Any]] = {
            row["name"]: row for row in self.run.get("jobs", [])
        }

    def __repr__(self) -> str:
        return f"exit status {self.status}\n{self.output}"

    @property
    def job(self) -> dict[str, Any]:
        (only,) = self.jobs.values()
        return only


def descendants(pid: int) -> list[int]:
    rows = [
        line.split()
        for line in subprocess.run(
            ["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
    ]
    found = [pid]
    # The list grows while it is walked.
    for one in found:
        found += [int(child) for child, parent in rows if int(parent) == one]
    return found


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """A signal for processes that were found a moment ago, and may have ended since."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_all_of(process: subprocess.Popen[Any]) -> None:
    """SIGKILL for a playbook that has not ended, and for all its processes."""
    if process.poll() is None:
        send(signal.SIGKILL, descendants(process.pid))
        process.wait()


class Playing:
    """A playbook that runs."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: pathlib.Path,
        env: Mapping[str, str],
        output: pathlib.Path,
    ) -> None:
        self._output = output
        with output.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="surrogateescape")

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        """Until the condition holds; a playbook that ends before fails the test."""
        deadline = time.monotonic() + PATIENCE / 3
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, (
                f"never came: {what}:\n{self.said()}"
            )
            time.sleep(0.02)

    def end(self) -> Played:
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"does not end:\n{self.said()}") from None
        return Played(self.process.returncode, self.said())

    def kill(self) -> None:
        """SIGKILL for the playbook and all its processes; jobs are not among them."""
        kill_all_of(self.process)


class Controller:
    """A machine that plays: its environment, its state, and the playbooks that it started."""

    def __init__(
        self,
        fleet: Fleet,
        folder: pathlib.Path,
        env: dict[str, str],
        config: Mapping[str, Any],
        within: Sequence[str] = (),
    ) -> None:
        self.fleet = fleet
        self.folder = folder
        self.env = env
        self.within = within
        self.state = pathlib.Path(env["XDG_STATE_HOME"], "distributed-gummy")
        self.project = self.make_project(folder / "project")
        self._started: list[Playing] = []
        self.configure(json.dumps(config))

    def configure(self, text: str) -> None:
        path = pathlib.Path(self.env["XDG_CONFIG_HOME"], "distributed-gummy", "config.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def make_project(self, tree: pathlib.Path, repository: bool = True) -> pathlib.Path:
        """A small project, with files that stay at home.

        sync_exclude keeps trace.log at home and, in a repository, .gitignore keeps `secret`.
        """
        (tree / "docs").mkdir(parents=True)
        texts = {
            "a.txt": "one\ntwo\n",
            "docs/b c.txt": "text\n",
            "gone.txt": "old\n",
            ".gitignore": "secret\n",
            "secret": "x\n",
            "trace.log": "x\n",
        }
        for name, text in texts.items():
            (tree / name).write_text(text, encoding="utf-8")
        if repository:
            for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "sample")):
                git(tree, *words)
        return tree

    def jobs(self, *jobs: Mapping[str, Any], **settings: Any) -> str:
        """A file with this batch, as an argument of -e."""
        path = self.folder / f"jobs-{len(list(self.folder.glob('jobs-*')))}.json"
        path.write_text(
            json.dumps(
                {"gummy_agent": "shell", **settings, "gummy_jobs": list(jobs)}, ensure_ascii=False
            ),
            encoding="utf-8",
        )
        return f"@{path}"

    def static(self, hosts: Mapping[str, Mapping[str, Any]], **groups: Any) -> str:
        """An inventory without plugin."""
        path = self.folder / "hosts.json"
        path.write_text(json.dumps({"all": {"hosts": hosts, **groups}}), encoding="utf-8")
        return str(path)

    def begin(
        self,
        playbook: str,
        *words: str,
        inventory: str | None = None,
        cwd: pathlib.Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Playing:
        book = playbook if "/" in playbook else f"distributed.gummy.{playbook}"
        command = [
            *self.within,
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "-i",
            inventory or self.fleet.inventory,
            book,
            *words,
        ]
        started = Playing(
            command,
            cwd or self.project,
            {**self.env, **(env or {})},
            self.folder / f"output-{len(self._started)}",
        )
        self._started.append(started)
        return started

    def play(self, playbook: str, *words: str, **more: Any) -> Played:
        return self.begin(playbook, *words, **more).end()

    def run(self, *words: str, **more: Any) -> Played:
        return self.play("run", *words, **more)

    def shell(self, command: str, *words: str, **more: Any) -> Played:
        """One job of the agent shell."""
        return self.run(
            "-e", "gummy_agent=shell", "-e", json.dumps({"gummy_command": command}), *words, **more
        )

    def close(self) -> None:
        for started in self._started:
            started.kill()


def copy_of_collection(
    folder: pathlib.Path, changes: Mapping[str, tuple[str, str]]
) -> pathlib.Path:
    """The folder by which Ansible finds a copy in which these texts of these files are others."""
    copy = folder / "ansible_collections" / "distributed" / "gummy"
    copy.mkdir(parents=True)
    for part in ("plugins", "playbooks", "roles", "meta", "galaxy.yml"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part)
        else:
            shutil.copy(source, copy / part)
    for name, (right, wrong) in changes.items():
        text = (copy / name).read_text(encoding="utf-8")
        assert text.count(right) == 1, f"{name} has not one {right!r}"
        (copy / name).write_text(text.replace(right, wrong), encoding="utf-8")
    return folder


def traces(folder: pathlib.Path) -> list[int]:
    """Processes that show this folder anywhere: words, environment, open files or mounts."""
    if sys.platform != "linux":
        rows = subprocess.run(
            ["ps", "-axEww", "-o", "pid=,command="], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.splitlines()
        return [int(row.split()[0]) for row in rows if str(folder) in row]
    found = []
    octal = str(folder).replace(" ", "\\040")
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            texts = [
                process.joinpath(file).read_bytes().decode(errors="replace")
                for file in ("cmdline", "environ", "mountinfo")
            ]
            texts += [os.readlink(link) for link in process.glob("fd/*")]
            if (
                any(str(folder) in text or octal in text for text in texts)
                and int(process.name) != os.getpid()
            ):
                found.append(int(process.name))
    return found


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
