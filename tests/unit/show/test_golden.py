"""The panels for a fixed fleet: as they are kept, and each number of a board a second time.

`scripts/golden.py` writes what is kept.
"""

from __future__ import annotations

import json
import pathlib
import re
import unicodedata
from collections.abc import Callable

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import board, dashboard, text

ROOT = pathlib.Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "panels"
WIDTHS = (60, 80, 120)
PANELS = {"specialists": dashboard.specialists_text, "watch": board.board_text}
KINDS = [*PANELS]


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board has a clock in its heading."""
    monkeypatch.setattr(board.time, "localtime", board.time.gmtime)


def columns_of(line: str) -> int:
    """By the rules of Unicode, and not by those of the code that is looked at."""
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char)
        for char in line
    )


def document(kind: str) -> dict:
    return json.loads((FIXTURES / f"{kind}.json").read_text(encoding="utf-8"))


def golden(kind: str, width: int, form: str = "") -> list[str]:
    path = FIXTURES / f"{kind}-{width}{form}.txt"
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_panel_is_as_it_is_kept(kind: str, width: int) -> None:
    assert PANELS[kind](document(kind), width) == golden(kind, width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_closes_at_the_same_column(kind: str, width: int) -> None:
    framed = [line for line in golden(kind, width) if line[0] in "╔┌│└"]
    assert {columns_of(line) for line in framed} == {width}
    assert all(line[-1] in "╗┐│┘" for line in framed)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_in_ascii_it_has_the_same_words_and_the_same_columns(kind: str, width: int) -> None:
    shown = golden(kind, width)
    plain = [text.in_ascii(line) for line in shown]
    assert plain == golden(kind, width, "-ascii")
    assert all(line.isascii() for line in plain)
    assert [len(line) for line in plain] == [columns_of(line) for line in shown]
    words = re.compile(r"[A-Za-z0-9$]+")
    for line, before in zip(plain, shown, strict=True):
        # Two signs are letters there.
        assert words.findall(re.sub(r"([|] | {2})[xz] ", r"\1", line)) == words.findall(before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_shows_it_as_it_is_printed(kind: str) -> None:
    printed = "\n".join(golden(kind, 80))
    assert f"```text\n{printed}\n```\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_fixture_is_a_document_that_the_schema_knows(kind: str) -> None:
    schema = json.loads((ROOT / "docs" / "documents.schema.json").read_text(encoding="utf-8"))
    names = {"specialists": "specialists.SpecialistsDocument", "watch": "watch.WatchDocument"}
    compare(document(kind), {"$ref": f"#/$defs/{names[kind]}"}, schema["$defs"])


def compare(value: object, schema: dict, definitions: dict) -> None:
    """Whether the value has the keys of the schema and no others, at every depth."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for item in value:
            compare(item, schema["items"], definitions)
    elif isinstance(value, dict) and "properties" in schema:
        assert value.keys() == schema["properties"].keys(), schema.get("description")
        for key, item in value.items():
            compare(item, schema["properties"][key], definitions)


def test_the_totals_of_the_fixtures_are_those_of_their_rows() -> None:
    for kind in KINDS:
        told = document(kind)
        specialists = [row for node in told["nodes"] for row in node["specialists"]]
        totals = told["totals"]
        assert totals["specialists"] == len(specialists)
        assert totals["active"] == sum(row["status"] == "active" for row in specialists)
        costs = [node["cost_today"] for node in told["nodes"] if node["cost_today"] is not None]
        if kind == "watch":
            # What this controller has noted, not what nodes say.
            costs = [row["cost_usd"] or 0.0 for row in ended_attempts(told)]
        assert totals["cost_today"] == pytest.approx(sum(costs))
    assert document("specialists")["totals"]["sessions"] == sum(
        row["sessions"] or 0
        for node in document("specialists")["nodes"]
        for row in node["specialists"]
    )


