"""playbooks/shell/gummy.sh, sourced by a bash and by a zsh: what is typed arrives as it is."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHORT = ROOT / "playbooks" / "shell" / "gummy.sh"
# Stands where ansible-playbook is, and keeps the words that it is given, a call a line.
KEEPER = f"""#!{sys.executable} -I
import json, os, sys
with open(os.environ["KEPT"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""
TEXTS = {
    "words": "optimize database queries",
    "quotes": "say \"yes\", 'no' and ''",
    "don't": "don't",
    "braces": "render {{ name }} once, {% raw %} and {{ an open one",
    "blanks": "  two  blanks\tand a tab ",
    "lines": "one\n\n  two\r\nthree\n",
    "backslashes": "C:\\new \\n \\\\ \\u0041 ends in \\",
    "other letters": "größe, naïve ☃ 日本 𝔘 \u202e",
    "control": "bell \x07, escape \x1b[31m",
    "what shells do": "$HOME `id` $(id) ~ * ! !! ; & | > x # %s %(a)s a=b",
    "like an option": "--help",
    "like a file": "@/etc/passwd",
    "like YAML": "!unsafe {a: b}",
}


def why_not(shell: str) -> str:
    return f"{shell} is not on this machine"


SHELLS = [
    pytest.param(
        shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=why_not(shell))
    )
    for shell in ("bash", "zsh")
]
pytestmark = [pytest.mark.once, pytest.mark.parametrize("shell", SHELLS)]


class Home:
    """A home with nothing in it, and an ansible-playbook that keeps what it is given."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        keeper = folder / "bin" / "ansible-playbook"
        keeper.write_text(KEEPER, encoding="utf-8")
        keeper.chmod(0o755)
        self.kept = folder / "kept"
        self.env = {
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "HOME": str(folder),
            "KEPT": str(self.kept),
            "LC_ALL": "C.UTF-8",
            "XDG_STATE_HOME": str(folder / "state"),
            "TERM": "dumb",
        }

    def type(self, shell: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A function of the file with these words, as somebody calls it who has sourced it."""
        script = '. "$0"; "$@"'
        # Neither of them reads start-up files.
        argv = [shell, *(["-f"] if shell == "zsh" else []), "-c", script, str(SHORT), *words]
        return subprocess.run(
            argv,
            check=False,
            env={**self.env, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
        )

    def calls(self) -> list[list[str]]:
        if not self.kept.exists():
            return []
        return [json.loads(line) for line in self.kept.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def home(tmp_path: pathlib.Path) -> Home:
    return Home(tmp_path)


def extra_vars(monkeypatch: pytest.MonkeyPatch, word: str) -> dict[str, object]:
    """What Ansible makes of a word behind -e."""
    monkeypatch.setattr("ansible.context.CLIARGS", {"extra_vars": (word,)})
    load_extra_vars.__dict__.pop("extra_vars", None)
    found: dict[str, object] = load_extra_vars(DataLoader())
    load_extra_vars.__dict__.pop("extra_vars", None)
    return found


@pytest.mark.parametrize("what", TEXTS)
def test_a_text_reaches_ansible_as_it_was_typed(
    home: Home, shell: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = home.type(shell, "gummy-run", TEXTS[what], "-i", "a b", "-e", "x={{ 'y' }}")
    assert done.returncode == 0, done
    ((playbook, option, word, *others),) = home.calls()
    assert (playbook, option) == ("distributed.gummy.run", "-e")
    assert others == ["-i", "a b", "-e", "x={{ 'y' }}"]
    assert json.loads(word) == {"gummy_prompt": TEXTS[what]} and word.isascii()
    assert extra_vars(monkeypatch, word) == {"gummy_prompt": TEXTS[what]}


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_text_is_the_same_without_a_locale(home: Home, shell: str, locale: str) -> None:
    home.type(shell, "gummy-run", TEXTS["other letters"], LC_ALL=locale)
    assert json.loads(home.calls()[0][2]) == {"gummy_prompt": TEXTS["other letters"]}


def test_no_module_of_the_folder_is_imported(home: Home, shell: str) -> None:
    (home.folder / "json.py").write_text("open('imported', 'w')\n", encoding="utf-8")
    assert home.type(shell, "gummy-run", "x", PYTHONPATH=str(home.folder)).returncode == 0
    assert not (home.folder / "imported").exists() and len(home.calls()) == 1


@pytest.mark.parametrize("words", [["gummy-run"], ["gummy-run", ""], ["gummy-play"]])
def test_nothing_to_do_is_told_and_nothing_is_called(
    home: Home, shell: str, words: list[str]
) -> None:
    done = home.type(shell, *words)
    assert done.returncode == 2 and done.stderr.startswith("usage: gummy-")
    assert home.calls() == []


def test_the_exit_status_is_that_of_the_playbook_and_no_call_is_made_without_json(
    home: Home, shell: str
) -> None:
    (home.folder / "bin" / "ansible-playbook").write_text("#!/bin/sh\nexit 4\n", encoding="utf-8")
    assert home.type(shell, "gummy-run", "x").returncode == 4
    (home.folder / "bin" / "python3").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    (home.folder / "bin" / "python3").chmod(0o755)
    assert home.type(shell, "gummy-run", "x").returncode == 3


def test_a_playbook_is_called_with_its_job_or_without(home: Home, shell: str) -> None:
    for words in (["logs", "r/docs", "-v"], ["status"], ["status", "-v", "-e", "a=b c"]):
        assert home.type(shell, "gummy-play", *words).returncode == 0
    assert home.calls() == [
        ["distributed.gummy.logs", "-e", '{"gummy_job": "r/docs"}', "-v"],
        ["distributed.gummy.status"],
        ["distributed.gummy.status", "-v", "-e", "a=b c"],
    ]


# -- completion, as it is typed


def typed(home: Home, shell: str, keys: str) -> list[str]:
    """What is called when these keys are hit in a terminal, line by line."""
    argv = [shell, "-f", "-i"] if shell == "zsh" else [shell, "--norc", "--noprofile", "-i"]
    begin = f". {SHORT}"
    if shell == "zsh":
        begin = f"autoload -Uz compinit && compinit -u -d {home.folder}/dump; {begin}"

    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        argv,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=home.env,
        cwd=home.folder,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    until = time.monotonic() + 60
    ready = home.folder / "ready"
    try:
        os.write(controller, f"{begin}; touch {ready}\r".encode())
        sent = False
        while not home.calls():
            assert time.monotonic() < until, shown
            if ready.exists() and not sent:
                os.write(controller, keys.encode())
                sent = True
            if select.select([controller], [], [], 0.05)[0]:
                shown += os.read(controller, 4096)
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    return home.calls()[0]


def test_playbooks_are_completed(home: Home, shell: str) -> None:
    assert typed(home, shell, "gummy-play statu\t\r") == ["distributed.gummy.status"]


def test_jobs_are_completed_with_their_runs(
    home: Home, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", home.env["XDG_STATE_HOME"])
    for run_id, job in (("release-42", "docs"), ("release-43", "ui")):
        record = RunRecord(run_id)
        # A text in the journal that looks like a job is none.
        record.append("attempt", attempt="u-1", job=job, node="n", why='"job": "$(id)"')
        record.close()
    called = typed(home, shell, "gummy-play logs release-42\t\r")
    assert called == ["distributed.gummy.logs", "-e", '{"gummy_job": "release-42/docs"}']


def test_every_playbook_and_every_job_is_offered(
    home: Home, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.type(shell, "_gummy_jobs").stdout == ""
    monkeypatch.setenv("XDG_STATE_HOME", home.env["XDG_STATE_HOME"])
    for run_id in ("a", "b.c"):
        record = RunRecord(run_id)
        for job in ("docs", "job-1", "docs"):
            record.append("finish", job=job, message='"job": "other"')
        record.close()
    jobs = home.type(shell, "_gummy_jobs").stdout.split()
    assert jobs == ["a/docs", "a/job-1", "b.c/docs", "b.c/job-1"]
