"""The panel of `specialists`: its text for a fixed fleet, and each number in it a second time."""

from __future__ import annotations

import json
import pathlib
import random
import re
import unicodedata

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import dashboard, frames, text

FIXTURES = pathlib.Path(__file__).parents[2] / "fixtures" / "panels"
DOCUMENT = json.loads((FIXTURES / "specialists.json").read_text(encoding="utf-8"))
WIDTHS = (60, 80, 120)
REASON = "gummy is not found on this node: install it there"


def columns_of(line: str) -> int:
    """By the rules of Unicode, and not by those of the code that is looked at."""
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char)
        for char in line
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_each_reason_is_there_whole(width: int) -> None:
    shown = re.sub(r"[│┌└─┐┘]", " ", " ".join(dashboard.specialists_text(DOCUMENT, width)))
    squeezed = " ".join(shown.split())
    for node in DOCUMENT["nodes"]:
        for reason in [node["reason"], *(row["reason"] for row in node["specialists"])]:
            assert reason is None or reason in squeezed


def test_an_address_that_a_person_has_to_visit_stays_whole() -> None:
    address = "https://login.tailscale.com/a/" + "x" * 90
    node = {**DOCUMENT["nodes"][-1], "reason": f"a person has to visit {address} first"}
    shown = dashboard.specialists_text({**DOCUMENT, "nodes": [node]}, 60)
    assert sum(address in line for line in shown) == 1


def test_a_terminal_that_is_too_narrow_gets_the_least_width() -> None:
    assert dashboard.specialists_text(DOCUMENT, 7) == dashboard.specialists_text(
        DOCUMENT, frames.LEAST
    )


def test_names_of_wide_characters_and_emoji_leave_the_frame_straight() -> None:
    (node, *_rest) = DOCUMENT["nodes"]
    specialist = {**node["specialists"][0], "project": "/home/me/店舗プロジェクト💤の長い名前です"}
    for name in ("ノード一", "é" * 3, "e\u0301" * 30, "💤" * 40, "n" * 300):
        row = {**node, "name": name, "specialists": [specialist], "reason": f"{name} {REASON}"}
        for width in WIDTHS:
            *framed, _last = dashboard.specialists_text({**DOCUMENT, "nodes": [row]}, width)
            assert {columns_of(line) for line in framed} == {width}


def odd(chance: random.Random, value: object) -> object:
    """The same data with odd texts and numbers in it."""
    if isinstance(value, dict):
        kept = ("status", "state", "where")
        return {key: item if key in kept else odd(chance, item) for key, item in value.items()}
    if isinstance(value, list):
        return [odd(chance, item) for item in value] * chance.choice((1, 1, 3))
    if isinstance(value, str):
        letters = "a日💤⚡e\u0301\u200d\ufe0f\x1b\t\n\u202e\udc80 {%/ﷺ\U0001f3fb"
        return "".join(chance.choice(letters) for _char in range(chance.choice((0, 1, 9, 90))))
    if isinstance(value, bool) or value is None:
        return value
    return chance.choice((0, 1, 10**9, 1e15))


def test_no_line_is_wider_than_the_terminal_or_holds_what_a_terminal_obeys() -> None:
    chance = random.Random(0)
    for _round in range(200):
        document = odd(chance, {"nodes": DOCUMENT["nodes"], "totals": DOCUMENT["totals"]})
        for width in (50, 80):
            for line in dashboard.specialists_text(document, width):
                assert line.isprintable() and columns_of(line) <= width, line
                assert text.in_ascii(line).isascii()
