"""The reports of a run: their form, their numbers, and what hostile words do in them."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._show import run_markdown
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.formats import (
    RUN_FORMATS,
    page_of_lines,
    page_of_run,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.markup import (
    fenced,
    markdown,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.run_words import (
    duration,
    lines_of_tests,
)

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "tests" / "fixtures" / "report"
RUN = json.loads((EXAMPLE / "run.json").read_text(encoding="utf-8"))
FILES = json.loads((EXAMPLE / "files.json").read_text(encoding="utf-8"))

# What must do nothing, wherever it stands.
HOSTILE = (
    "</pre></script><script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)>\"'>"
    "\x1b[31m\x07\x00\r\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}\u2028"
    "]]>--><!--${7*7}{{ 7*7 }}`````` | ~~~ [x](http://evil) @octocat https://evil www.evil #1 $x$"
)
# Words of the document that say which of several things it is; all other texts may be anything.
FIXED = frozenset({"status", "kind", "verify", "outcome", "agent"})


def poisoned(value: Any, key: str = "") -> Any:
    """The same document with hostile words in each of its texts."""
    if isinstance(value, dict):
        return {name: poisoned(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, key) for item in value]
    if isinstance(value, str) and key not in FIXED:
        return value + HOSTILE
    return value


@pytest.fixture(scope="module")
def hostile() -> tuple[Any, Any]:
    run = poisoned(RUN)
    run["nodes"] = {name + HOSTILE: row for name, row in run["nodes"].items()}
    return run, {name + HOSTILE: poisoned(files) for name, files in FILES.items()}


# -- the example


def example_script() -> Any:
    path = ROOT / "scripts" / "report_example.py"
    spec = importlib.util.spec_from_file_location("report_example", path)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


def test_the_reports_of_the_example_are_those_that_stand_there() -> None:
    for name, text in example_script().reports().items():
        there = (EXAMPLE / name).read_text(encoding="utf-8")
        assert text == there, f"see scripts/report_example.py: {name}"


def test_the_readme_shows_the_picture_of_the_example_as_it_is_now() -> None:
    assert "docs/report.png" in (ROOT / "README.md").read_text(encoding="utf-8")
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    # Another page than the one that was photographed has another label.
    assert b"tEXt" + example_script().label() in picture, "see scripts/report_example.py CHROMIUM"


def test_every_job_stands_in_every_report() -> None:
    for suffix in RUN_FORMATS:
        text = page_of_run(suffix, RUN, FILES)
        assert not [row["name"] for row in RUN["jobs"] if row["name"] not in text], suffix


# -- junit


# What Jenkins's schema of JUnit files (junit-10.xsd) lets be: element -> attributes that there may
# be, those that there must be, and elements within, in this order.
SCHEMA: Mapping[str, tuple[set[str], set[str], list[str]]] = {
    "testsuites": (
        {"name", "time", "tests", "failures", "disabled", "errors"},
        set(),
        ["testsuite"],
    ),
    "testsuite": (
        {
            *("name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp"),
            *("hostname", "id", "package", "file", "log", "url", "version"),
        },
        {"name"},
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, {"name", "value"}, []),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"name"},
        ["skipped", "error", "failure", "system-out", "system-err"],
    ),
    "failure": ({"type", "message"}, set(), []),
    "error": ({"type", "message"}, set(), []),
    "skipped": ({"type", "message"}, set(), []),
}


def problems(element: ET.Element) -> Iterator[str]:
    may, must, within = SCHEMA[element.tag]
    given = set(element.attrib)
    if given - may or must - given:
        yield f"{element.tag}: {given - may}, {must - given}"
    tags = [child.tag for child in element]
    if set(tags) - set(within) or tags != sorted(tags, key=within.index):
        yield f"{element.tag}: {tags}"
    for child in element:
        yield from problems(child)


def junit(run: Any = RUN, files: Any = FILES) -> ET.Element:
    return ET.fromstring(page_of_run(".xml", run, files).encode())


def test_junit_is_what_the_schema_of_junit_says(hostile: tuple[Any, Any]) -> None:
    for root in (junit(), junit(*hostile)):
        assert root.tag == "testsuites" and not [*problems(root)]


def test_junit_has_a_case_for_each_job_and_each_verify() -> None:
    suites = {suite.get("name"): suite for suite in junit()}
    outcomes = {
        case.get("name"): [child.tag for child in case] for case in suites["jobs"].iter("testcase")
    }
    assert outcomes == {
        "optimize-queries": [],
        "unit-linux": [],
        "unit-mac": ["failure"],
        "docs": [],
        "lint": ["failure"],
        "typing": [],
        "build": [],
        "deploy-notes": ["error"],
        "windows": ["skipped"],
    }
    verified = {case.get("name"): len(case) for case in suites["verify"].iter("testcase")}
    assert verified == {"optimize-queries": 0, "lint": 1}


def test_tests_that_jobs_brought_home_stand_under_their_node_and_its_system() -> None:
    suites = {suite.get("name"): suite for suite in junit()}
    suite = suites["mac-mini (darwin) / unit-mac / junit.xml"]
    told = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert told["node"] == "mac-mini" and told["os"] == "darwin" and told["job"] == "unit-mac"
    # More were counted than are listed.
    assert told["not_listed"] == str(1244 + 3 + 12 - 5)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "3", "1")


def test_the_counts_of_junit_are_those_of_its_cases() -> None:
    root = junit()
    for each in (root, *root):
        cases = [*each.iter("testcase")]
        assert each.get("tests") == str(len(cases))
        for attribute, tag in (("failures", "failure"), ("errors", "error")):
            assert each.get(attribute) == str(
                len([case for case in cases if case.find(tag) is not None])
            )


# -- markdown


def test_nothing_means_anything_in_markdown_but_its_words(hostile: tuple[Any, Any]) -> None:
    text = page_of_run(".md", *hostile)
    outside = []
    fence = ""
    for line in text.split("\n"):
        ticks = re.match("`{3,}", line)
        if fence:
            if line == fence:
                fence = ""
            continue
        if ticks:
            fence = ticks.group()
            continue
        outside.append(line)
    assert not fence
    told = "\n".join(outside)
    known = {"<details>", "<summary>", "</summary>", "</details>"}
    assert set(re.findall(r"<[^>]*>", told)) <= known
    assert not re.search(r"https?://|www\.|\]\(|@octo|\$x|[`{}]|\\", told)


def test_a_block_of_code_ends_only_at_its_end() -> None:
    lines = fenced("a\n````\n~~~\nb\n").split("\n")
    assert lines == ["`````", "a", "````", "~~~", "b", "`````"]


def test_a_row_of_a_table_stays_one_row() -> None:
    assert markdown("a | b\n| c") == "a &#124; b &#124; c"


def test_the_page_fits_a_step_summary_however_much_there_is() -> None:
    jobs = []
    files = {}
    for number in range(6000):
        row = copy.deepcopy(RUN["jobs"][4])
        row["name"] = f"job-{number}"
        row["message"] = "é|" * 2000
        jobs.append(row)
        files[row["name"]] = {**FILES["lint"], "patch": "+x\n" * 60_000}
    text = page_of_run(".md", {**RUN, "jobs": jobs}, files)
    assert len(text.encode()) < 1024 * 1024
    assert "more jobs: run.json has all of them" in text and "left out for want of room" in text


def test_a_long_patch_is_cut_and_says_so() -> None:
    patch = "+" + "x" * 99 + "\n"
    files = {**FILES, "docs": {**FILES["docs"], "patch": patch * 1000, "patch_left": 5}}
    text = page_of_run(".md", RUN, files)
    left = 100 * 1000 + 1000 - run_markdown.PATCH_MOST // 101 * 101 + 5
    assert f"{left:,} bytes more" in text


# -- the page


class Page(HTMLParser):
    """The elements of a page, and whether each is closed in its order."""

    VOID = frozenset({"meta", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_page_has_no_script_and_asks_nobody(hostile: tuple[Any, Any]) -> None:
    for run, files in ((RUN, FILES), hostile):
        page = Page(page_of_run(".html", run, files))
        tags = {tag for tag, _attributes in page.elements}
        assert not tags & {"script", "img", "iframe", "object", "embed", "form", "base", "svg"}
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("href", "src"):
                address = attributes.get(name)
                assert address is None or re.fullmatch(r"#job-\d+", address), (tag, address)
        policy = next(
            attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes
        )
        assert policy is not None and policy.startswith("default-src 'none'")


def test_both_pages_have_the_same_elements_whatever_the_words_are(
    hostile: tuple[Any, Any],
) -> None:
    tags = [tag for tag, _attributes in Page(page_of_run(".html", RUN, FILES)).elements]
    poisoned_page = Page(page_of_run(".html", *hostile))
    more = [tag for tag, _attributes in poisoned_page.elements]
    # A class that is another word than the status is told beside it, and lines of a patch have more
    # lines; nothing else may differ.
    assert set(more) == set(tags)
    assert "<script>alert(1)</script>" in poisoned_page.words


def test_a_bar_stands_where_its_attempt_was() -> None:
    page = Page(page_of_run(".html", RUN, FILES))
    bars = {
        str(attributes["title"]).partition(",")[0]: str(attributes["style"])
        for _tag, attributes in page.elements
        if str(attributes.get("class", "")).startswith("bar")
    }
    begin = min(attempt["begun_at"] for row in RUN["jobs"] for attempt in row["attempts"])
    length = RUN["begun_at"] + RUN["seconds"] - begin
    (attempt,) = RUN["jobs"][5]["attempts"]
    left = 100 * (attempt["begun_at"] - begin) / length
    width = 100 * (attempt["ended_at"] - attempt["begun_at"]) / length
    assert bars["typing"] == f"left:{left:.3f}%;width:{width:.3f}%"


# -- all of them


@pytest.mark.parametrize("suffix", RUN_FORMATS)
def test_no_report_has_a_byte_that_a_terminal_obeys(suffix: str, hostile: tuple[Any, Any]) -> None:
    text = page_of_run(suffix, *hostile)
    for char in text:
        assert char == "\n" or char.isprintable(), f"{char!r} in {suffix}"


@pytest.mark.parametrize("suffix", RUN_FORMATS)
def test_rows_of_an_older_version_are_shown_too(suffix: str) -> None:
    run = copy.deepcopy(RUN)
    del run["nodes"], run["cost"], run["today_usd"]
    for row in run["jobs"]:
        del row["tests"], row["verify"], row["log_tail"]
        for attempt in row["attempts"]:
            del attempt["slot"], attempt["begun_at"], attempt["ended_at"]
    assert "unit-mac" in page_of_run(suffix, run, {})


def test_other_documents_are_a_page_of_their_lines() -> None:
    assert page_of_lines(".md", "status", ["a `b`", "```"]) == "````\na `b`\n```\n````\n"
    page = Page(page_of_lines(".html", "status", ["<script>", "x"]) or "")
    assert "<script>\nx" in page.words
    assert page_of_lines(".xml", "status", []) is None


def test_the_summary_says_what_tests_say() -> None:
    assert lines_of_tests(RUN) == [
        "unit-linux: 1,247 passed, 12 skipped",
        "unit-mac: 1,244 passed, 3 failed, 12 skipped",
        (
            "unit-mac: test results in old/junit.xml are not read: "
            "it has a document type or entities, which are not read"
        ),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (3.04, "3 s"), (59.96, "59 s"), (484, "8 min 4 s"), (7322, "2 h 2 min")],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_the_sums_of_the_reports_are_those_of_the_run() -> None:
    told = "$0.39 in 3 attempts, 1 of which tells no price"
    page = page_of_run(".html", RUN, FILES)
    assert f"{told} · today $1.27" in page
    assert markdown(told) in page_of_run(".md", RUN, FILES)
    for told in ("by node: node-2 $0.39, node-1 188k tokens", "by agent: claude $0.39, codex 188k"):
        assert f"cost {told}" in page
        assert f"- cost {markdown(told)}" in page_of_run(".md", RUN, FILES)
    for share in RUN["cost"]["by_node"]:
        cost = "188k tokens" if share["cost_usd"] is None else f"${share['cost_usd']:.2f}"
        row = f'<tr><td>{share["name"]}</td><td class="number">'
        assert re.search(rf'{row}\d</td><td class="number">{re.escape(cost)}<', page)


def test_a_run_that_costs_nothing_says_nothing_of_cost() -> None:
    free = {**RUN, "cost": {**RUN["cost"], "attempts": 0, "by_node": []}, "today_usd": None}
    assert "5 min 12 s · 3 nodes" in page_of_run(".md", free, FILES)
    assert "5 min 12 s</p>" in page_of_run(".html", free, FILES)
