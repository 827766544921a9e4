# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JUnit files among the artifacts that jobs brought home.

They come from nodes, so nothing in them is believed: a file with a document type or entities is
refused, files, cases and texts have upper bounds, and what is counted are the cases themselves,
never the numbers that a file says of itself.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict
from xml.parsers import expat

from .regular_file import open_regular

# Where in a job's folder its artifacts lie.
ARTIFACTS = "artifacts"
# What a file of test results is called, and what its first element is.
SUFFIX = ".xml"
ROOTS = ("testsuites", "testsuite")
# A file that is refused for its document type is told if it is one of test results.
LOOKS_LIKE_ONE = re.compile(rb"<(!DOCTYPE\s+)?testsuites?[\s>/]")

# So many files of a job are looked at, each up to so many bytes, and so many entries of its
# artifacts are passed on the way.
FILES_MOST = 200
BYTES_MOST = 16 * 1024 * 1024
ENTRIES_MOST = 100_000
# So many cases of a job are kept one by one; all of them are counted.
CASES_MOST = 20_000
# So deep lie elements below each other.
DEPTH_MOST = 32
# Characters of a name, of a message, and of what a failed case says at length.
NAME_MOST = 300
MESSAGE_MOST = 1000
TEXT_MOST = 4000
# Bytes that are parsed at once.
CHUNK = 65536

Outcome = Literal["passed", "failed", "error", "skipped"]
# Element within a case -> what became of the case.
OUTCOMES: Mapping[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}


class Counts(TypedDict):
    """What became of test cases."""

    passed: int
    failed: int
    # Those that could not be carried out.
    errors: int
    skipped: int


class Case(TypedDict):
    """A test case."""

    # Of the suite that it stands in.
    suite: str
    classname: str
    name: str
    outcome: Outcome
    # How long it took; None: it does not say.
    seconds: float | None
    # Why it did not pass, in a line and at length.
    message: str
    text: str


class TestFile(TypedDict):
    """A file of test results."""

    # Its path among the artifacts.
    file: str
    counts: Counts
    cases: list[Case]


class RefusedFile(TypedDict):
    """A file of test results that was not read."""

    # Its path among the artifacts.
    file: str
    # Why not, for people.
    why: str


@dataclass
class JobTests:
    """What the JUnit files of a job say."""

    files: list[TestFile] = field(default_factory=list)
    refused: list[RefusedFile] = field(default_factory=list)

    @property
    def counts(self) -> Counts | None:
        """Of all files together; None: there are none."""
        if not self.files:
            return None
        total = no_counts()
        for file in self.files:
            add_counts(total, file["counts"])
        return total


class _NoTests(Exception):
    """The file has no test results, or must not be read; the text says why, if it matters."""


def no_counts() -> Counts:
    return {"passed": 0, "failed": 0, "errors": 0, "skipped": 0}


def add_counts(total: Counts, more: Counts) -> None:
    """Add the second to the first."""
    total["passed"] += more["passed"]
    total["failed"] += more["failed"]
    total["errors"] += more["errors"]
    total["skipped"] += more["skipped"]


def read_job_tests(folder: str) -> JobTests:
    """What the JUnit files in a job's folder say. It raises nothing."""
    tests = JobTests()
    left = CASES_MOST
    for path, name in _candidates(os.path.join(folder, ARTIFACTS)):
        if len(tests.files) + len(tests.refused) >= FILES_MOST:
            why = f"only the first {FILES_MOST} files of a job are read"
            tests.refused.append({"file": name, "why": why})
            break
        try:
            file = _read(path, name, left)
        except _NoTests as exc:
            if str(exc):
                tests.refused.append({"file": name, "why": str(exc)})
            continue
        left -= len(file["cases"])
        tests.files.append(file)
    return tests


def _candidates(folder: str) -> Iterator[tuple[str, str]]:
    """Path and name of the files that may be JUnit files, in order; links are not followed."""
    entries = 0
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            entries += 1
            if entries > ENTRIES_MOST:
                return
            if name.casefold().endswith(SUFFIX):
                path = os.path.join(here, name)
                yield path, os.path.relpath(path, folder)