def ended_attempts(board: dict) -> list[dict]:
    """Those of agents that cost something."""
    return [row for row in board["attempts"] if row["ended_at"] and row["agent"] != "shell"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("by_node", lambda row: row["node"]),
        ("by_agent", lambda row: row["agent"]),
        ("by_project", lambda row: row["project"]),
        ("by_job", lambda row: f"{row['run_id']}/{row['job']}"),
    ],
)
def test_each_cost_of_the_board_is_the_sum_of_its_attempts(key: str, name: Callable) -> None:
    told = document("watch")
    shown = (FIXTURES / "watch-120.txt").read_text(encoding="utf-8")
    names = {name(row) for row in ended_attempts(told)}
    (line,) = re.findall(rf"│   by {key[3:]}: (.*?) +│", shown)
    assert len(line.split(", ")) == len(told["cost"][key]) == len(names)
    for each in names:
        rows = [row for row in ended_attempts(told) if name(row) == each]
        dollars = sum(row["cost_usd"] or 0.0 for row in rows)
        tokens = sum(sum((row["tokens"] or {}).values()) for row in rows)
        price = f"${dollars:.2f}" if dollars else f"{round(tokens / 1000)}k tokens"
        assert f"{each} {price}" in line.split(", ")


@pytest.mark.parametrize("width", WIDTHS)
def test_each_number_of_the_board_is_the_documents(width: int) -> None:
    told = document("watch")
    shown = "\n".join(golden("watch", width))
    for node in told["nodes"]:
        if node["slots"] is not None:
            load = node["load"]
            slots = f"{node['slots']['busy']}/{node['slots']['total']} slots"
            (row,) = re.findall(
                rf"│ {node['name']} +cpu (\S+) +(\d+) %  mem (\S+) +(\d+) %  {slots}", shown
            )
            for drawn, number, part in ((row[0], row[1], "cpu"), (row[2], row[3], "memory")):
                assert int(number) == round(100 * load[part])
                assert abs(drawn.count("█") / len(drawn) - load[part]) <= 0.5 / len(drawn)
    running = [row for row in told["attempts"] if row["ended_at"] is None]
    ended = [row for row in told["attempts"] if row["ended_at"] is not None]
    assert f"─ {len(running)}, and {len(told['foreign'])} by hand ─┐" in shown
    assert re.search(rf"┌─ waiting ─+ {len(told['waiting'])} ─┐", shown)
    assert re.search(rf"┌─ ended today ─+ {len(ended)} ─┐", shown)
    assert (
        f"{told['totals']['specialists']} specialists, {told['totals']['active']} active" in shown
    )


@pytest.mark.parametrize("rows", [1, 5, 12, 24, 40, 100])
def test_a_board_is_never_longer_than_the_terminal_and_counts_what_it_leaves_out(rows: int) -> None:
    told = document("watch")
    many = {**told, "nodes": told["nodes"] * 25, "attempts": told["attempts"] * 40}
    for size in (told, many):
        shown = board.board_text(size, 80, rows)
        assert len(shown) <= rows
        assert shown[0].startswith("╔")
    if rows >= 24:
        # No line is left blank while something is left out.
        assert len(shown) == rows
        counted = [line for line in shown if re.search(r"… and \d+ more lines", line)]
        assert counted and all(
            f"┌─ {part}" in "\n".join(shown) for part in ("nodes", "running", "waiting", "ended")
        )


@pytest.mark.parametrize("rows", [22, 28, 30, 31, 44])
def test_costs_have_a_share_of_a_high_terminal_and_what_is_left_of_a_low_one(rows: int) -> None:
    told = document("watch")
    busy = {**told, "attempts": told["attempts"] * 40}
    quiet = {**told, "attempts": told["attempts"][2:], "foreign": [], "waiting": []}
    assert ("┌─ cost ─" in "\n".join(board.board_text(busy, 80, rows))) == (rows >= 31)
    shown = board.board_text(quiet, 80, rows)
    assert any("today $0.08 in 2 attempts" in line for line in shown)
    assert len(shown) <= rows


def test_parts_that_hold_nothing_have_no_frame() -> None:
    told = document("watch")
    empty = {**told, "attempts": [], "foreign": [], "waiting": [], "cost_days": []}
    titles = re.findall(r"┌─ (\w+)", "\n".join(board.board_text(empty, 80)))
    assert titles == ["nodes"]
