"""Stdout and stderr: nothing that becomes of them hangs a playbook, and stdout is the callback's.

Playbooks are real processes here, and their readers are pipes and terminals that end, stall or are
full.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from real_nodes import PATIENCE, ROOT, Controller, Counter, kill_all_of, until

# Seconds in which a playbook ends whose reader has gone: it looks every two, and may take five more
# to end in order. The rest is for Ansible, on a machine that does other things too.
SECONDS_TO_END = 30.0

# The playbooks that ask the fleet, and what they want to be told. The others are no playbooks of
# actions of ours.
WORDS: Mapping[str, tuple[str, ...]] = {
    "run": ("-e", "gummy_agent=shell", "-e", '{"gummy_command": "true"}'),
    "plan": ("-e", "gummy_agent=shell", "-e", '{"gummy_command": "true"}'),
}
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
OURS = [name for name in PLAYBOOKS if name != "local_fleet"]

# Run by a shell that reads no more after so many lines.
READERS = {
    "grep": ("| grep -q PLAY", ()),
    "head": ("| head -3", ()),
    "head of both": ("2>&1 | head -1", ()),
    "head of stderr": ("2>&1 >/dev/null | head -1", ()),
    "head, and Ansible prints much": ("2>&1 | head -2", ("-vvvv",)),
}


def argv(controller: Controller, playbook: str, *words: str) -> list[str]:
    return [
        *(sys.executable, "-m", "ansible", "playbook", "-i", controller.fleet.inventory),
        *(playbook if "/" in playbook else f"distributed.gummy.{playbook}", *words),
    ]


@contextlib.contextmanager
def playing(
    controller: Controller, playbook: str, *words: str, **more: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A playbook whose stdout and stderr are the caller's, and which does not outlive the test."""
    env = {**controller.env, **more.pop("env", {})}
    process = subprocess.Popen(
        argv(controller, playbook, *words),
        cwd=controller.project,
        env=env,
        stdin=subprocess.DEVNULL,
        **more,
    )
    try:
        yield process
    finally:
        kill_all_of(process)


