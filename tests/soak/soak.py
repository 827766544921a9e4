"""`make soak`: many short jobs by several controllers under faults drawn from a seed.

Afterwards each must be accounted for. Exit status 0: all are.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import queue
import random
import shutil
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import faults
from drivers import Driver
from model import Fault, History, Job, problems, report
from world import ISOLATE, World, why_not_isolated

NODES = 4
USERS = 4
# How many of a hundred jobs fail.
FAILING = 10
# How often each kind strikes per thousand jobs, and how often it must have struck.
TIMES = 22
LEAST = 20
# How many batches may be begun before the faults have come so far.
AHEAD = 3
# After how many strikes one that met no job is tried again.
SOON = 5
COMMAND = """
echo "$GUMMY_ATTEMPT {name}" >> {count}/starts
[ ! -e at-work ] || echo "$GUMMY_ATTEMPT" >> {count}/shared
mkdir -p at-work; sleep {seconds}; echo "work of {name}" > {name}.txt || exit 9
echo "$GUMMY_ATTEMPT" >> {count}/ends; rmdir at-work; exit {status}
"""
# The agents that do the jobs, as often as they stand here: doubles, but for the first.
AGENTS = ("shell", "shell", "claude", "gummy")


def make_jobs(number: int, seed: int, count_in: str) -> list[Job]:
    """The jobs; the seed says how long each takes, which agent does it, and which fail.

    Half of these fail by their agent's own word, half by their verify.
    """
    draw = random.Random(f"jobs {seed}")
    draw_agent = random.Random(f"agents {seed}")
    failing = set(draw.sample(range(number), number * FAILING // 100))
    jobs = []
    for place in range(number):
        fails = draw.choice(("agent", "verify")) if place in failing else None
        command = COMMAND.format(
            name=f"job-{place}",
            count=count_in,
            seconds=round(draw.uniform(0.2, 4.0), 2),
            status=1 if fails == "agent" else 0,
        )
        spec = work_of(draw_agent.choice(AGENTS), command, fails, count_in)
        if fails == "verify":
            spec["verify"] = "false"
        jobs.append(Job(f"job-{place}", fails, {"name": f"job-{place}", **spec}))
    return jobs


def work_of(agent: str, command: str, fails: str | None, count_in: str) -> dict[str, str]:
    """What a batch says of a job for this agent; to the doubles the prompt is the script."""
    if agent == "shell":
        return {"agent": "shell", "command": command}
    script = "; ".join(line for line in command.strip().splitlines())
    prompt = f"run {script}"
    if fails == "agent":
        prompt += " ;; is_error it broke"
    # An agent goes on when a command of its own was killed, and may call that a success.
    verify = f'grep -q "^$GUMMY_ATTEMPT$" {count_in}/ends'
    return {"agent": agent, "prompt": prompt, "verify": verify}


def make_schedule(number: int, seed: int, kinds: Sequence[str]) -> list[str]:
    times = max(1, round(number * TIMES / 1000))
    schedule = [kind for kind in kinds for _time in range(times)]
    random.Random(f"schedule {seed}").shuffle(schedule)
    return schedule


class Soak:
    def __init__(self, options: argparse.Namespace, world: World, folder: pathlib.Path) -> None:
        self.world = world
        self.seed = options.seed
        self.begun = time.monotonic()
        self.kinds = [
            kind for kind in options.only or faults.KINDS if faults.possible(kind, world.isolated)
        ]
        self.history = History(make_jobs(options.jobs, options.seed, world.count_in))
        self.schedule = make_schedule(options.jobs, options.seed, self.kinds) * options.times
        size = max(4, min(12, options.jobs // 10))
        self.batches = [
            self.history.jobs[first : first + size] for first in range(0, options.jobs, size)
        ]
        waiting: queue.Queue[tuple[str, list[Job]]] = queue.Queue()
        for place, batch in enumerate(self.batches):
            waiting.put((f"soak-{place}", batch))
        controllers = [world.controller(number) for number in range(2 * USERS + 1)]
        self.drivers = [
            Driver(f"user-{place}", controllers[2 * place : 2 * place + 2], waiting, self.may_begin)
            for place in range(USERS)
        ]
        self.injector = faults.Injector(world, self.drivers, controllers[-1], options.seed)
        self.log = (folder / "history.jsonl").open("w", encoding="utf-8")

    def may_begin(self, run_id: str) -> bool:
        """Jobs wait for faults, so that there are jobs for all of these; but some there must be."""
        place = int(run_id.partition("-")[2])
        if not any(driver.jobs for driver in self.drivers):
            return True
        return place < AHEAD + (len(self.batches) - AHEAD) * len(self.history.faults) / max(
            1, len(self.schedule)
        )

    def say(self, text: str) -> None:
        seconds = time.monotonic() - self.begun
        print(
            f"{seconds // 60:3.0f}:{seconds % 60:02.0f}  "
            f"{self.reported():4} of {len(self.history.jobs)} jobs reported   {text}",
            flush=True,
        )

    def reported(self) -> int:
        return sum(len(driver.rows) for driver in self.drivers)

    def strike(self, kind: str) -> bool:
        """Whether it met a job."""
        # The last faults need jobs as well, so they come before the last jobs.
        due = 0.95 * len(self.history.jobs) * len(self.history.faults) / len(self.schedule)
        # Faults wait for jobs, as jobs wait for faults.
        self.injector.wait(
            lambda: self.reported() + sum(len(driver.jobs) for driver in self.drivers) >= due, 60.0
        )

        began = time.monotonic()
        fault = None
        for _time in range(10):
            if self.injector.wait(self.world.in_flight, 60.0):
                fault = self.injector.strike(kind)
            if fault is not None or self.injector.over():
                break

        if self.injector.over():
            return False

        found = fault or Fault(kind, frozenset(), "nothing to strike")
        if found.attempts:
            self.history.faults.append(found)
        number = f"fault {len(self.history.faults)} of {len(self.schedule)}"
        self.say(
            f"{number}: {kind} {found.detail}, {len(found.attempts)} in flight "
            f"({time.monotonic() - began:.1f} s)"
        )

        self.log.write(
            json.dumps(
                {
                    "at": time.time(),
                    "fault": kind,
                    "detail": found.detail,
                    "attempts": sorted(found.attempts),
                }
            )
            + "\n"
        )
        return bool(found.attempts)

    def run(self) -> list[str]:
        """What broke."""
        pending = deque(self.schedule)
        tries = 2 * len(self.schedule)
        for driver in self.drivers:
            driver.start()
        while pending and tries and not self.injector.over():
            kind = pending.popleft()
            tries = tries - 1
            if not self.strike(kind):
                # There was nothing to strike.
                pending.insert(SOON, kind)
        # The faults are over, so all other batches may begin.
        self.history.faults += [Fault("none", frozenset())] * (
            len(self.schedule) - len(self.history.faults)
        )
        while not self.injector.over():
            self.say("waiting for the last ones")
            self.injector.wait(self.injector.over, 10.0)
        self.history.faults = [fault for fault in self.history.faults if fault.kind != "none"]
        return self.account()

    def account(self) -> list[str]:
        history = self.history
        for driver in self.drivers:
            history.rows.update(driver.rows)
        history.starts = [
            (line[0], line[1]) for line in self.world.counted("starts") if len(line) == 2
        ]
        history.ends = {line[0] for line in self.world.counted("ends") if line}
        history.shared = [line[0] for line in self.world.counted("shared") if line]
        other = [sentence for driver in self.drivers for sentence in driver.broke]
        struck = Counter(fault.kind for fault in history.faults)
        least = len(history.jobs) * LEAST // 1000
        other += [
            f"{kind}: struck {struck[kind]} times, which is no test"
            for kind in self.kinds
            if struck[kind] < least
        ]
        broke = [
            *other,
            *(sentence for sentences in problems(history).values() for sentence in sentences),
        ]
        for entry in [
            *(call for driver in self.drivers for call in driver.calls),
            *history.rows.values(),
            {"starts": history.starts, "broke": broke},
        ]:
            self.log.write(json.dumps(entry) + "\n")
        self.log.close()
        print("\n" + "\n".join([*other, *report(history, self.kinds)]), flush=True)
        return broke


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only",
        action="append",
        choices=list(faults.KINDS),
        help="this kind of fault and no other; again for more",
    )
    parser.add_argument("--times", type=int, default=1, help="so many times as many faults")
    parser.add_argument(
        "--collections",
        type=pathlib.Path,
        default=ROOT / ".collections",
        help="where ansible_collections/ lies",
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = read_options()
    if not options.inside and (why := why_not_isolated()) is None:
        os.execvp(ISOLATE[0], [*ISOLATE, sys.executable, *sys.argv, "--inside"])
    elif not options.inside:
        print(
            f"no namespaces of its own ({why}): no full disk, "
            "and a silent node is one whose sshd is stopped"
        )
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gummy-soak-"))
    folder.chmod(0o755)
    world = World(folder, NODES, options.inside, options.collections)
    try:
        broke = Soak(options, world, folder).run()
    finally:
        world.down()
    if broke:
        print(
            f"BROKE: {len(broke)} times, with --jobs {options.jobs} --seed {options.seed}; "
            f"what happened is in {folder}"
        )
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