def _read(path: str, name: str, cases_left: int) -> TestFile:
    """Raises _NoTests."""
    data = _bytes_of(path)
    reader = _Reader(cases_left)
    try:
        for start in range(0, len(data), CHUNK):
            reader.parser.Parse(data[start : start + CHUNK], False)
        reader.parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as exc:
        raise _NoTests(f"it is no XML: {exc}" if _looks_like_one(data) else "") from None
    except _NoTests as exc:
        raise _NoTests(str(exc) if _looks_like_one(data) else "") from None
    return {"file": name, "counts": reader.counts, "cases": reader.cases}


def _bytes_of(path: str) -> bytes:
    """Raises _NoTests."""
    file = open_regular(path)
    if file is None:
        raise _NoTests("")
    with file:
        data = file.read(BYTES_MOST + 1)
    if len(data) > BYTES_MOST:
        why = f"it is larger than {BYTES_MOST >> 20} MB"
        raise _NoTests(why if _looks_like_one(data) else "")
    return data


def _looks_like_one(data: bytes) -> bool:
    """Whether a file that is not read is one of test results, by how it begins."""
    return LOOKS_LIKE_ONE.search(data[:CHUNK]) is not None


class _Reader:
    """Takes the cases out of one file as expat comes to them."""

    def __init__(self, cases_left: int) -> None:
        self.counts = no_counts()
        self.cases: list[Case] = []

        self._cases_left = cases_left
        self._depth = 0
        self._suites: list[str] = []
        self._case: Case | None = None
        # The element within a case whose text is kept, and how much of it may still come.
        self._told: str | None = None
        self._text_left = 0

        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.EntityDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text

    def _refuse_doctype(self, *_told: object) -> None:
        raise _NoTests("it has a document type or entities, which are not read")

    def _begin(self, element: str, attributes: Mapping[str, str]) -> None:
        if not self._depth and element not in ROOTS:
            raise _NoTests("")
        self._depth += 1
        if self._depth > DEPTH_MOST:
            raise _NoTests(f"its elements lie more than {DEPTH_MOST} below each other")

        if element == "testsuite":
            self._suites.append(attributes.get("name", "")[:NAME_MOST])
        elif element == "testcase" and self._case is None:
            self._case = {
                "suite": self._suites[-1] if self._suites else "",
                "classname": attributes.get("classname", "")[:NAME_MOST],
                "name": attributes.get("name", "")[:NAME_MOST],
                "outcome": "passed",
                "seconds": _seconds(attributes.get("time", "")),
                "message": "",
                "text": "",
            }
        elif element in OUTCOMES and self._case is not None and self._case["outcome"] == "passed":
            self._case["outcome"] = OUTCOMES[element]
            self._case["message"] = attributes.get("message", "")[:MESSAGE_MOST]
            self._told = element
            self._text_left = TEXT_MOST

    def _end(self, element: str) -> None:
        self._depth -= 1
        if element == "testsuite" and self._suites:
            self._suites.pop()
        elif element == self._told:
            self._told = None
        elif element == "testcase" and self._case is not None:
            self._count(self._case)
            self._case = None

    def _take_text(self, text: str) -> None:
        if self._told is not None and self._case is not None:
            self._case["text"] += text[: self._text_left]
            self._text_left -= len(text[: self._text_left])

    def _count(self, case: Case) -> None:
        if case["outcome"] == "passed":
            self.counts["passed"] += 1
        elif case["outcome"] == "failed":
            self.counts["failed"] += 1
        elif case["outcome"] == "error":
            self.counts["errors"] += 1
        else:
            self.counts["skipped"] += 1
        if len(self.cases) < self._cases_left:
            self.cases.append(case)


def _seconds(text: str) -> float | None:
    """A time that a file says of a case; None for what is none."""
    with contextlib.suppress(ValueError):
        seconds = float(text.replace(",", "")[:40])
        if math.isfinite(seconds) and 0 <= seconds < 1e9:
            return seconds
    return None
