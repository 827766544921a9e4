# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `dw load --host X` prints (github.com/WillyV3/distributed), which has no JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The head of the table that dw prints.
COLUMNS = ["HOST", "LOAD", "CPUS", "CPU%", "MEM%", "SCORE"]
NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?%?")


@dataclass(frozen=True)
class Row:
    """What dw says of a host. It derives its CPU% from the load average, so it knows no CPU."""

    # 0 (none) to 1 (all) of the memory that is used.
    memory: float
    # 0 to 1: the load average by the cpus.
    load_average: float
    # How many cpus the host has.
    cpus: int


def dw_argv(host: str) -> list[str]:
    """The command that asks one host."""
    return ["dw", "load", f"--host={host}"]


def parse_load(text: str, host: str) -> Row | str:
    """The host's row, or why there is no data, as a part of a sentence.

    Progress lines share stdout with the table.
    """
    lines = [line.split() for line in text.splitlines()]
    below = lines[lines.index(COLUMNS) + 1 :] if COLUMNS in lines else []
    row = next((cells for cells in below if cells[:1] == [host]), None)
    if row is None:
        return "dw printed no row for it"

    cells = row[1:6]
    if cells == ["-"] * 5:
        return "dw could not ask it"
    if len(cells) != 5 or not all(NUMBER.fullmatch(cell) for cell in cells):
        return "dw printed a row that can't be read"

    load, cpus, cpu, memory, score = (float(cell.rstrip("%")) for cell in cells)
    # A decimal comma there makes 150 of a load of 1.50, and 0.00 of the score.
    if cpus < 1 or (load > 0 and score == 0):
        return "dw misread it: a locale with a decimal comma there"
    # LOAD is 0.00 where a start-up file prints a line. CPU%, the same by cpus, is right.
    return Row(min(1.0, memory / 100), min(1.0, cpu / 100), int(cpus))
