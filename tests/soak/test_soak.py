"""A short soak comes out clean, and one of a product that is broken on purpose does not.

So the soak can see.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest
from model import Fault, History, Job, problems
from real_nodes import ROOT, copy_of_collection

# What is broken: file of the collection, text, what stands there instead, what must be said of it,
# and the words that make its soak meet it.
BREAKAGES = {
    "a start goes out before `sent` is written": (
        "plugins/plugin_utils/_schedule/scheduler.py",
        "self._emit(self._record(attempt), ev.Start(attempt.id, attempt.job, attempt.node))",
        "self._emit(ev.Start(attempt.id, attempt.job, attempt.node))",
        "^run twice: ",
        ("--only", "playbook killed", "--times", "12"),
    ),
    "no lock is taken": (
        "plugins/plugin_utils/_node/store.py",
        "fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "^(two writers|unexplained|run twice): ",
        ("--only", "ssh killed"),
    ),
    "verify is not looked at": (
        "plugins/plugin_utils/_node/supervisor.py",
        'if ended["class"] is None and spec.get("verify"):',
        "if False:",
        "^false success: ",
        ("--only", "ssh killed"),
    ),
}


def soak(folder: pathlib.Path, jobs: int, *words: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    env = {**os.environ, "TMPDIR": str(folder)}
    command = [
        sys.executable,
        str(ROOT / "tests" / "soak" / "soak.py"),
        "--jobs",
        str(jobs),
        *words,
    ]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
        check=False,
    )


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("s")


@pytest.mark.once
def test_a_short_soak_loses_nothing_does_nothing_twice_and_reports_no_false_success(
    short: pathlib.Path,
) -> None:
    done = soak(short, 60, "--seed", "3")
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("jobs 60, lost unreported 0, run twice 0, false success 0\n")
    struck = dict(re.findall(r"^(\S.*?) +(\d+) times ", done.stdout, re.MULTILINE))
    assert len(struck) >= 14 and sum(map(int, struck.values())) >= 14, done.stdout


@pytest.mark.once
@pytest.mark.parametrize("what", BREAKAGES)
def test_a_soak_sees_that(what: str, short: pathlib.Path) -> None:
    name, right, wrong, sees, words = BREAKAGES[what]
    copy = copy_of_collection(short / "copy", {name: (right, wrong)})
    done = soak(short / "t", 30, "--collections", str(copy), *words)
    assert (
        done.returncode == 1 and "BROKE: " in done.stdout and "--jobs 30 --seed 1;" in done.stdout
    ), done.stdout
    assert re.search(sees, done.stdout, re.MULTILINE), done.stdout


GOOD = Job("good", None, {})
FAILS = Job("fails", "agent", {})
ROW = {
    "status": "success",
    "class": None,
    "message": "",
    "at_home": True,
    "attempts": [{"id": "a-1"}],
}


def history(**more: object) -> History:
    known = {"jobs": [GOOD], "starts": [("a-1", "good")], "ends": {"a-1"}, "rows": {"good": ROW}}
    return History(**{**known, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("", {}),
        ("run twice", {"starts": [("a-1", "good"), ("a-2", "good")]}),
        ("run twice", {"starts": [("a-1", "good"), ("a-1", "good")]}),
        ("lost unreported", {"rows": {}}),
        ("lost unreported", {"rows": {"good": {**ROW, "status": "lost", "class": "lost"}}}),
        ("lost unreported", {"rows": {"good": {**ROW, "at_home": False}}}),
        (
            "lost unreported",
            {"rows": {"good": {**ROW, "status": "failed", "class": "unreachable"}}},
        ),
        ("false success", {"ends": set()}),
        ("false success", {"jobs": [FAILS], "starts": [("a-1", "fails")], "rows": {"fails": ROW}}),
        ("two writers", {"shared": ["a-1"]}),
        ("unexplained", {"rows": {"good": {**ROW, "status": "failed", "class": "lost"}}}),
        (
            "unexplained",
            {
                "rows": {"good": {**ROW, "status": "failed", "class": "lost"}},
                "faults": [Fault("supervisor killed", frozenset({"a-2"}))],
            },
        ),
        (
            "",
            {
                "rows": {"good": {**ROW, "status": "failed", "class": "lost"}},
                "faults": [Fault("supervisor killed", frozenset({"a-1"}))],
            },
        ),
        (
            "unexplained",
            {
                "rows": {"good": {**ROW, "status": "failed", "class": "lost"}},
                "faults": [Fault("packets dropped", frozenset({"a-1"}))],
            },
        ),
    ],
)
def test_the_model_knows_what_must_not_be(what: str, more: dict[str, object]) -> None:
    assert [kind for kind, sentences in problems(history(**more)).items() if sentences] == (
        [what] if what else []
    )
