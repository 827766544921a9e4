"""`make bench`: what our calls cost against a floor or a peer, as ratios in one run.

It has a local fleet of its own.

Exit status 0 also when a target is missed; 1 when something did not do its work.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pathlib
import signal
import sys
import time
from typing import Any

import big
import jobs
import load
import placement
import silent
import simulation
import sync
import views
from table import Row, Side, lines, result
from world import ROOT, BenchError, Sample, World

ROWS: list[Row] = [*jobs.ROWS, *load.ROWS, *views.ROWS, *placement.ROWS, *sync.ROWS, *silent.ROWS]
BIG = "big"
SIMULATION = "simulation"
# How long an ssh master surely lasts without work, in seconds; it ends after 60.
MASTERS_LAST = 40.0


def measure(world: World, rows: list[Row], runs: int) -> dict[Side, list[Sample]]:
    """Call every side once a round, in an order that turns.

    What else the machine does then meets all sides alike.
    """
    sides = {side: row.warm for row in rows for side in (row.ours, row.peer)}
    samples: dict[Side, list[Sample]] = {side: [] for side in sides}
    used: dict[Side, float] = {}
    order = list(sides)
    for number in range(runs):
        for side in order:
            if sides[side] and time.monotonic() - used.get(side, float("-inf")) > MASTERS_LAST:
                side(world)
            samples[side].append(sample := side(world))
            used[side] = time.monotonic()
            progress(f"round {number + 1} of {runs}: {side.__name__} {sample['wall']:.2f} s")
        order = [*order[1:], order[0]]
    return samples


def progress(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=[*(row.name for row in ROWS), SIMULATION, BIG],
        metavar="NAME",
        help="this row (may be given again)",
    )
    parser.add_argument("--runs", type=int, default=5, help="rounds; the median counts (5)")
    parser.add_argument(
        "--json", type=pathlib.Path, metavar="FILE", help="write what was measured there as well"
    )
    return parser


def measure_all(rows: list[Row], runs: int, folder: pathlib.Path) -> list[dict[str, Any]]:
    """The result of each row, on fleets of the sizes that they need."""
    results = []
    for size in sorted({row.nodes for row in rows}):
        chosen = [row for row in rows if row.nodes == size]
        with World(folder, size) as world:
            samples = measure(world, chosen, runs)
        results += [result(row, samples) for row in chosen]
    return results


def show(document: dict[str, Any]) -> None:
    """Print what was measured; a part that was not asked for is empty or None."""
    if document["rows"]:
        print(
            f"medians of {document['runs']} rounds on {document['cpus']} cpus "
            "that also carry the nodes"
        )
        print("\n".join(lines(document["rows"])))
    if document["simulation"]:
        print("\n".join(simulation.lines(document["simulation"])))
    if document["big"]:
        print("\n".join(big.lines(document["big"])))


def main() -> int:
    options = command_line().parse_args()
    rows = [row for row in ROWS if row.name in (options.only or [row.name])]
    document: dict[str, Any] = {
        "schema_version": 1,
        "runs": options.runs,
        "cpus": os.cpu_count(),
        "rows": [],
        "simulation": None,
        "big": None,
    }
    if SIMULATION in (options.only or [SIMULATION]):
        document["simulation"] = simulation.measure(progress)

    # Two at once would measure each other.
    folder = ROOT / ".cache" / "bench"
    folder.mkdir(parents=True, exist_ok=True)

    with open(folder / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(
                f"bench: another one is running in {folder}: wait for it, or end it"
            ) from None

        for number in (signal.SIGTERM, signal.SIGHUP):
            # An exception, so that the fleet goes down.
            signal.signal(number, lambda *_: sys.exit(1))

        document["rows"] = measure_all(rows, options.runs, folder / "world")
        if BIG in (options.only or [BIG]):
            with World(folder / "world", 1) as world:
                document["big"] = big.measure(world, progress)

    show(document)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as problem:
        sys.exit(f"bench: {problem}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
