"""What goes to a node: git's list as far as it is there, and what .worktreeinclude adds to it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node.belongs import (
    Patterns,
    pack,
    unpack,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import secrets as _secrets
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.contents import (
    INCLUDED_MOST,
    Contents,
    contents,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.git import ProjectError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import exclusions


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def names(project: Path, *patterns: str) -> list[str]:
    excluded = exclusions(str(project), patterns)
    found = contents(excluded.project, patterns, excluded.included)
    return [os.fsdecode(path) for path in found.files]


# -- git's list


def test_what_git_lists_goes_as_far_as_it_is_there(project: Path) -> None:
    (project / ".gitignore").write_text("*.o\nbuilt/\n")
    make(project, "a", "gone", "d/tracked.o", "d/a.o", "built/x", "new/deep/b", "becomes")
    git = ["git", "add", "-f", "a", "gone", "d/tracked.o", "becomes"]
    subprocess.run(git, cwd=project, check=True)
    (project / "gone").unlink()
    (project / "becomes").unlink()
    make(project, "becomes/in.o", "becomes/in")
    (project / "empty").mkdir()
    (project / "link").symlink_to("nowhere")
    os.mkfifo(project / "pipe")
    expected = [".gitignore", "a", "becomes/in", "d/tracked.o", "empty/", "link", "new/deep/b"]
    assert names(project) == expected


def test_a_folder_of_a_repository_has_none_of_its_own_whatever_its_git_is(project: Path) -> None:
    make(project, "below/a", "below/b.o")
    (project / ".gitignore").write_text("*.o\n")
    (project / "below" / ".git").mkdir()
    excluded = exclusions(str(project / "below"), ())
    assert excluded.configs == {} and contents(excluded.project, ()).files == [b"a"]


def test_no_file_goes_from_behind_a_link(project: Path, tmp_path: Path) -> None:
    make(tmp_path, "private/key")
    make(project, "d/key")
    subprocess.run(["git", "add", "."], cwd=project, check=True)
    (project / "d" / "key").unlink()
    (project / "d").rmdir()
    (project / "d").symlink_to(tmp_path / "private")
    (project / ".gitignore").write_text("*.env\n")
    (project / ".worktreeinclude").write_text("*.env\n")
    make(tmp_path, "private/x.env")
    assert names(project) == [".gitignore", ".worktreeinclude", "d"]


def test_a_folder_that_can_t_be_read_is_left_to_rsync_to_complain_of(project: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads all")
    make(project, "closed/x")
    (project / "closed").chmod(0)
    try:
        assert names(project) == ["closed/"]
    finally:
        (project / "closed").chmod(0o700)


# -- .worktreeinclude


def test_what_it_names_goes_along_and_sync_exclude_wins(project: Path) -> None:
    (project / ".gitignore").write_text(".env*\ncerts/\nnode_modules/\n")
    (project / ".worktreeinclude").write_text("# for tests\n.env.test\n/certs/*\n!/certs/private\n")
    make(project, ".env", ".env.test", "sub/.env.test", "certs/a.pem", "certs/private")
    make(project, "node_modules/m", "plain")
    always = [".gitignore", ".worktreeinclude"]
    found = names(project)
    assert set(found) == {*always, ".env.test", "sub/.env.test", "certs/a.pem", "plain"}
    assert set(names(project, "*.pem")) == {*found} - {"certs/a.pem"}
    not_harvested = exclusions(str(project), []).not_harvested()
    assert sorted(not_harvested) == ["/.env.test", "/certs/a.pem", "/sub/.env.test"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ok\n../secrets/*\n", r"line 2: \.\./secrets/\* leaves the project"),
        ("!a/../../b\n", "line 1: .* leaves the project"),
        ("~/.ssh/id_rsa\n", "line 1: .* leaves the project"),
    ],
)
def test_one_that_leaves_the_project_is_an_error_with_file_and_line(
    project: Path, text: str, said: str
) -> None:
    (project / ".worktreeinclude").write_text(text)
    with pytest.raises(ProjectError, match=said):
        exclusions(str(project), [])


def test_one_that_is_a_link_or_no_file_is_an_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("*\n")
    (project / ".worktreeinclude").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProjectError, match="is a link"):
        exclusions(str(project), [])
    (project / ".worktreeinclude").unlink()
    os.mkfifo(project / ".worktreeinclude")
    with pytest.raises(ProjectError, match="is no file"):
        exclusions(str(project), [])


def test_one_that_names_a_whole_cache_says_what_to_do_instead(project: Path) -> None:
    (project / ".gitignore").write_text("cache/\n")
    (project / ".worktreeinclude").write_text("cache/\n")
    make(project, *(f"cache/{number}" for number in range(INCLUDED_MOST + 1)))
    with pytest.raises(ProjectError, match="`setup`"):
        exclusions(str(project), [])


def test_the_notice_about_secrets_has_them_and_is_shown_again_when_the_file_changes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (project / ".gitignore").write_text("settings.local\nother.local\n")
    make(project, "settings.local", "other.local", ".env")

    def look() -> list[str]:
        return _secrets.look_for_secrets_once(exclusions(str(project), []), "key")

    assert look() == [".env"] and look() == []
    (project / ".worktreeinclude").write_text("settings.local\n")
    assert look() == [".env", "settings.local"] and look() == []
    (project / ".worktreeinclude").write_text("*.local\n")
    assert look() == [".env", "other.local", "settings.local"] and look() == []


# -- the patterns of sync_exclude, as rsync understands them

PATTERNS = [
    "*.log",
    "node_modules",
    "dir/",
    "/top",
    "/a/b",
    "b/c",
    "*/c",
    "*/top",
    "/*/deep",
    "?/c",
    "**deep",
    "**/deep",
    "a/**/z",
    "q?.x",
    "[ab]x",
    "[!ab]y",
    "[[:digit:]]w",
    "back\\slash",
    "st\\*r",
    "all/***",
    "half/**",
    "un[closed",
    "x**y",
    "#hash",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
]
PATHS = [
    "one.log",
    "d/two.log",
    "node_modules/m",
    "d/node_modules/m",
    "dir/in",
    "d/dir",
    "top",
    "d/top",
    "a/b",
    "d/a/b",
    "b/c",
    "d/b/c/e",
    "d/e/deep",
    "deep",
    "a/m/n/z",
    "a/z",
    "q1.x",
    "q12.x",
    "ax",
    "cx",
    "ay",
    "cy",
    "5w",
    "fw",
    "back\\slash",
    "backslash",
    "st*r",
    "star",
    "all/in",
    "half/in",
    "un[closed",
    "xaay",
    "x/a/y",
    "#hash",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "plain",
]


@pytest.mark.parametrize("pattern", [*PATTERNS, None])
def test_patterns_mean_what_they_mean_to_rsync(pattern: str | None, tmp_path: Path) -> None:
    patterns = PATTERNS if pattern is None else [pattern]
    make(tmp_path / "from", *PATHS)
    words = [f"--exclude={each}" for each in patterns]
    given = f"{tmp_path}/from/"
    said = subprocess.run(
        ["rsync", "-r8", "--dry-run", "--out-format=%n", *words, given, f"{tmp_path}/to/"],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    ).stdout.decode()
    ours = Patterns(patterns)
    kept = {path for path in PATHS if not ours.name(path.encode())}
    assert kept == {*said.split("\n")} & {*PATHS}


def test_the_list_goes_and_comes() -> None:
    header = {"repositories": ["", "own/"], "plain": [], "patterns": ["\udcff*"]}
    files = [b"a", b"new\nline", b"\xff"]
    assert unpack(pack(header, files)) == (header, files)


# -- in few names


def in_few_names(project: Path, *patterns: str) -> list[str]:
    excluded = exclusions(str(project), patterns)
    found = contents(excluded.project, patterns, excluded.included)
    return [os.fsdecode(path) for path in found.names()]


def test_a_folder_of_which_all_goes_is_one_name_and_what_lies_beside_others_has_its_own(
    project: Path,
) -> None:
    (project / ".gitignore").write_text("*.o\nbuilt/\n")
    make(project, "whole/a", "whole/deep/b", "whole/deep/er/c", "d/a.c", "d/a.o", "d/e/b.c")
    make(project, "f/built/x", "f/a", "cut/x.log", "cut/x")
    (project / "empty").mkdir()
    (project / "whole" / "link").symlink_to("/")
    assert in_few_names(project, "*.log") == [
        ".gitignore",
        "cut/x",
        "d/a.c",
        "d/e",
        "empty",
        "f/a",
        "whole",
    ]


def test_what_can_t_go_or_goes_by_another_rule_lies_in_no_folder_that_goes_whole(
    project: Path,
) -> None:
    (project / ".gitignore").write_text("private/\n")
    (project / ".worktreeinclude").write_text("private/deep/named\n")
    make(project, "private/deep/named", "private/deep/other", "odd/a", "inner/a", "inner/b/c")
    os.mkfifo(project / "odd" / "pipe")
    subprocess.run(["git", "init", "-q"], cwd=project / "inner", check=True)
    assert in_few_names(project) == [
        ".gitignore",
        ".worktreeinclude",
        "inner/a",
        "inner/b",
        "odd/a",
        "private/deep/named",
    ]


def test_what_is_new_since_git_was_asked_lies_in_no_folder_that_goes_whole(project: Path) -> None:
    make(project, "d/a", "e/b")
    excluded = exclusions(str(project), ())
    make(project, "d/new")
    assert contents(excluded.project, ()).names() == [b"d/a", b"e"]


def test_folders_may_lie_as_deep_as_the_system_lets_them() -> None:
    deep = b"a/" * 2000
    assert Contents([deep + b"f", deep + b"g"], frozenset({b""})).names() == [b"a"]


def test_without_git_the_patterns_alone_say_which_folder_goes_whole(tmp_path: Path) -> None:
    make(tmp_path, "p/whole/a", "p/whole/b/c", "p/part/a.log", "p/part/b")
    assert in_few_names(tmp_path / "p", "*.log") == ["part/b", "whole"]
