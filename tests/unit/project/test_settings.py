"""Of a repository's settings only those go to a node that mean something there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.settings import (
    portable_settings,
    read_settings,
    without_secrets,
    write_made,
    written,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "global"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "global").write_text("[user]\n\tname = Of The User\n")
    subprocess.run(["git", "init", "-q", str(tmp_path / "project")], check=True)
    return tmp_path / "project"


def config(folder: Path, *words: str) -> None:
    subprocess.run(["git", "config", *words], cwd=folder, check=True)


def on_the_node(project: Path, tmp_path: Path) -> dict[str, list[str]]:
    """Key -> values, as a git on a node reads the config that goes there."""
    file = tmp_path / "there"
    file.write_bytes(portable_settings(read_settings(str(project))))
    words = ["git", "config", "--file", str(file), "--list", "-z"]
    said = subprocess.run(words, capture_output=True, check=True).stdout.decode()
    found: dict[str, list[str]] = {}
    for entry in filter(None, said.split("\0")):
        key, _newline, value = entry.partition("\n")
        found.setdefault(key, []).append(value)
    return found


HOME_ONLY = {
    "commit.gpgsign": "true",
    "user.signingkey": "0123456789ABCDEF",
    "gpg.program": "/opt/gpg",
    "core.fsmonitor": "/opt/watcher",
    "core.hookspath": "/home/me/hooks",
    "core.excludesfile": "/home/me/ignore",
    "core.sshcommand": "ssh -i /home/me/key",
    "core.ignorecase": "true",
    "credential.helper": "store",
    "credential.https://example.org.username": "me",
    "http.extraheader": "Authorization: Bearer t0ken",
    "http.https://example.org/.extraheader": "Authorization: Basic t0ken",
    "url.https://me:t0ken@example.org/.insteadof": "https://example.org/",
    "filter.lfs.process": "git-lfs filter-process",
    "diff.image.textconv": "exiftool",
    "merge.ours.driver": "true",
    "alias.x": "!rm -rf /",
    "commit.template": "/home/me/template",
    "user.useconfigonly": "true",
    "extensions.worktreeconfig": "true",
    "remote.origin.uploadpack": "/opt/upload",
    "branch.main.mergeoptions": "--gpg-sign",
    "sendemail.smtppass": "t0ken",
}
EVERYWHERE = {
    "user.email": "me@example.org",
    "branch.main.remote": "origin",
    "branch.feat/x y.merge": "refs/heads/x",
    "remote.origin.fetch": "+refs/heads/*:refs/remotes/origin/*",
    "merge.conflictstyle": "diff3",
    "diff.made.xfuncname": '^\\s*"(a|b)"\t# ;$',
    "core.filemode": "false",
    "i18n.commitencoding": "latin1",
    "pull.rebase": "true",
}


def test_what_means_something_only_here_stays_and_the_rest_arrives_as_it_was(
    project: Path, tmp_path: Path
) -> None:
    for key, value in {**HOME_ONLY, **EVERYWHERE}.items():
        config(project, key, value)
    (tmp_path / "more").write_text("[user]\n\tname = Of The Project\n[core]\n\tpager = less\n")
    config(project, "include.path", str(tmp_path / "more"))
    config(project, "core.worktree", str(project))
    found = on_the_node(project, tmp_path)
    assert not found.keys() & {*HOME_ONLY, "include.path", "core.pager", "core.worktree"}
    assert {key: found.get(key) for key in EVERYWHERE} == {
        key: [value] for key, value in EVERYWHERE.items()
    }
    # What the project includes is the project's; what the user says everywhere is not.
    assert found["user.name"] == ["Of The Project"]
    text = portable_settings(read_settings(str(project))).decode()
    assert "t0ken" not in text and "/home/me" not in text


def test_the_user_s_own_name_is_not_sent(project: Path, tmp_path: Path) -> None:
    assert "user.name" not in on_the_node(project, tmp_path)


def test_line_ends_are_as_they_are_here_whoever_says_so(project: Path, tmp_path: Path) -> None:
    found = on_the_node(project, tmp_path)
    assert (found["core.autocrlf"], found["core.eol"]) == (["false"], ["native"])
    (tmp_path / "global").write_text("[core]\n\tautocrlf = input\n\teol = crlf\n")
    found = on_the_node(project, tmp_path)
    assert (found["core.autocrlf"], found["core.eol"]) == (["input"], ["crlf"])
    config(project, "core.autocrlf", "true")
    assert on_the_node(project, tmp_path)["core.autocrlf"] == ["true"]


def test_all_of_a_key_s_values_go_in_their_order(project: Path, tmp_path: Path) -> None:
    for number in range(3):
        config(project, "--add", "remote.origin.fetch", f"+refs/{number}:refs/{number}")
    assert on_the_node(project, tmp_path)["remote.origin.fetch"] == [
        f"+refs/{number}:refs/{number}" for number in range(3)
    ]


@pytest.mark.parametrize(
    ("address", "goes"),
    [
        ("https://example.org/a.git", "https://example.org/a.git"),
        ("https://me:t0ken@example.org:8443/a.git?key=t0ken", "https://example.org:8443/a.git"),
        ("https://t0ken@example.org/a.git", "https://example.org/a.git"),
        ("ssh://git:t0ken@example.org:2222/a.git", "ssh://git@example.org:2222/a.git"),
        ("ssh://git@[::1]/a", "ssh://git@[::1]/a"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("git://example.org/a", "git://example.org/a"),
        ("/srv/git/a.git", None),
        ("../a.git", None),
        ("file:///srv/git/a.git", None),
        ("ext::sh -c id", None),
        ("codecommit::eu-west-1://me@a", None),
        ("https://[broken/a", None),
    ],
)
def test_a_remote_s_address_goes_without_what_logs_in_there(address: str, goes: str | None) -> None:
    assert without_secrets(address) == goes


def test_a_made_file_has_its_content_s_time(tmp_path: Path) -> None:
    times = []
    for content in (b"a", b"b", b"a"):
        write_made(str(tmp_path / "x"), content)
        times.append(os.stat(tmp_path / "x").st_mtime_ns)
    assert times[0] == times[2] != times[1]


def test_what_is_written_is_what_git_reads(tmp_path: Path) -> None:
    odd = ' a "quoted" \\ back # ; \n\t end '
    (tmp_path / "x").write_text(written([('a.odd "sub\\".key', odd), ("b.key", "")]))
    words = ["git", "config", "--file", str(tmp_path / "x"), "-z", "--list"]
    said = subprocess.run(words, capture_output=True, check=True).stdout.decode()
    assert said == f'a.odd "sub\\".key\n{odd}\0b.key\n\0'
