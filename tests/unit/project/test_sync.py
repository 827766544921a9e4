"""What of a project goes to a node: the rules, proved with the rsync and git of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import mirror as _mirror
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import git as _project
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import sync

ODD = [
    b"a*b",
    b"new\nline.ign",
    b"caf\xe9.ign",
    b"[x].ign",
    b"back\\slash.ign",
    b"wild*\\.ign",
    b"q?.ign",
    b" blank .ign",
    b"#hash.ign",
    b"- dash.ign",
]
SPECIALIST = {
    b".gummy/specialists/db/" + name
    for name in (b"session.txt", b"meta.yaml", b"prompt.txt", b"notes/made.md")
}
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
    make(
        folder,
        *ODD,
        *LOOKALIKES,
        b"build/out",
        b"tracked.ign",
        b"src/main.py",
        b"dist/tracked",
        b"dist/made",
        b"node_modules/m",
        b"sub/x.log",
    )
    (folder / ".gitignore").write_text("/a\\*b\n*.ign\n/build/\n/dist/\n")
    for words in (
        ["init", "-q"],
        ["add", "-f", "src/main.py", "tracked.ign", "dist/tracked", ".gitignore"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def upload(project, place, *patterns):
    excluded = sync.exclusions(str(project), patterns)
    mirror = place.with_name(place.name + ".mirror") / "tree"
    mirror.mkdir(parents=True, exist_ok=True)
    place.mkdir(parents=True, exist_ok=True)
    before = _mirror.list_state(str(mirror))
    with sync.sources(excluded, excluded.contents()) as given:
        done = subprocess.run(
            sync.upload_argv(given, [], f"{mirror}/"),
            input=given.names,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            check=True,
        )
    listed = _mirror.read_list_of(str(mirror))
    _mirror.prune(str(mirror), listed)
    _mirror.Making(str(mirror), str(place), str(mirror.with_name("none.git"))).make(listed)
    after = _mirror.list_state(str(mirror))
    return sync.without_list(sync.read_stats(done.stdout.decode()), (after != before) * after[0])


def git(folder, *words):
    """Somebody's git on another machine, as it were: it must not find anything of the user's, and
    nothing outside the folder.
    """
    settings = (
        "user.name=t",
        "user.email=t@example.org",
        "protocol.file.allow=always",
        "init.defaultBranch=main",
    )
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nowhere",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }
    done = subprocess.run(
        ["git", *(w for s in settings for w in ("-c", s)), *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(folder, name, text="x\n"):
    folder.mkdir(exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    (folder / name).write_text(text)
    git(folder, "add", "-f", name)
    git(folder, "commit", "-qm", f"add {name}")
    return folder


def test_just_what_is_excluded_stays_at_home_and_stats_say_what_went(project, tmp_path):
    place = tmp_path / "tree"
    make(place, *SPECIALIST, b"stale", b"build/cache")
    sent = upload(project, place, "node_modules", "*.log")
    kept = {*LOOKALIKES, b"tracked.ign", b"src/main.py", b"dist/tracked", b".gitignore"}
    assert names_in(place) == kept | SPECIALIST | {b"build/cache"}
    inside = sum(len(files) for _where, _folders, files in os.walk(project / ".git"))
    assert sent.files == len(kept) + inside
    assert sent.bytes > 1000 * len(LOOKALIKES)
    assert upload(project, place, "node_modules", "*.log") == sync.Sent(files=0, bytes=0)


def test_a_node_s_specialist_stays_whole_and_takes_what_the_project_has_for_it_but_no_session(
    tmp_path,
):
    home = tmp_path / "home"
    place = tmp_path / "tree"
    make(place, *SPECIALIST, b".gummy/lib/core.sh", b".gummy/lib/stale.sh")
    for name in SPECIALIST:
        (place / os.fsdecode(name)).write_text("the node's own\n")
    make(
        home,
        b".gummy/lib/core.sh",
        b".gummy/specialists/db/session.txt",
        b".gummy/specialists/db/meta.yaml",
        b".gummy/specialists/ui/prompt.txt",
    )
    (home / ".gummy/specialists/db/prompt.txt").write_text("the project's own\n")
    upload(home, place)
    assert names_in(place) == SPECIALIST | {
        b".gummy/lib/core.sh",
        b".gummy/specialists/ui/prompt.txt",
    }
    after = {name: (place / os.fsdecode(name)).read_text() for name in SPECIALIST}
    assert after == {
        **dict.fromkeys(SPECIALIST, "the node's own\n"),
        b".gummy/specialists/db/prompt.txt": "the project's own\n",
    }


def test_what_is_left_out_is_said(project):
    assert (
        sync.exclusions(str(project), ["node_modules"]).describe()
        == f"node_modules, {len(ODD) + 2} ignored by git"
    )


def test_the_project_is_read_and_never_written_whatever_the_caller_s_git_settings(
    project, monkeypatch
):
    monkeypatch.setenv("GIT_DIR", "/nowhere")

    def seen():
        return {
            path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in sorted(project.rglob("*"))
        }

    # Git would like to refresh its index.
    os.utime(project / "src/main.py", (1, 1))
    before = seen()
    assert len(sync.exclusions(str(project), []).project.ignored) == len(ODD) + 2
    assert seen() == before


def test_a_project_without_git_has_no_ignored_files_and_a_broken_one_is_an_error(tmp_path):
    assert sync.exclusions(str(tmp_path), []).describe() == "nothing"
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    with pytest.raises(_project.ProjectError, match="git can't read the project"):
        sync.exclusions(str(tmp_path), [])


def worktree(tmp_path):
    git(commit(tmp_path / "main", "first"), "worktree", "add", "-q", "../work", "-b", "topic")
    return tmp_path / "work"


def worktree_of_a_bare_one(tmp_path):
    git(commit(tmp_path / "main", "first"), "clone", "-q", "--bare", ".", "../store.git")
    git(tmp_path / "store.git", "config", "extensions.worktreeConfig", "true")
    git(tmp_path / "store.git", "config", "--worktree", "core.bare", "true")
    git(tmp_path / "store.git", "config", "--unset", "core.bare")
    git(tmp_path / "store.git", "worktree", "add", "-q", "../work", "-b", "topic")
    return tmp_path / "work"


def separate_git_dir(tmp_path):
    git(
        commit(tmp_path / "main", "first"),
        "clone",
        "-q",
        "--separate-git-dir",
        "../else where.git",
        ".",
        "../work",
    )
    return tmp_path / "work"


def alternates(tmp_path):
    git(commit(tmp_path / "first", "first"), "clone", "-q", "--shared", ".", "../second")
    git(tmp_path / "second", "clone", "-q", "--shared", ".", "../work")
    return tmp_path / "work"


def shallow(tmp_path):
    commit(commit(tmp_path / "main", "first"), "second")
    git(tmp_path / "main", "clone", "-q", "--depth=1", f"file://{tmp_path}/main", "../work")
    return tmp_path / "work"


def submodule_itself(tmp_path):
    commit(tmp_path / "lib", "first")
    git(commit(tmp_path / "main", "top"), "submodule", "--quiet", "add", "../lib", "work")
    return tmp_path / "main" / "work"


@pytest.mark.parametrize(
    "make_one",
    [worktree, worktree_of_a_bare_one, separate_git_dir, alternates, shallow, submodule_itself],
)
def test_a_repository_arrives_as_one_that_needs_nothing_of_this_machine(make_one, tmp_path):
    work = make_one(tmp_path)
    place = tmp_path / "node" / "tree"
    commit(work, "mine.log", "1\n")
    (work / "mine.log").write_text("2\n")
    (work / "staged").write_text("3\n")
    git(work, "add", "staged")
    wanted = [
        git(work, *words)
        for words in (
            ("log", "--format=%H"),
            ("status", "--porcelain"),
            ("branch", "--show-current"),
        )
    ]
    place.mkdir(parents=True)

    def times():
        return {
            path: path.lstat().st_mtime_ns
            for path in tmp_path.rglob("*")
            if not path.is_relative_to(tmp_path / "node")
        }

    before = times()
    upload(work, place, "*.x")
    assert times() == before
    assert upload(work, place, "*.x") == sync.Sent(files=0, bytes=0)
    for folder in tmp_path.iterdir():
        if folder != tmp_path / "node":
            folder.rename(folder.with_name(folder.name + " is away"))
    assert [
        git(place, *words)
        for words in (
            ("log", "--format=%H"),
            ("status", "--porcelain"),
            ("branch", "--show-current"),
        )
    ] == wanted
    git(place, "fsck", "--full", "--strict")
    commit(place, "of the agent")


def test_submodules_and_repositories_inside_are_content_and_what_they_ignore_stays_at_home(
    tmp_path,
):
    work = commit(tmp_path / "work", "a")
    place = tmp_path / "tree"
    inner = commit(tmp_path / "lib", ".gitignore", "made\n")
    git(work, "submodule", "--quiet", "add", str(inner), "sub")
    git(commit(work / "own", ".gitignore", "made\n"), "worktree", "add", "-q", "../linked")
    git(work / "own", "clone", "-q", ".", "deep er")
    make(
        work,
        b"sub/made",
        b"sub/dirty",
        b"own/made",
        b"own/deep er/made",
        b"own/deep er/kept",
        b"linked/made",
    )
    (work / ".git" / "modules" / "leave").mkdir()
    excluded = sync.exclusions(str(work), ["*.log"])
    assert excluded.describe() == "*.log, 4 ignored by git, 2 .git of submodules"
    upload(work, place, "*.log")
    there = {name for name in names_in(place) if b"/.git/" not in name}
    own = {b"own/.gitignore", b"own/deep er/.gitignore", b"own/deep er/kept", b"linked/.gitignore"}
    assert there == {b"a", b".gitmodules", b"sub/.gitignore", b"sub/dirty", *own}
    assert git(place, "status", "--porcelain") == git(
        work, "status", "--porcelain", "--ignore-submodules=dirty"
    )
    assert not (place / ".git" / "modules").exists() and git(place / "own", "log", "--oneline")


def test_sync_exclude_cuts_nothing_out_of_the_repository_unless_it_names_it(tmp_path):
    work = commit(tmp_path / "work", "a")
    for branch in ("venv", "fix.log", "deep/node_modules"):
        git(work, "branch", branch)
    upload(work, tmp_path / "tree", "*.log", "venv", "node_modules", "#odd", "!", "+ odd")
    assert git(tmp_path / "tree", "for-each-ref") == git(work, "for-each-ref")
    make(work, b"dist/x", b"#odd", b"+ odd")
    upload(work, tmp_path / "other", ".git", "dist", "#odd", "+ odd")
    assert names_in(tmp_path / "other") == {b"a"} and not (tmp_path / "other" / ".git").exists()


@pytest.mark.parametrize("label", ["regular files transferred", "files transferred"])
def test_stats_are_read_with_either_rsync_s_words_and_thousands(label):
    assert sync.read_stats(
        f"\nNumber of {label}: 1,247\nTotal transferred file size: 45,000,123 bytes\n"
    ) == sync.Sent(files=1247, bytes=45000123)
    assert sync.read_stats("") == sync.Sent(files=0, bytes=0)


def test_changes_are_counted_and_a_folder_s_mere_time_is_none():
    lines = [
        "cd+++++++++ ./",
        "<f+++++++++  begins with a blank",
        ".f...p..... tool",
        "cL+++++++++ link",
        ".d..t...... docs/",
        ".d...p..... closed/",
        "*deleting   old \x1b[31m",
        "",
        "Number of files: 5 (reg: 2, dir: 2, link: 1)",
        "sent 139 bytes  received 73 bytes  424.00 bytes/sec",
    ]
    changes = sync.read_changes("\n".join(lines))
    assert (changes.count, changes.deleted) == (6, 1)
    assert changes.paths == (
        "./",
        " begins with a blank",
        "tool",
        "link",
        "closed/",
        "delete old \N{REPLACEMENT CHARACTER}[31m",
    )
    # Without names they are counted all the same.
    assert sync.read_changes("<f+++++++++\n*deleting  \n.d..t......\n") == sync.Changes(2, 1, ())


def test_of_very_many_changes_the_first_paths_are_kept_and_all_are_counted():
    changes = sync.read_changes("<f+++++++++ a\n" * (sync.PATHS_MOST + 5))
    assert (changes.count, len(changes.paths)) == (sync.PATHS_MOST + 5, sync.PATHS_MOST)


@pytest.mark.parametrize(
    ("status", "errors", "failure", "reason"),
    [
        (
            30,
            "rsync error: timeout in data send/receive (code 30) at io.c(200)",
            "unreachable",
            "timeout in data",
        ),
        (
            255,
            "ssh: connect to host x port 22: Connection refused",
            "unreachable",
            "Connection refused",
        ),
        (35, "", "unreachable", "exit status 35"),
        (
            23,
            (
                'rsync: opendir "/p/secret" failed: Permission denied (13)\n'
                "rsync error: some files (code 23)"
            ),
            "sync",
            "secret",
        ),
        (11, "rsync error: error in file IO (code 11)", "sync", "code 11"),
        (
            2,
            "protocol version mismatch -- is your shell clean?\n(see the rsync manpage)\n",
            "sync",
            "login shell prints",
        ),
    ],
)
def test_rsync_s_failures_have_a_class_and_one_line(status, errors, failure, reason):
    found = sync.why_rsync_failed(status, errors)
    assert found[0] == failure
    assert reason in found[1]
    assert "\n" not in found[1]


# -- whether anything has to be sent at all


def test_the_digest_changes_with_whatever_rsync_would_send_and_with_nothing_else(project):
    def look(*patterns):
        excluded = sync.exclusions(str(project), patterns)
        return sync.digest_of(excluded, excluded.contents().files)

    make(project, b"around/inner/file")
    first = look()
    (project / "build" / "out").write_text("ignored, and larger")
    assert look() == first
    seen = {first}
    for number, change in enumerate(
        [
            lambda: (project / "src" / "main.py").write_text("longer"),
            # An editor may keep size and time; the inode's own time it can't.
            lambda: os.utime(project / "src" / "main.py", (1, 1)),
            lambda: (project / "src" / "main.py").chmod(0o700),
            lambda: make(project, b"src/new.py"),
            lambda: (project / "src" / "new.py").replace(project / "src" / "moved.py"),
            lambda: (project / ".git" / "refs" / "heads" / "x").write_text("0" * 40),
            lambda: git(project, "config", "user.email", "new@example.org"),
            lambda: (project / "src").chmod(0o700),
            lambda: (project / "around").chmod(0o700),
        ],
        2,
    ):
        change()
        seen.add(look())
        assert len(seen) == number
    assert look("*.py") not in seen
    old = (project / "src" / "main.py").stat()
    (project / "src" / "main.py").write_text("LONGER")
    os.utime(project / "src" / "main.py", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert look() not in seen


class NodeBeside:
    """A link to a node that is a folder here. `meanwhile` is called when rsync has read all."""

    def __init__(self, folder, meanwhile=lambda: None):
        self.is_open = True
        self.session = self
        self.asked = []
        self._folder = folder
        self._meanwhile = meanwhile

    def call(self, verb, request, *_seconds):
        self.asked.append((verb, request["digest"]))
        return {"state": "stale" if verb == "remake" else "noted"}

    def rsync_words(self, *_words):
        return []

    def rsync_target(self):
        return f"{self._folder}/"

    def rsync(self, argv, _seconds, names, cap):
        done = subprocess.run(argv, input=names, capture_output=True, check=False)
        self._meanwhile()
        return done.returncode, done.stdout.decode(), done.stderr.decode()


def verbs_of_a_sync(project, tmp_path, meanwhile=lambda: None):
    link = NodeBeside(tmp_path / "node", meanwhile)
    sync.send_project(link, sync.exclusions(str(project), ()), "a", 1)
    return [verb for verb, _digest in link.asked]


def test_the_node_is_told_in_which_state_it_has_the_project(project, tmp_path):
    assert verbs_of_a_sync(project, tmp_path) == ["remake", "mirrored"]


def test_a_folder_that_was_another_one_while_rsync_looked_is_not_told_as_it_was(project, tmp_path):
    """None of its files tells: they are there again, and nobody has changed them."""

    def swap_and_swap_back():
        (project / "src").rename(tmp_path / "away")
        (tmp_path / "away").rename(project / "src")

    def look():
        excluded = sync.exclusions(str(project), ())
        return sync.digest_of(excluded, excluded.contents().files)

    before = look()
    assert verbs_of_a_sync(project, tmp_path, swap_and_swap_back) == ["remake"]
    assert look() == before


@pytest.mark.parametrize("path", [".git/refs/heads", ".git/hooks"])
def test_a_folder_of_git_that_was_another_one_is_not_told_either(project, tmp_path, path):
    (project / path).mkdir(exist_ok=True)

    def swap_and_swap_back():
        (project / path).rename(tmp_path / "away")
        (project / path).mkdir()
        (project / path).rmdir()
        (tmp_path / "away").rename(project / path)

    assert verbs_of_a_sync(project, tmp_path, swap_and_swap_back) == ["remake"]


def test_what_is_behind_a_link_that_was_a_folder_when_it_was_listed_stays_at_home(
    project, tmp_path
):
    make(tmp_path, b"private/key")
    make(project, b"whole/a")
    excluded = sync.exclusions(str(project), ())
    with sync.sources(excluded, excluded.contents()) as given:
        shutil.rmtree(project / "whole")
        (project / "whole").symlink_to(tmp_path / "private")
        argv = sync.upload_argv(given, (), f"{tmp_path}/node/")
        subprocess.run(argv, input=given.names, check=True, capture_output=True)
    assert (tmp_path / "node" / "whole").is_symlink()


def test_what_changes_within_a_second_and_keeps_its_size_goes(project, tmp_path):
    for text, nanoseconds in (("one", 100), ("two", 900)):
        (project / "src" / "main.py").write_text(text)
        os.utime(project / "src" / "main.py", ns=(0, 10**18 + nanoseconds * 10**6))
        upload(project, tmp_path / "node")
        assert (tmp_path / "node" / "src" / "main.py").read_text() == text


def test_a_preview_tells_no_deletion_that_the_node_does_not(project, tmp_path):
    """What git ignores stays there; of all else the node tells."""
    make(tmp_path, b"node/src/kept.pyc", b"node/src/stale.py", b"node/.git/refs/heads/gone")

    class Previewed(NodeBeside):
        def call(self, verb, request, *_seconds):
            assert verb == "foresee"
            return {"state": "foreseen", "deleted": 1, "paths": ["src/stale.py"]}

    link = Previewed(tmp_path / "node")
    sent = sync.preview_project(link, sync.exclusions(str(project), ["*.pyc"]), "key", 1)
    deleted = [path for path in sent.changes.paths if path.startswith("delete ")]
    assert deleted == ["delete .git/refs/heads/gone", "delete src/stale.py"]
    assert sent.changes.deleted == 2
    assert (tmp_path / "node" / "src" / "stale.py").exists()


def test_what_is_written_while_rsync_looks_has_another_digest_than_the_node_is_told(
    project, tmp_path
):
    link = NodeBeside(tmp_path / "node", lambda: (project / "src" / "main.py").write_text("later"))
    excluded = sync.exclusions(str(project), ())
    sync.send_project(link, excluded, "a", 1)
    told = dict(link.asked)["mirrored"]
    assert told != sync.digest_of(excluded, excluded.contents().files)
