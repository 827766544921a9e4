"""How long batches take on a virtual clock, by the real scheduler and by other ways.

Also: what a decision costs when there are many.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any

import fleet_model
from fleet_model import Fleet, Mix
from table import columns

MACHINES = ((2, 0.8), (4, 1.0), (4, 1.0), (8, 1.0), (8, 1.2), (16, 1.3))
JOBS = 48
SEEDS = 40
# One seed's luck moves a ratio by a third, so a mix that is compared with pull needs many.
MORE_SEEDS = 200
MEDIAN = 1.10
P95 = 1.40
AS_PULL = 1.03


def lognormal(dice: random.Random) -> float:
    return min(dice.lognormvariate(5.7, 0.8), 3600.0)


def base(dice: random.Random) -> Mix:
    return Mix(MACHINES, [(0.0, lognormal(dice)) for _job in range(JOBS)])


def bimodal(dice: random.Random) -> Mix:
    return Mix(MACHINES, [(0.0, dice.choice([60.0] * 4 + [1500.0])) for _job in range(2 * JOBS)])


def equal(_dice: random.Random) -> Mix:
    return Mix(MACHINES, [(0.0, 300.0)] * (2 * JOBS))


def giant(dice: random.Random) -> Mix:
    jobs = [(0.0, 120.0)] * (2 * JOBS - 1) + [(0.0, 3600.0)]
    dice.shuffle(jobs)
    return Mix(MACHINES, jobs)


def stream(dice: random.Random) -> Mix:
    when = 0.0
    jobs = []
    for _job in range(3 * JOBS):
        when += dice.expovariate(1 / 9)
        jobs.append((when, lognormal(dice)))
    return Mix(MACHINES, jobs)


def background(dice: random.Random) -> Mix:
    changes = []
    for number, (slots, _speed) in enumerate(MACHINES):
        for _time in range(6):
            when = dice.uniform(0, 1200)
            taken = dice.randint(1, slots)
            seconds = dice.uniform(60, 600)
            changes += [(when, number, taken), (when + seconds, number, -taken)]
    return Mix(MACHINES, [(0.0, lognormal(dice)) for _job in range(2 * JOBS)], background=changes)


def deaths(dice: random.Random) -> Mix:
    times = [
        (dice.uniform(0, 600), number, dice.uniform(60, 400))
        for number in range(len(MACHINES))
        if dice.random() < 0.6
    ]
    return Mix(MACHINES, [(0.0, lognormal(dice)) for _job in range(2 * JOBS)], deaths=times)


def controllers(count: int) -> Callable[[random.Random], Mix]:
    def mix(dice: random.Random) -> Mix:
        return Mix(
            MACHINES, [(0.0, lognormal(dice)) for _job in range(2 * JOBS)], controllers=count
        )

    return mix


MIXES: Mapping[str, Callable[[random.Random], Mix]] = {
    "base": base,
    "bimodal": bimodal,
    "equal": equal,
    "giant": giant,
    "stream": stream,
    "background": background,
    "deaths": deaths,
    **{f"controllers-{count}": controllers(count) for count in range(2, 6)},
}
WAYS: Mapping[str, Callable[[Fleet], None]] = {
    "ours": fleet_model.ours,
    "pull": fleet_model.pull,
    "fastest": fleet_model.fastest,
    "least loaded, stale": fleet_model.least_loaded,
    "random": fleet_model.by_chance,
    "round robin": fleet_model.round_robin,
}
# How many nodes there are in a crowd, and how many jobs.
CROWD = 1_000
CROWDS = (1_000, 10_000, 100_000)


def measure(told: Callable[[str], None]) -> dict[str, Any]:
    """Rows of the mixes, and what a decision costs in a crowd.

    A row of `mixes` has the median over the seeds of how often the bound each way takes.
    """
    with ProcessPoolExecutor() as pool:
        rows = []
        for name in MIXES:
            seeds = range(SEEDS if name == "base" else MORE_SEEDS)
            took = list(pool.map(_one, [name] * len(seeds), seeds, chunksize=8))
            ours = sorted(each["ours"] for each in took)
            row = {
                "mix": name,
                "seeds": len(seeds),
                "to_bound": {way: median(each[way] for each in took) for way in WAYS},
                "p95": {
                    way: sorted(each[way] for each in took)[math.ceil(0.95 * len(took)) - 1]
                    for way in WAYS
                },
                "to_pull": median(each["ours"] / each["pull"] for each in took),
            }
            rows.append(
                {**row, "met": row["to_pull"] <= AS_PULL and (name != "base" or _near(row))}
            )
            told(f"{name}: {len(ours)} seeds")
        return {"mixes": rows, "crowds": [_crowd(jobs, told) for jobs in CROWDS]}


def lines(measured: Mapping[str, Any]) -> list[str]:
    """The tables for people."""
    cells = [["mix", "seeds", *WAYS, "p95", "ours / pull", "target", ""]]
    for row in measured["mixes"]:
        target = f"<= {AS_PULL:g}" + (
            f", ours <= {MEDIAN:.2f}, p95 <= {P95:.2f}" if row["mix"] == "base" else ""
        )
        times = [f"{row['to_bound'][way]:.3f}" for way in WAYS]
        verdict = "met" if row["met"] else "MISSED"
        cells.append(
            [
                row["mix"],
                str(row["seeds"]),
                *times,
                f"{row['p95']['ours']:.3f}",
                f"{row['to_pull']:.3f}",
                target,
                verdict,
            ]
        )
    crowds = [
        f"{CROWD} nodes, {row['jobs']} jobs: {row['seconds']:.1f} s "
        f"to decide {row['decisions']} times, {row['us']:.0f} us each"
        for row in measured["crowds"]
    ]
    head = (
        "simulated: how often the bound (no way is faster) the jobs of a mix took, "
        "median over the seeds; p95 of ours"
    )
    return [head, *columns(cells), *crowds]


def _one(name: str, seed: int) -> dict[str, float]:
    mix = MIXES[name](random.Random(seed))
    return {way: _takes(use, mix) / mix.bound() for way, use in WAYS.items()}


def _takes(way: Callable[[Fleet], None], mix: Mix) -> float:
    fleet = Fleet(mix)
    way(fleet)
    return fleet.run()


def _near(row: Mapping[str, Any]) -> bool:
    return bool(row["to_bound"]["ours"] <= MEDIAN and row["p95"]["ours"] <= P95)


def _crowd(jobs: int, told: Callable[[str], None]) -> dict[str, Any]:
    dice = random.Random(1)
    fleet = Fleet(
        Mix(
            [(dice.choice((2, 4, 8)), 1.0) for _node in range(CROWD)],
            [(0.0, dice.uniform(60, 600)) for _job in range(jobs)],
        )
    )
    fleet_model.ours(fleet)
    fleet.run()
    told(f"{jobs} jobs on {CROWD} nodes")
    return {
        "jobs": jobs,
        "seconds": fleet.seconds,
        "decisions": fleet.decisions,
        "us": 1e6 * fleet.seconds / fleet.decisions,
    }
