"""A row and how it is judged: medians of calls that alternate, a ratio, a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from world import NODES, Sample, World

Side = Callable[[World], Sample]


@dataclass(frozen=True)
class Row:
    """Ours against a peer; rows that have a side in common share its calls."""

    name: str
    # What is compared, in words.
    text: str
    ours: Side
    peer: Side
    # Which of a sample's figures is compared.
    of: str
    # The row is met if the ratio of the medians, or their difference, is at most this.
    target: float
    # Each side is called once before it counts, and again when its ssh masters may have ended.
    warm: bool = True
    # How many nodes the fleet has.
    nodes: int = NODES
    # Whether what ours takes more counts, in seconds, and not how many times as much.
    difference: bool = False

    def compare(self, ours: float, peer: float) -> float:
        return ours - peer if self.difference else ours / peer


def result(row: Row, samples: Mapping[Side, Sequence[Sample]]) -> dict[str, Any]:
    ours, peer = ([sample[row.of] for sample in samples[side]] for side in (row.ours, row.peer))
    each = [row.compare(a, b) for a, b in zip(ours, peer, strict=True)]
    ratio = row.compare(median(ours), median(peer))
    return {
        "row": row.name,
        "text": row.text,
        "of": row.of,
        "ours": median(ours),
        "peer": median(peer),
        "ratio": ratio,
        "ratio_of_each": [min(each), max(each)],
        "target": row.target,
        "met": ratio <= row.target,
        "samples": {"ours": ours, "peer": peer},
    }


def lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table for people. Seconds below a tenth are shown in ms."""
    cells = [("row", "what is compared", "ours", "peer", "ratio", "of each", "target", "")]
    for row in results:
        spread = "{:.2f}-{:.2f}".format(*row["ratio_of_each"])
        verdict = "met" if row["met"] else "MISSED"
        numbers = (
            amount(row["ours"]),
            amount(row["peer"]),
            f"{row['ratio']:.2f}",
            spread,
            f"<= {row['target']:g}",
        )
        cells.append((row["row"], row["text"], *numbers, verdict))
    return columns(cells)


def columns(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def amount(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
