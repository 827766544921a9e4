"""The property of a harvest, on two hundred random trees.

Each has at least one change of every kind.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "node"))
import test_harvest


@pytest.mark.once
def test_applying_the_harvest_to_a_copy_of_the_baseline_gives_the_workspace_byte_for_byte() -> None:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        assert [problem for problem in pool.map(test_harvest.one_tree, range(200)) if problem][
            :3
        ] == []
