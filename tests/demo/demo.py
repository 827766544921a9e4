"""`make demo`: a batch of real jobs on three sshds of this machine, and a check of what came of it.

Exit status 0: everything is as expected.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = ROOT / "tests" / "demo" / "jobs.yml"
NODES = ("node-1", "node-2", "node-3")
FAILS = {"fails-on-purpose": 3}
CHANGES_NOTHING = {"own-tests"}
STARTS = "gummy-demo-starts"
# What a clone has that no node needs.
CONFIG = (
    'sync_exclude: [.ansible, .cache, .collections, .demo, .home, ".venv*", __pycache__, '
    ".mypy_cache, .pytest_cache, .ruff_cache]\n"
)
SAMPLE = {
    "greet.sh": "#!/bin/sh\necho 'Helo, world'\n",
    "old.py": "def unused():\n    return 1\n",
    "notes on greeting.txt": "Greet before you ask.\n",
    "docs/index.md": "# Sample\n",
}


def problems(
    record: Mapping[str, Any],
    names: Sequence[str],
    starts: Mapping[str, Sequence[str]],
    status: int,
) -> list[str]:
    """What differs from what the batch should give.

    `record` is run.json, `names` the batch, `starts` the job names counted on each node.
    """
    found = []
    jobs = {job["name"]: job for job in record["jobs"]}
    if sorted(jobs) != sorted(names):
        found.append(f"the record has the jobs {sorted(jobs)}, the batch has {sorted(names)}")

    for name, job in jobs.items():
        wanted = ("failed", "agent", FAILS[name]) if name in FAILS else ("success", None, 0)
        if (got := (job["status"], job["class"], job["exit_status"])) != wanted:
            found.append(f"{name}: status, class and exit status are {got}, not {wanted}")
        if bool(job["patch"]) == (name in CHANGES_NOTHING):
            count = "a" if job["patch"] else "no"
            found.append(f"{name}: has {count} patch")
        nodes = {job["node"], *(attempt["node"] for attempt in job["attempts"])}
        if elsewhere := nodes - set(NODES):
            found.append(f"{name}: was tried on {sorted(map(str, elsewhere))}")

    if record["status"] != "failed":
        found.append(f"the run's status is {record['status']}, not failed")
    if status != 2:
        found.append(f"the playbook's exit status is {status}, not 2")

    if sorted(counted := [name for there in starts.values() for name in there]) != sorted(names):
        found.append(f"the nodes counted the starts {sorted(counted)}, not one of each job")
    found += [f"{node}: no job started there" for node in NODES if not starts.get(node)]
    return found


class Demo:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.fleet_dir = folder / "fleet"
        self.run_id = time.strftime("demo-%Y%m%d-%H%M%S")
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.lstrip("_").startswith(("ANSIBLE_", "GIT_")) and k != "SSH_AUTH_SOCK"
        }
        self.env = {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def call(self, *argv: str | pathlib.Path, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        # Ssh leaves shared streams non-blocking, and Ansible refuses those.
        for stream in (1, 2):
            os.set_blocking(stream, True)
        return subprocess.run(
            [str(word) for word in argv],
            env=self.env,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            **kwargs,
        )

    def fleet(self, *words: str) -> None:
        if words == ("down",) and not self.fleet_dir.exists():
            return
        program = ROOT / "roles" / "local_fleet" / "files" / "fleet.py"
        done = self.call(
            sys.executable, program, *words, "--dir", self.fleet_dir, stdout=subprocess.PIPE
        )
        if done.returncode:
            raise SystemExit(
                f"demo: fleet.py {' '.join(words)} "
                f"ended with {done.returncode}: {done.stdout.strip()}"
            )

    def playbook(self, name: str, *words: str) -> int:
        program = pathlib.Path(sys.executable).parent / "ansible-playbook"
        shown = ["-i", "fleet/tailnet.yml", f"distributed.gummy.{name}", "-e", "@jobs.yml", *words]
        say("$ ansible-playbook " + " ".join(shown))
        return self.call(program, *shown, cwd=self.folder).returncode

    def git(
        self, tree: pathlib.Path, *words: str | pathlib.Path
    ) -> subprocess.CompletedProcess[str]:
        options = [
            "-c",
            "user.name=demo",
            "-c",
            "user.email=demo@example.com",
            "-c",
            "safe.directory=*",
            "-c",
            "core.autocrlf=false",
        ]
        return self.call(
            "git", "-C", tree, *options, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def prepare(self) -> None:
        """Remove what an earlier demo left, and lay what this one needs.

        That is the sample project, its pristine copy, the jobs and a config.
        """
        self.fleet("down")
        for old in ("ansible", "cache", "config", "fleet", "pristine", "sample", "state"):
            shutil.rmtree(self.folder / old, ignore_errors=True)
        sample = self.folder / "sample"
        for name, text in SAMPLE.items():
            (sample / name).parent.mkdir(parents=True, exist_ok=True)
            (sample / name).write_text(text, encoding="utf-8")
        for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "sample")):
            if (done := self.git(sample, *words)).returncode:
                raise SystemExit(f"demo: git {words[0]}: {done.stdout}")
        shutil.copytree(sample, self.folder / "pristine", symlinks=True)
        (self.folder / "config" / "distributed-gummy").mkdir(parents=True)
        (self.folder / "config" / "distributed-gummy" / "config.yaml").write_text(
            CONFIG, encoding="utf-8"
        )
        shutil.copy(JOBS, self.folder / "jobs.yml")

    def starts(self) -> dict[str, list[str]]:
        """The names of the jobs that each node saw start; none for a node that does not answer."""
        ssh = [
            "ssh",
            "-F",
            str(self.fleet_dir / "ssh_config"),
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=5",
        ]
        read = {
            node: self.call(
                *ssh,
                node,
                f'cat "$HOME/{STARTS}"',
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ).stdout
            for node in NODES
        }
        return {node: text.split() for node, text in read.items()}

    def check(self, status: int, names: Sequence[str]) -> list[str]:
        path = self.folder / "state" / "distributed-gummy" / "runs" / self.run_id / "run.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            return [f"no usable run record: {error}"]
        starts = self.starts()
        found = problems(record, names, starts, status)
        for job in record["jobs"]:
            if job["patch"]:
                say(f"  {job['name']}: {job['patch']}")
                if (
                    done := self.git(self.folder / "pristine", "apply", "--check", job["patch"])
                ).returncode:
                    found.append(f"{job['name']}: its patch does not apply: {done.stdout.strip()}")
        if self.git(self.folder / "sample", "status", "--porcelain").stdout:
            found.append("the sample project itself was changed")
        say(
            "starts counted on the nodes: "
            + ", ".join(f"{node} {len(there)}" for node, there in starts.items())
        )
        return found

    def run(self, stop: Sequence[str]) -> int:
        import yaml

        names = [
            job["name"] for job in yaml.safe_load(JOBS.read_text(encoding="utf-8"))["gummy_jobs"]
        ]
        began = time.monotonic()
        self.prepare()
        try:
            self.fleet("up", "--size", str(len(NODES)))
            for node in stop:
                self.fleet("stop", node)
            found = [f"plan ended with {planned}"] if (planned := self.playbook("plan")) else []
            status = self.playbook("run", "-e", f"gummy_run_id={self.run_id}")
            say("the patches:")
            found += self.check(status, names)
        finally:
            self.fleet("down")
        for line in found:
            say(f"DIFFERS: {line}")
        seconds = time.monotonic() - began
        if not found:
            say(
                f"all as expected: {len(names) - len(FAILS)} jobs succeeded, "
                f"{len(FAILS)} failed as it should, {len(NODES)} nodes used, {seconds:.0f} s."
            )
            say("Take one over with: git apply PATCH")
        return 1 if found else 0


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dir",
        type=pathlib.Path,
        default=ROOT / ".demo",
        help="where the demo lives (default: .demo in the clone)",
    )
    parser.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="NODE",
        help="end this node before the jobs start, to see the demo fail",
    )
    parser.add_argument(
        "--down", action="store_true", help="only take down what a killed demo left"
    )

    options = parser.parse_args()
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    # Two demos in one folder would end each other's nodes.
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(
                f"demo: another one is running in {folder}: wait for it, or end it"
            ) from None

        for number in (signal.SIGTERM, signal.SIGHUP):
            # An exception, so that the fleet goes down.
            signal.signal(number, lambda *_: sys.exit(1))

        demo = Demo(folder)
        if options.down:
            demo.fleet("down")
            return 0
        return demo.run(options.stop)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")
