"""JUnit files that jobs brought home: what is counted, and what is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._files import junit_files
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.junit_files import (
    read_job_tests,
)

GOOD = b"""<?xml version="1.0"?>
<testsuites name="all" tests="99" failures="99">
  <testsuite name="unit" tests="7">
    <testcase classname="a.b" name="one" time="0.5"/>
    <testcase classname="a.b" name="two" time="x"><failure message="no">at length</failure>
      <system-out>noise</system-out></testcase>
    <testcase name="three"><error message="broke"/></testcase>
    <testcase name="four"><skipped/></testcase>
  </testsuite>
</testsuites>
"""
DOCTYPE = b'<!DOCTYPE testsuites [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return folder


def test_cases_are_counted_one_by_one_whatever_the_file_says_of_itself(
    tmp_path: Path, artifacts: Path
) -> None:
    (artifacts / "sub").mkdir()
    (artifacts / "sub" / "unit.xml").write_bytes(GOOD)
    (artifacts / "one.XML").write_bytes(b'<testsuite><testcase name="x"/></testsuite>')
    tests = read_job_tests(str(tmp_path))
    assert [file["file"] for file in tests.files] == ["one.XML", "sub/unit.xml"]
    assert tests.counts == {"passed": 2, "failed": 1, "errors": 1, "skipped": 1}
    assert tests.refused == []

    two = tests.files[1]["cases"][1]
    assert two == {
        "suite": "unit",
        "classname": "a.b",
        "name": "two",
        "outcome": "failed",
        "seconds": None,
        "message": "no",
        "text": "at length",
    }
    assert tests.files[1]["cases"][0]["seconds"] == 0.5


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (DOCTYPE + b"<testsuites name='&b;'/>", "document type"),
        (b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><testsuite/>", "document type"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE testsuite>\n<testsuite/>", "document type"),
        (b"<testsuite><testcase name='&unknown;'/></testsuite>", "no XML"),
        (b"<testsuite><testcase>", "no XML"),
        (b"<testsuite name='a\x00b'/>", "no XML"),
        (b"<testsuite>" + b"<a>" * 100 + b"</a>" * 100 + b"</testsuite>", "below each other"),
        (b"<testsuite>" + b" " * (junit_files.BYTES_MOST + 1), "larger than"),
    ],
)
def test_a_file_that_is_not_read_is_named_with_the_reason(
    tmp_path: Path, artifacts: Path, content: bytes, why: str
) -> None:
    (artifacts / "evil.xml").write_bytes(content)
    tests = read_job_tests(str(tmp_path))
    assert tests.files == [] and tests.counts is None
    ((name, reason),) = [(each["file"], each["why"]) for each in tests.refused]
    assert name == "evil.xml" and why in reason


@pytest.mark.parametrize(
    "content",
    [
        b"<coverage/>",
        b"<!DOCTYPE coverage SYSTEM 'x.dtd'><coverage/>",
        b"no xml at all",
        b"",
    ],
)
def test_what_has_no_test_results_is_passed_over(
    tmp_path: Path, artifacts: Path, content: bytes
) -> None:
    (artifacts / "other.xml").write_bytes(content)
    tests = read_job_tests(str(tmp_path))
    assert (tests.files, tests.refused) == ([], [])


def test_links_and_what_is_no_file_are_not_followed(tmp_path: Path, artifacts: Path) -> None:
    (tmp_path / "outside.xml").write_bytes(GOOD)
    (artifacts / "link.xml").symlink_to(tmp_path / "outside.xml")
    (artifacts / "folder.xml").mkdir()
    (artifacts / "loop").symlink_to(artifacts)
    os.mkfifo(artifacts / "pipe.xml")
    tests = read_job_tests(str(tmp_path))
    assert (tests.files, tests.refused) == ([], [])


def test_all_cases_are_counted_and_only_so_many_are_kept(
    tmp_path: Path, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(junit_files, "CASES_MOST", 3)
    case = b'<testcase name="x"/>'
    for name in ("a.xml", "b.xml"):
        (artifacts / name).write_bytes(b"<testsuite>" + 2 * case + b"</testsuite>")
    tests = read_job_tests(str(tmp_path))
    assert [len(file["cases"]) for file in tests.files] == [2, 1]
    assert tests.counts == {"passed": 4, "failed": 0, "errors": 0, "skipped": 0}


def test_a_case_that_says_two_things_is_one_case(tmp_path: Path, artifacts: Path) -> None:
    both = b'<testcase name="x"><failure message="f"/><error message="e"/></testcase>'
    (artifacts / "a.xml").write_bytes(b"<testsuite>" + both + b"</testsuite>")
    tests = read_job_tests(str(tmp_path))
    assert tests.counts == {"passed": 0, "failed": 1, "errors": 0, "skipped": 0}


def test_a_job_without_artifacts_has_no_tests(tmp_path: Path) -> None:
    assert read_job_tests(str(tmp_path)).counts is None
