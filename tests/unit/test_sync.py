"""What of a project goes to a node: the rules, proved with the rsync and git of this machine."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils import _sync

ODD = [b"a*b", b"new\nline.ign", b"caf\xe9.ign", b"[x].ign", b"back\\slash.ign", b"wild*\\.ign", b"q?.ign", b" blank .ign", b"#hash.ign", b"- dash.ign"]
LOOKALIKES = [b"axb", b"a\\*b", b"x", b"sub/a*b.txt", b"sub/build/kept", b"new", b"line"]


def make(folder, *names):
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x" * 1000)


def names_in(folder):
    found = set()
    for where, _folders, files in os.walk(os.fsencode(folder)):
        found |= {os.path.relpath(os.path.join(where, name), os.fsencode(folder)) for name in files}
    return {name for name in found if not name.startswith(b".git/")}


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    make(folder, *ODD, *LOOKALIKES, b"build/out", b"tracked.ign", b"src/main.py", b"dist/tracked", b"dist/made", b"node_modules/m", b"sub/x.log")
    (folder / ".gitignore").write_text("/a\\*b\n*.ign\n/build/\n/dist/\n")
    for words in (["init", "-q"], ["add", "-f", "src/main.py", "tracked.ign", "dist/tracked", ".gitignore"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def upload(project, place, *patterns):
    argv, rules = _sync.upload_argv(str(project), [], f"{place}/"), _sync.exclusions(str(project), patterns).rules
    return _sync.sent(subprocess.run(argv, input=rules, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=True).stdout.decode())


def test_just_what_is_excluded_stays_at_home_and_stats_say_what_went(project, tmp_path):
    place = tmp_path / "tree"
    make(place, b".gummy/specialists/db/session.txt", b".gummy/specialists/db/prompt.txt", b"stale", b"build/cache")
    sent = upload(project, place, "node_modules", "*.log")
    kept = {*LOOKALIKES, b"tracked.ign", b"src/main.py", b"dist/tracked", b".gitignore"}
    assert names_in(place) == kept | {b".gummy/specialists/db/session.txt", b"build/cache"}
    inside = sum(len(files) for _where, _folders, files in os.walk(project / ".git"))
    assert sent["files"] == len(kept) + inside
    assert sent["bytes"] > 1000 * len(LOOKALIKES)
    assert upload(project, place, "node_modules", "*.log") == {"files": 0, "bytes": 0}


def test_what_is_left_out_is_said(project):
    assert _sync.exclusions(str(project), ["node_modules"]).describe() == f"node_modules, {len(ODD) + 2} ignored by git"


def test_the_project_is_read_and_never_written_whatever_the_caller_s_git_settings(project, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")

    def seen():
        return {path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in sorted(project.rglob("*"))}

    os.utime(project / "src/main.py", (1, 1))  # git would like to refresh its index
    before = seen()
    assert _sync.exclusions(str(project), []).ignored == len(ODD) + 2
    assert seen() == before


def test_a_project_without_git_has_no_ignored_files_and_a_broken_one_is_an_error(tmp_path):
    assert _sync.exclusions(str(tmp_path), []).describe() == "nothing"
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    with pytest.raises(_sync.ProjectError, match="git can't read the project"):
        _sync.exclusions(str(tmp_path), [])


@pytest.mark.parametrize("label", ["regular files transferred", "files transferred"])
def test_stats_are_read_with_either_rsync_s_words_and_thousands(label):
    assert _sync.sent(f"\nNumber of {label}: 1,247\nTotal transferred file size: 45,000,123 bytes\n") == {"files": 1247, "bytes": 45000123}
    assert _sync.sent("") == {"files": 0, "bytes": 0}


@pytest.mark.parametrize(
    ("status", "errors", "failure", "reason"),
    [
        (30, "rsync error: timeout in data send/receive (code 30) at io.c(200)", "unreachable", "timeout in data"),
        (255, "ssh: connect to host x port 22: Connection refused", "unreachable", "Connection refused"),
        (35, "", "unreachable", "exit status 35"),
        (23, 'rsync: opendir "/p/secret" failed: Permission denied (13)\nrsync error: some files (code 23)', "sync", "secret"),
        (11, "rsync error: error in file IO (code 11)", "sync", "code 11"),
        (2, "protocol version mismatch -- is your shell clean?\n(see the rsync manpage)\n", "sync", "login shell prints"),
    ],
)
def test_rsync_s_failures_have_a_class_and_one_line(status, errors, failure, reason):
    found = _sync.why_rsync_failed(status, errors)
    assert found[0] == failure
    assert reason in found[1]
    assert "\n" not in found[1]
