"""Telling somebody that a run has ended, or needs a person."""

from __future__ import annotations

import http.server
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.notify import Notify
from ansible_collections.distributed.gummy.plugins.plugin_utils._run import notify as _notify
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.notify import (
    Notifier,
    deliver,
    end_message,
)
from job_builder import shell_job

EXAMPLE = Path(__file__).resolve().parents[2] / "fixtures" / "report" / "run.json"
RUN = json.loads(EXAMPLE.read_text(encoding="utf-8"))
JOBS = [shell_job("lint", command="ruff check --token=T0K3N")]
SECRET = "T0K3N"


class Server:
    """A server on this machine that keeps what it is given, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict]] = []
        self.status = 204
        self.location = ""
        self.pause = threading.Event()
        self.waits = False
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                server.got.append((self.path, json.loads(data)))
                if server.waits:
                    server.pause.wait(30)
                self.send_response(server.status)
                if server.location:
                    self.send_header("Location", server.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.pause.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


def play(notify, *, end=True, needs=()):
    """What a notifier says to people."""
    said: list[str] = []
    notifier = Notifier(notify, "r", said.append)
    for need in needs:
        notifier.person_needed(*need)
    if end:
        notifier.end(RUN, JOBS)
    notifier.close()
    return said


def to_file(path):
    """A command that adds what it gets to a file."""
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    return Notify(command=(sys.executable, "-c", code, str(path)))


# -- what is told


def test_the_end_is_told_without_prompts_paths_and_what_jobs_said():
    message = end_message(RUN, JOBS)
    assert message["text"] == (
        "release-42: 5 of 9 jobs succeeded in 5 min 12 s "
        "(15 min of work, 2.9 times as fast as one after the other); 1 skipped"
    )
    assert (message["event"], message["status"]) == ("end", "failed")
    assert (message["cost_usd"], message["today_usd"]) == (0.39, 1.27)
    assert message["jobs"][2] == {
        "name": "unit-mac",
        "status": "failed",
        "class": "agent",
        "node": "mac-mini",
        "agent": "shell",
        "seconds": 143.0,
        "cost_usd": None,
        "files_changed": 0,
        "tests": {"passed": 1244, "failed": 3, "errors": 0, "skipped": 12},
    }
    text = json.dumps(message)
    lines = [line for row in RUN["jobs"] for line in row["log_tail"]]
    assert lines
    for word in ("/home", "/runs", "ruff", SECRET, "exit status", "silent for", "log_tail", *lines):
        assert word not in text, word


def test_what_is_asked_for_is_told_too():
    row = {**RUN["jobs"][4], "log_tail": ["line 98", "line 99"]}
    run = {**RUN, "jobs": [row]}
    job = end_message(run, JOBS, frozenset({"paths"}))["jobs"][0]
    assert job["project"] == "/home/me/shop" and "task" not in job and "log" not in job
    assert end_message(run, JOBS, frozenset({"prompts"}))["jobs"][0]["task"] == JOBS[0].command
    job = end_message(run, JOBS, frozenset({"log"}))["jobs"][0]
    assert job["log"] == ["line 98", "line 99"]
    assert job["message"] == "verify ended with exit status 1" and "folder" not in job


def test_rows_of_an_older_version_can_be_told():
    row = {key: RUN["jobs"][0][key] for key in ("name", "status", "class", "agent")}
    assert end_message({**RUN, "jobs": [row]}, JOBS)["jobs"][0]["tests"] is None


# -- to whom


def test_a_command_gets_it_on_its_stdin(tmp_path):
    path = tmp_path / "told"
    assert play(to_file(path)) == []
    assert json.loads(path.read_text())["event"] == "end"


def test_an_address_gets_it_by_post(server):
    assert play(Notify(address=server.address)) == []
    ((path, message),) = server.got
    assert path == f"/{SECRET}" and message["run_id"] == "release-42"


def test_nobody_is_told_nothing():
    assert play(None, needs=[("login", "docs", "n", "claude")]) == []


def test_a_person_is_told_once_of_each_thing_that_is_to_be_done(server):
    needs = [
        ("login", "docs", "n", "claude"),
        ("login", "ui", "n", "claude"),
        ("login", "ui", "m", "claude"),
        ("credit", "docs", "n", "claude"),
        ("credit", "docs", "m", "claude"),
        ("lost", "docs", "n", "claude"),
        ("lost", "ui", "n", "claude"),
        ("budget", "docs", "-", "claude"),
        ("budget", "ui", "-", "claude"),
        ("budget", "docs", "n", "claude"),
        ("budget", "docs", "n", "claude"),
    ]
    play(Notify(address=server.address), end=False, needs=needs)
    assert [message["text"] for _path, message in server.got] == [
        "r: claude is not logged in on n",
        "r: claude is not logged in on m",
        "r: the account of claude is out of credits",
        "r: n is silent: the job docs may still run there",
        "r: n is silent: the job ui may still run there",
        "r: the budget is used up: docs did not begin",
        "r: docs has used up its budget on n",
    ]


# -- what goes wrong


def test_another_address_is_not_followed(server):
    other = Server()
    try:
        server.status = 302
        server.location = other.address
        (line,) = play(Notify(address=server.address))
        assert other.got == []
        assert line == (
            "the notification by http://127.0.0.1/… failed: status 302: it names another address, "
            "which is not followed"
        )
    finally:
        other.close()


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_answer_that_is_no_good_one_is_told(server, status):
    server.status = status
    (line,) = play(Notify(address=server.address))
    assert line.endswith(f"failed: status {status}") and SECRET not in line


def test_where_nobody_listens_is_told_without_the_address(server):
    address = server.address
    server.close()
    server.close = lambda: None
    (line,) = play(Notify(address=address))
    assert line.endswith("Connection refused") and SECRET not in line


def test_a_proxy_is_not_asked_about_this_machine(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    assert play(Notify(address=server.address)) == [] and len(server.got) == 1


def test_https_is_asked_of_the_proxy_that_the_environment_names(server, monkeypatch):
    monkeypatch.setenv("https_proxy", server.address)
    (line,) = play(Notify(address=f"https://nowhere.invalid/{SECRET}"))
    assert line.startswith("the notification by https://nowhere.invalid/… failed: ")
    assert SECRET not in line


def test_who_does_not_answer_is_left_alone(server, monkeypatch):
    monkeypatch.setattr(_notify, "CLOSE_SECONDS", 0.2)
    server.waits = True
    (line,) = play(Notify(address=server.address))
    assert line.endswith("takes too long, and is left alone")


def test_a_command_has_its_time(tmp_path):
    notify = Notify(command=("/bin/sh", "-c", "sleep 60"))
    begun = time.monotonic()
    assert deliver(notify, {}, 0.2) == "no answer within 0.2 s"
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("/bin/sh", "-c", "exit 3"), "exit status 3"),
        (("/nowhere/at/all", SECRET), "can't start /nowhere/at/all: No such file or directory"),
        (("/bin/sh", "-c", f"echo {SECRET} >&2; yes"), "more than 256 kB of output"),
    ],
)
def test_a_command_that_fails_is_told(command, problem):
    (line,) = play(Notify(command=command))
    assert problem in line and SECRET not in line


def test_a_command_that_reads_nothing_does_no_harm():
    assert play(Notify(command=("true",))) == []


def test_a_tilde_in_the_command_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "told"
    (tmp_path / "tell").write_text(f"#!/bin/sh\ncat > {path}\n")
    os.chmod(tmp_path / "tell", 0o755)
    assert play(Notify(command=("~/tell",))) == [] and path.exists()


def test_a_document_that_can_not_be_told_changes_nothing():
    said: list[str] = []
    notifier = Notifier(Notify(command=("true",)), "r", said.append)
    notifier.end({}, JOBS)
    notifier.close()
    assert len(said) == 1 and said[0].startswith("the notification could not be made")
