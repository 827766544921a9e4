"""Text as wide as a terminal shows it, in columns that fit, without what a terminal obeys."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import text as _text


@pytest.mark.parametrize(
    ("text", "columns"),
    [("a", 1), ("⚡💤", 4), ("日本語", 6), ("e\u0301", 1), ("ｗ", 2), ("…✗▶·", 4), ("❤\ufe0f", 2)],
)
def test_text_is_as_wide_as_a_terminal_shows_it(text, columns):
    assert _text.width(text) == columns and _text.fit(text, columns) == text
    assert _text.width(_text.fit(text, columns - 1)) <= columns - 1
    assert (
        _text.fit("a\tb\nc\x1b[2J\u202e", 20)
        == "a b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
    )


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ("a tab\tstays", "a tab\tstays"),
        ("\x1b[2Jgone", "\N{REPLACEMENT CHARACTER}[2Jgone"),
        ("left \u202eto right", "left \N{REPLACEMENT CHARACTER}to right"),
        ("two\nlines", "two\N{REPLACEMENT CHARACTER}lines"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_printed(line, safe):
    assert _text.printable(line) == safe


def test_a_table_is_as_wide_as_its_cells_and_a_fitted_one_as_wide_as_it_may_be():
    rows = [["a", "longer", "free text"], ["bb", "c", ""]]
    assert _text.table(rows) == ["a   longer  free text", "bb  c"]
    assert _text.fitted_table(rows, (2, 4), 12) == ["a   lon…  f…", "bb  c"]
    assert _text.table([]) == _text.fitted_table([], (2, 4), 12) == []


@pytest.mark.parametrize("escape", ["\x1b", "\N{REPLACEMENT CHARACTER}"])
def test_colours_that_programs_print_are_left_out(escape):
    assert _text.unstyled(f"{escape}[1;31mred{escape}[0m {escape}[2J{escape}[?25lx") == "red x"
    assert (
        _text.unstyled("a [1] \N{REPLACEMENT CHARACTER} b") == "a [1] \N{REPLACEMENT CHARACTER} b"
    )
