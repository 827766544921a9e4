"""Which kind of line a line is: by it, it is coloured."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import (
    report,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.kinds import KINDS, kind_of


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("✓  docs  success  node-1  1 s  no changes", "good"),
        ("✗  docs  failed (agent)  node-1", "bad"),
        ("?  docs  unproven  node-1", "unsure"),
        ("-  docs  cancelled  -", "left out"),
        ("run-1/docs  node-1  ▶ running  12:00", "running"),
        ("  💤  coder  home  1 session", "left out"),
        ("  ⚡  coder  home  1 session", "running"),
        ("│ ⚡ coder  home  1 session  │", "running"),
        ("│ ✗ gummy is not found        │", "bad"),
    ],
)
def test_the_mark_of_a_line_says_its_kind(line, kind):
    assert kind_of(line) == kind


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1 of 1 job succeeded in 1 s.",
        "NODE  SCORE  CPU",
        "node-1  0.29  -  11 %",
        "is it good? yes",
        "docs  -> node-1  score 0.2 - cpu",
        "… and 3 more that ended today: gummy_output_file has them all",
    ],
)
def test_a_line_without_a_mark_is_not_coloured_or_as_what_is_left_out(line):
    assert kind_of(line) in (None, "left out")


def test_every_mark_that_a_panel_or_a_summary_sets_has_a_kind():
    marks = {
        *report.MARKS.values(),
        "✗",
    }
    assert marks <= KINDS.keys()
