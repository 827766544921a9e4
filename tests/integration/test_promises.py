"""Promises 1, 3, 7 and 8 (docs: once, and told truthfully), each on real nodes, each tried as well
on a copy that lacks the line which keeps it.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from real_nodes import Controller, Played, applies, copy_of_collection, free_port

pytestmark = pytest.mark.once
HOOK = pathlib.Path(__file__).with_name("crash_point")
PLUGIN_UTILS = "plugins/plugin_utils"


class Counted:
    """Jobs that count their starts under a word of their own."""

    def __init__(self, controller: Controller, word: str) -> None:
        self.controller = controller
        self.fleet = controller.fleet
        self.word = f"promise-{word}"

    def job(self, name: str, command: str = "true", **more: Any) -> dict[str, Any]:
        return {"name": name, "command": f'echo {name} >> "$HOME/{self.word}"; {command}', **more}

    def starts(self) -> list[str]:
        return sorted(line for lines in self.fleet.lines(self.word).values() for line in lines)

    def words(self, *jobs: Mapping[str, Any], **settings: Any) -> tuple[str, ...]:
        return (
            "-e",
            self.controller.jobs(*jobs, gummy_local_fallback=False, **settings),
            "-e",
            f"gummy_run_id={self.word}",
        )


def ends(played: Played) -> dict[str, tuple[str, str | None]]:
    return {name: (row["status"], row["class"]) for name, row in played.jobs.items()}


def promise_1(counted: Counted) -> None:
    """An attempt's agent starts at most once; a job gets another attempt only when the last one is
    proved void.

    The whole ansible-playbook is killed when the start has gone out and nothing was heard of it.
    Without the record in `self._emit(self._record(attempt), ev.Start(attempt.id, attempt.job,
    attempt.node))` (_schedule/scheduler.py) the next call does not know of it.
    """
    words = counted.words(counted.job("once", "echo done > done.txt", node="node-1"))
    mark = counted.controller.folder / "crash"
    hook = {"PYTHONPATH": str(HOOK), "GUMMY_CRASH_POINT": f"all ended-start {mark}"}
    first = counted.controller.begin("run", *words, env=hook)
    first.wait_for(mark.exists, "the start")
    first.process.wait()
    first.kill()
    played = counted.controller.run(*words)
    assert ends(played) == {"once": ("success", None)} and applies(
        played.job["patch"], counted.controller.project
    ), played
    assert counted.starts() == ["once"]


def promise_3(counted: Counted) -> None:
    """Success is proved, or it is not called success: the agent's own exit status, and `verify`.

    Without `if ended["class"] is None and spec.get("verify"):` (_node/supervisor.py) an agent that
    only says it is done would be believed.
    """
    claims = "echo TASK COMPLETED; echo done > done.txt"
    played = counted.controller.run(
        *counted.words(
            counted.job("says-so", claims, verify="test -e really-done.txt"),
            counted.job("fails", f"{claims}; exit 1"),
            counted.job("dies", f"{claims}; kill -9 $$"),
            counted.job(
                "does", f"{claims}; touch really-done.txt", verify="test -e really-done.txt"
            ),
        )
    )
    told = {
        "says-so": ("failed", "verify"),
        "fails": ("failed", "agent"),
        "dies": ("failed", "killed"),
        "does": ("success", None),
    }
    assert (
        ends(played) == told and played.status == 2 and played.jobs["does"]["proof"] == "verify"
    ), played
    assert counted.starts() == sorted(told)


def promise_7(counted: Counted) -> None:
    """Bad input gets a clear error before anything starts: what, where, and what to do.

    Without `raise InputError(dict.fromkeys(reader.problems))` (_input/request.py) the good jobs of
    the batch would begin.
    """
    known = counted.fleet.files()
    jobs = [
        counted.job("good"),
        counted.job("never", timeout=0),
        {**counted.job("typo"), "verfiy": "true"},
    ]
    played = counted.controller.run(*counted.words(*jobs))
    said = " ".join(played.output.split())
    assert played.status != 0 and not played.jobs and not counted.starts(), played
    assert (
        "job 2: timeout" in said
        and "job 3" in said
        and "'verfiy'" in said
        and "did you mean 'verify'" in said
    ), played
    assert (
        not {path for path in counted.fleet.files() - known if "attempts" in path.parts}
        and not (counted.controller.state / "runs").exists()
    )


def promise_8(counted: Counted) -> None:
    """Every failure has a class, and the class decides: what did not begin is taken up by the next
    call, what failed is not.

    Without `return end["class"] not in TAKEN_UP_AGAIN` (_run/resume.py) all that has ended would
    stay as it is.
    """
    login = counted.fleet.login("node-2")
    jobs = [
        counted.job("wrong", "exit 7", node="node-1"),
        counted.job("slow", "sleep 60", node="node-1", timeout="1s"),
        counted.job("dies", "kill -9 $$", node="node-1"),
        counted.job("nobody", node="node-2", attempts=1),
    ]
    words = counted.words(*jobs)
    failed = {
        "wrong": ("failed", "agent"),
        "slow": ("failed", "timeout"),
        "dies": ("failed", "killed"),
    }
    hosts = {
        "node-1": counted.fleet.login("node-1"),
        "node-2": {**login, "ansible_port": free_port()},
    }
    first = counted.controller.run(*words, inventory=counted.controller.static(hosts))
    assert ends(first) == {**failed, "nobody": ("failed", "unreachable")} and first.status == 2, (
        first
    )
    second = counted.controller.run(
        *words,
        "-e",
        "gummy_refresh=true",
        inventory=counted.controller.static({**hosts, "node-2": login}),
    )
    assert ends(second) == {**failed, "nobody": ("success", None)} and counted.starts() == sorted(
        second.jobs
    ), second


# The line without which a promise is broken, what stands there instead, and how that is seen.
LINES: dict[Callable[[Counted], None], tuple[str, str, str, str]] = {
    promise_1: (
        "_schedule/scheduler.py",
        "self._emit(self._record(attempt), ev.Start(attempt.id, attempt.job, attempt.node))",
        "self._emit(ev.Start(attempt.id, attempt.job, attempt.node))",
        r"\['once', 'once'\] == \['once'\]",
    ),
    promise_3: (
        "_node/supervisor.py",
        'if ended["class"] is None and spec.get("verify"):',
        "if False:",
        r"{'says-so': \('success', None\)} != ",
    ),
    promise_7: (
        "_input/request.py",
        "raise InputError(dict.fromkeys(reader.problems))",
        "pass",
        r"not {'good': ",
    ),
    promise_8: (
        "_run/resume.py",
        'return end["class"] not in TAKEN_UP_AGAIN',
        "return True",
        r"{'nobody': \('failed', 'unreachable'\)} != ",
    ),
}


def test_promise_1_an_attempt_starts_once_and_a_job_gets_another_one_only_after_proof(
    controller: Controller,
) -> None:
    promise_1(Counted(controller, "1"))


def test_promise_3_success_is_proved(controller: Controller) -> None:
    promise_3(Counted(controller, "3"))


def test_promise_7_bad_input_is_told_before_anything_starts(controller: Controller) -> None:
    promise_7(Counted(controller, "7"))


def test_promise_8_every_failure_has_a_class_and_the_class_decides(controller: Controller) -> None:
    promise_8(Counted(controller, "8"))


@pytest.mark.parametrize("promise", LINES, ids=lambda promise: promise.__name__)
def test_without_its_line_a_promise_is_broken(
    controller: Controller, tmp_path: pathlib.Path, promise: Callable[[Counted], None]
) -> None:
    name, line, instead, sees = LINES[promise]
    assert line in " ".join((promise.__doc__ or "").split()) and name in promise.__doc__
    controller.env["ANSIBLE_COLLECTIONS_PATH"] = str(
        copy_of_collection(tmp_path / "copy", {f"{PLUGIN_UTILS}/{name}": (line, instead)})
    )
    with pytest.raises(AssertionError, match=sees):
        promise(Counted(controller, f"broken-{promise.__name__[-1]}"))