def captured(
    controller: Controller, playbook: str, *words: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(controller, playbook, *words),
        cwd=controller.project,
        env={**controller.env, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def shell(command: str, *words: str) -> tuple[str, ...]:
    return ("-e", "gummy_agent=shell", "-e", json.dumps({"gummy_command": command}), *words)


# -- a reader that goes away


@pytest.mark.parametrize(
    ("playbook", "reader"),
    [
        (playbook, reader)
        for playbook in OURS
        for reader in READERS
        # All readers for three of them, the two most different ones for all.
        if playbook in ("run", "status", "logs") or reader in ("grep", "head of both")
    ],
)
def test_every_playbook_ends_by_itself_when_its_reader_has_gone(
    controller: Controller, playbook: str, reader: str
) -> None:
    pipe, more = READERS[reader]
    words = (*WORDS.get(playbook, ()), *more)
    # The shell ends when all of the pipeline have ended.
    begun = subprocess.Popen(
        ["sh", "-c", f'"$@" {pipe}', "sh", *argv(controller, playbook, *words)],
        cwd=controller.project,
        env=controller.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        begun.communicate(timeout=SECONDS_TO_END)
    finally:
        if begun.poll() is None:
            kill_all_of(begun)
            begun.communicate()


@pytest.mark.parametrize("wish", ["leave", "cancel"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_whose_reader_goes_leaves_its_jobs_as_an_interrupted_one_and_records_it(
    controller: Controller, counter: Counter, wish: str, stream: str
) -> None:
    run_id = f"reader-{stream}-{wish}"
    words = shell(
        counter.command("-go"),
        *("-e", f"gummy_run_id={run_id}", "-e", f"gummy_on_interrupt={wish}"),
        *("-e", "gummy_progress=false"),
    )
    outputs = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: subprocess.PIPE}
    with playing(controller, "run", *words, **outputs) as run:
        until(counter.starts, "the start of the job")
        # It prints nothing by now, so nothing but a look can tell it that nobody reads.
        (run.stdout if stream == "stdout" else run.stderr).close()
        assert run.wait(SECONDS_TO_END) != 0

    document = json.loads((controller.state / "runs" / run_id / "run.json").read_text())
    assert document["status"] == "unfinished", document
    assert document["message"] == "nobody reads stdout or stderr any more"
    (job,) = document["jobs"]
    what = "goes on on" if wish == "leave" else "is being cancelled on"
    assert job["status"] == "running" and job["message"].startswith(what), job

    if wish == "leave":
        counter.let_go("-go")
    again = until(
        lambda: (
            (now := controller.run(*words, "-e", "gummy_progress=true"))
            and "driven by another" not in now.output
            and now
        ),
        "the end of who stayed behind",
    )
    expected = "success" if wish == "leave" else "cancelled"
    assert again.job["status"] == expected and len(counter.starts()) == 1, again


def test_a_pager_that_is_left_in_the_middle_of_a_long_text_ends_the_play(
    controller: Controller,
) -> None:
    # More than a pipe holds, so that the one who prints it waits for the reader.
    long = controller.run(*shell("seq 100000", "-e", "gummy_run_id=long"))
    assert long.status == 0, long
    with playing(controller, "logs", "-e", "gummy_run_id=long", stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        seen = b""
        while b"\n100\n" not in seen and (piece := os.read(logs.stdout.fileno(), 1000)):
            seen += piece
        assert b"\n100\n" in seen, seen.decode()
        logs.stdout.close()
        logs.wait(SECONDS_TO_END)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_disk_under_stdout_or_stderr_ends_no_job_and_hangs_no_play(
    controller: Controller, counter: Counter, stream: str
) -> None:
    words = shell(counter.command(), "-e", "gummy_run_id=full")
    with open("/dev/full", "wb") as full:
        outputs = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: full}
        with playing(controller, "run", *words, **outputs) as run:
            run.wait(SECONDS_TO_END)
    record = controller.state / "runs" / "full" / "run.json"
    if stream == "stdout":
        # Ansible flushes it before each task, so it does not come to the first one.
        assert run.returncode != 0 and not record.exists() and counter.starts() == []
        return
    assert json.loads(record.read_text())["status"] == "success" and len(counter.starts()) == 1


# -- a terminal that stalls


@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_a_reader_that_stalls_blocks_no_job_and_the_run_ends_when_it_reads_on(
    controller: Controller, counter: Counter, kind: str
) -> None:
    count = 40 if kind == "terminal" else 10
    run_id = f"stalled-{kind}"
    jobs = [{"name": f"job-{n}", "command": counter.command()} for n in range(count)]
    words = ("-e", controller.jobs(*jobs), "-e", f"gummy_run_id={run_id}")
    reader, writer = pty.openpty() if kind == "terminal" else os.pipe()
    if kind == "pipe":
        # The pipe is full before the playbook begins to print.
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"." * 1024)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b".")
        os.set_blocking(writer, True)
    outputs: dict[str, Any] = {"stdout": writer, "stderr": writer}
    if kind == "pipe":
        # With stdout full not even the first task begins: Ansible flushes it before each.
        outputs["stdout"] = subprocess.DEVNULL
    journal = controller.state / "runs" / run_id / "journal.jsonl"

    with playing(controller, "run", *words, **outputs) as run:
        os.close(writer)
        try:
            # Nobody has read a byte when all jobs are at home.
            until(
                lambda: journal.exists() and journal.read_text().count('"kind": "finish"') == count,
                "the end of all jobs",
            )
            assert run.poll() is None
            said = b""
            with contextlib.suppress(OSError):
                while piece := os.read(reader, 65536):
                    said += piece
            assert run.wait(SECONDS_TO_END) == 0, said.decode()
        finally:
            os.close(reader)
    assert len(counter.starts()) == count
    if kind == "terminal":
        assert f"{count} of {count} jobs succeeded".encode() in said


# -- stdout belongs to the callback


@pytest.fixture(scope="session")
def posix(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder by which Ansible finds ansible.posix, out of the package `ansible`.

    That is fetched once for all, for it is large.
    """
    folder = ROOT / ".cache" / "posix"
    if not (folder / "ansible_collections").exists():
        fetched = tmp_path_factory.mktemp("posix")
        words = ["download", "--quiet", "--no-deps", "--dest", str(fetched), "ansible>=12"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False
        )
        wheels = list(fetched.glob("*.whl"))
        if done.returncode != 0 or not wheels:
            pytest.skip(f"ansible.posix can't be had: {done.stderr.strip()[-200:]}")
        folder.parent.mkdir(exist_ok=True)
        unpacked = tempfile.mkdtemp(dir=folder.parent)
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(
                unpacked,
                [
                    name
                    for name in wheel.namelist()
                    if name.startswith("ansible_collections/ansible/posix/")
                ],
            )
        # The tests on another ansible-core may have been faster.
        with contextlib.suppress(OSError):
            os.rename(unpacked, folder)
        shutil.rmtree(unpacked, ignore_errors=True)
    return str(folder)


def _env(controller: Controller, callback: str, posix: str = "") -> dict[str, str]:
    paths = controller.env["ANSIBLE_COLLECTIONS_PATH"]
    return {
        "ANSIBLE_STDOUT_CALLBACK": callback,
        "ANSIBLE_COLLECTIONS_PATH": f"{paths}:{posix}" if posix else paths,
    }


# What Ansible prints around the result of a failed task.
OF_A_FAILED_TASK = r"An exception occurred .*|\[ERROR\]: .*|Origin: .*|\d+ .*|\d+| +\^ column \d+|"
FAILS = ("-e", "gummy_agent=shell", "-e", '{"gummy_command": "exit 3"}')


def _failed_run(document: Any) -> bool:
    (job,) = document["jobs"]
    return document["kind"] == "run" and (job["status"], job["exit_status"]) == ("failed", 3)


def test_the_json_callback_makes_one_document_with_ours_in_the_result(
    controller: Controller, posix: str
) -> None:
    done = captured(controller, "run", *FAILS, env=_env(controller, "ansible.posix.json", posix))
    (play,) = json.loads(done.stdout)["plays"]
    tasks = play["tasks"]
    (run,) = tasks[0]["hosts"].values()
    (shown,) = tasks[1]["hosts"].values()
    assert done.returncode == 2 and _failed_run(run["document"])
    assert shown["msg"].startswith("1 of 1 job did not succeed: job-1"), shown
    assert "document" not in shown and "shown" not in shown, shown


def test_the_jsonl_callback_makes_a_document_of_every_line(
    controller: Controller, posix: str
) -> None:
    done = captured(controller, "run", *FAILS, env=_env(controller, "ansible.posix.jsonl", posix))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    documents = [
        result["document"]
        for event in events
        for result in event.get("hosts", {}).values()
        if isinstance(result, dict) and "document" in result
    ]
    assert done.returncode == 2 and len(documents) == 1 and _failed_run(documents[0])


@pytest.mark.parametrize("callback", ["minimal", "oneline"])
def test_the_short_callbacks_make_a_result_of_every_task(
    controller: Controller, callback: str
) -> None:
    done = captured(controller, "run", *FAILS, env=_env(controller, callback))
    results, left = [], done.stdout
    while head := re.search(r"^\S+ \| \S+ => ", left, re.MULTILINE):
        result, end = json.JSONDecoder().raw_decode(left[head.end() :])
        results.append(result)
        left = left[: head.start()] + left[head.end() + end :]
    assert all(re.fullmatch(OF_A_FAILED_TASK, line) for line in left.splitlines()), left
    assert done.returncode == 2
    documents = [result["document"] for result in results if "document" in result]
    assert len(results) == 2 and len(documents) == 1 and _failed_run(documents[0])


def test_the_null_callback_leaves_stdout_blank(controller: Controller) -> None:
    callbacks = controller.folder / "callbacks"
    callbacks.mkdir()
    callbacks.joinpath("null.py").write_text(
        "from ansible.plugins.callback import CallbackBase\n"
        "class CallbackModule(CallbackBase):\n"
        "    CALLBACK_VERSION = 2.0\n"
        "    CALLBACK_TYPE = 'stdout'\n"
        "    CALLBACK_NAME = 'null'\n"
        "DOCUMENTATION = 'name: null\\ntype: stdout\\nshort_description: nothing\\n'\n",
        encoding="utf-8",
    )
    env = {**_env(controller, "null"), "ANSIBLE_CALLBACK_PLUGINS": str(callbacks)}
    named = ("-e", "gummy_run_id=null")
    for playbook, words, status in (
        ("run", (*FAILS, *named), 2),
        ("logs", named, 0),
        ("status", (), 0),
    ):
        done = captured(controller, playbook, *words, env=env)
        assert (done.stdout, done.returncode) == ("", status), (playbook, done)


def test_results_as_yaml_are_all_that_the_default_callback_prints(controller: Controller) -> None:
    env = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}
    failed = captured(controller, "run", *FAILS, env=env)
    good = captured(controller, "status", env=env)
    for done, word, first in (
        (failed, "FAILED! => ", "0 of 1 job succeeded"),
        (good, "ok: [node-1] => ", "status: "),
    ):
        block = done.stdout.partition(word)[2].partition("\n\nPLAY RECAP")[0]
        result = yaml.safe_load(block)
        assert result["shown"].startswith(first), done.stdout
        # What stands outside of the results is Ansible's own.
        outside = done.stdout.replace(block, "")
        assert "job succeeded" not in outside and "nodes answer" not in outside, outside


def test_junit_beside_the_default_callback_gets_its_file_and_people_their_summary(
    controller: Controller,
) -> None:
    folder = controller.folder / "junit"
    env = {
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit",
        "JUNIT_OUTPUT_DIR": str(folder),
    }
    done = captured(controller, "run", *FAILS, env=env)
    if "unable to load" in done.stderr:
        pytest.skip(f"junit: {done.stderr.strip().splitlines()[0]}")
    (file,) = folder.iterdir()
    suite = ElementTree.parse(file).getroot()
    bad = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
    assert bad == 1 and "0 of 1 job succeeded" in done.stdout


def test_ansible_runner_reads_its_events_and_finds_the_document_in_the_result(
    controller: Controller,
) -> None:
    runner = pytest.importorskip("ansible_runner", reason="ansible-runner is not installed")
    playbook = controller.folder / "book.yml"
    playbook.write_text(
        json.dumps([{"import_playbook": "distributed.gummy.status"}]), encoding="utf-8"
    )
    private = controller.folder / "runner"
    private.mkdir()
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    done = runner.run(
        private_data_dir=str(private),
        playbook=str(playbook),
        inventory=controller.fleet.inventory,
        envvars={**controller.env, "PATH": path},
        quiet=True,
    )
    assert done.rc == 0, done.stdout.read()
    results = [
        event["event_data"]["res"] for event in done.events if event["event"] == "runner_on_ok"
    ]
    documents = [result["document"] for result in results if "document" in result]
    assert [document["kind"] for document in documents] == ["status"]
    # Each line of stdout belongs to an event of Ansible's, so none is ours.
    assert "nodes answer" not in done.stdout.read()


# -- with the default callback


@pytest.mark.parametrize("verbosity", ["-v", "-vvv"])
def test_no_verbosity_dumps_the_document(controller: Controller, verbosity: str) -> None:
    for playbook, words in (("run", FAILS), ("status", ())):
        done = captured(controller, playbook, verbosity, *words)
        assert "schema_version" not in done.stdout, done.stdout


def test_a_failed_run_is_a_summary_and_one_line_of_a_result(controller: Controller) -> None:
    done = captured(controller, "run", *FAILS)
    assert done.returncode == 2 and done.stdout.count("FAILED! =>") == 1, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "FAILED! =>" in line]
    assert json.loads(line.partition("=> ")[2]).keys() == {"changed", "msg"}, line


def _on_terminal(controller: Controller, playbook: str, *words: str, **env: str) -> str:
    reader, writer = pty.openpty()
    said = b""
    with playing(controller, playbook, *words, stdout=writer, stderr=writer, env=env) as process:
        os.close(writer)
        with contextlib.suppress(OSError):
            while piece := os.read(reader, 65536):
                said += piece
        process.wait(PATIENCE)
    os.close(reader)
    return said.decode()


def test_a_terminal_shows_the_summary_in_the_colours_that_ansible_is_told_to_use(
    controller: Controller,
) -> None:
    said = _on_terminal(controller, "run", *FAILS, ANSIBLE_COLOR_ERROR="bright blue")
    assert "\x1b[1;34m✗  job-1  failed (agent)" in said, said
    said = _on_terminal(controller, "run", *shell("true"), ANSIBLE_COLOR_OK="bright blue")
    assert "\x1b[1;34m✓  job-1  success" in said, said


@pytest.mark.parametrize("name", ["NO_COLOR", "ANSIBLE_NOCOLOR", None])
def test_there_are_no_colours_for_who_wants_none_and_without_a_terminal(
    controller: Controller, name: str | None
) -> None:
    if name:
        said = _on_terminal(controller, "run", *FAILS, **{name: "1"})
    else:
        said = captured(controller, "run", *FAILS).stdout
    assert "✗  job-1  failed (agent)" in said and "\x1b[" not in said, said


@pytest.mark.parametrize("playbook", ["run", "sync"])
def test_progress_goes_to_stderr_and_without_it_nothing_but_errors_does(
    controller: Controller, playbook: str
) -> None:
    said = {}
    for progress in ("true", "false"):
        # Of each project that holds what looks like a secret people are warned once.
        project = controller.make_project(controller.folder / progress)
        (project / "id_rsa").write_text("secret", encoding="utf-8")
        words = ("-e", f"gummy_project={project}", "-e", f"gummy_progress={progress}")
        if playbook == "run":
            words = shell("true", *words)
        done = captured(controller, playbook, *words)
        assert done.returncode == 0 and "  place  " not in done.stdout, done
        said[progress] = done.stderr
    assert "id_rsa" in said["true"] and said["false"] == "", said


def test_an_error_is_told_without_progress_too(controller: Controller) -> None:
    done = captured(controller, "run", "-e", "gummy_progress=false", "-e", "gummy_agent=shell")
    assert done.returncode == 2 and "gummy_command" in done.stdout + done.stderr, done
