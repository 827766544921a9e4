"""Rows on a virtual clock: how long a batch takes by the real scheduler, and what a decision costs when there are many."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from statistics import median

import fleet_model
from fleet_model import Fleet, Mix

MACHINES = ((2, 0.8), (4, 1.0), (4, 1.0), (8, 1.0), (8, 1.2), (16, 1.3))
JOBS, SEEDS = 48, 40
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
    when, jobs = 0.0, []
    for _job in range(3 * JOBS):
        when += dice.expovariate(1 / 9)
        jobs.append((when, lognormal(dice)))
    return Mix(MACHINES, jobs)


def background(dice: random.Random) -> Mix:
    changes = []
    for number, (slots, _speed) in enumerate(MACHINES):
        for _time in range(6):
            when, taken, seconds = dice.uniform(0, 1200), dice.randint(1, slots), dice.uniform(60, 600)
            changes += [(when, number, taken), (when + seconds, number, -taken)]
    return Mix(MACHINES, [(0.0, lognormal(dice)) for _job in range(2 * JOBS)], background=changes)


def deaths(dice: random.Random) -> Mix:
    times = [(dice.uniform(0, 600), number, dice.uniform(60, 400)) for number in range(len(MACHINES)) if dice.random() < 0.6]
    return Mix(MACHINES, [(0.0, lognormal(dice)) for _job in range(2 * JOBS)], deaths=times)


def controllers(count: int) -> Callable[[random.Random], Mix]:
    def mix(dice: random.Random) -> Mix:
        return Mix(MACHINES, [(0.0, lognormal(dice)) for _job in range(2 * JOBS)], controllers=count)

    return mix


MIXES: Mapping[str, Callable[[random.Random], Mix]] = {
    "base": base, "bimodal": bimodal, "equal": equal, "giant": giant, "stream": stream, "background": background, "deaths": deaths,
    **{f"controllers-{count}": controllers(count) for count in range(2, 6)},
}  # fmt: skip
OTHERS = {"least loaded, stale": fleet_model.least_loaded, "random": fleet_model.by_chance, "round robin": fleet_model.round_robin}


def takes(way: Callable[[Fleet], None], mix: Mix) -> float:
    fleet = Fleet(mix)
    way(fleet)
    return fleet.run()


def main() -> None:
    for name, make in MIXES.items():
        mixes = [make(random.Random(seed)) for seed in range(SEEDS)]
        bounds = [mix.bound() for mix in mixes]
        begun = time.monotonic()
        mine = [takes(fleet_model.ours, mix) for mix in mixes]
        seconds = time.monotonic() - begun
        pulled = [takes(fleet_model.pull, mix) for mix in mixes]
        to_bound = sorted(a / b for a, b in zip(mine, bounds))
        pb = sorted(a / b for a, b in zip(pulled, bounds))
        ratios = [a / b for a, b in zip(mine, pulled)]
        others = {o: median(takes(w, m) / b for m, b in zip(mixes, bounds)) for o, w in OTHERS.items()} if name == "base" else {}
        print(f"{name:15} /bound median {median(to_bound):.3f} p95 {to_bound[int(0.95 * len(to_bound))]:.3f}", end=" ")
        print(f"(pull {median(pb):.3f} {pb[int(0.95 * len(pb))]:.3f}) /pull median {median(ratios):.3f}", end=" ")
        print(f"max {max(ratios):.3f} {seconds:.1f} s {others}")


if __name__ == "__main__":
    main()
