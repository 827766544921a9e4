"""Every call of git, at home and on a node, written down by a stand-in and held against a list.

The project and the workspaces are set up so that each thing that git could run leaves a trace.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import baseline, harvest
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import branch as _branch
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    conflicts as _conflicts,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    home_patch as _home_patch,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import (
    secrets as _secrets,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import sync
from workbench import Work, trees

STAND_IN = """#!/bin/sh
file=$(mktemp "CALLS/XXXXXXXX")
{ pwd -P; printf '\\0'; printf '%s\\0' "$@"; printf '\\0'; env -0; } > "$file"
exec REAL "$@"
"""
# What every call has in its environment.
VARIABLES = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_SSH_COMMAND": "false",
    "GIT_PROXY_COMMAND": "false",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "false",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
# And those on a node, where no settings but the workspace's own can count.
ON_A_NODE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
}
# Which others a call may have: where things lie.
PLACES = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_LFS_SKIP_SMUDGE",
}
# Settings of a call that are given in variables: their names may hold what `-c` can't take.
HARMLESS = {
    "init.defaultObjectFormat",
    "core.sharedRepository",
    "core.safecrlf",
    "core.attributesFile",
    "filter.t.required",
}
GIVEN = re.compile(r"GIT_CONFIG_(COUNT|KEY_\d+|VALUE_\d+)")
SETTINGS = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.splitIndex": "false",
    "core.hooksPath": os.devnull,
    "hook.reference-transaction.enabled": "false",
    "hook.post-index-change.enabled": "false",
    "core.alternateRefsCommand": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "protocol.allow": "never",
}
# Commands that run nothing that a repository names, whatever their words. None of them is one of
# those in test_git_settings.py.
PLAIN = {
    "apply",
    "cat-file",
    "check-attr",
    "config",
    "count-objects",
    "diff-files",
    "index-pack",
    "init",
    "ls-files",
    "ls-tree",
    "merge-base",
    "merge-file",
    "pack-objects",
    "read-tree",
    "rev-list",
    "rev-parse",
    "show-ref",
    "symbolic-ref",
    "unpack-objects",
    "update-ref",
    "write-tree",
}


@dataclass
class Call:
    """A call of git."""

    folder: str
    settings: dict[str, str]
    # What follows the settings: the command and its words.
    words: list[str]
    # Of the options before the command, those that are no settings.
    options: list[str]
    env: dict[str, str]

    @property
    def given(self) -> dict[str, str]:
        """The settings in variables."""
        count = int(self.env.get("GIT_CONFIG_COUNT", "0"))
        keys = [self.env[f"GIT_CONFIG_KEY_{number}"] for number in range(count)]
        return {key: self.env[f"GIT_CONFIG_VALUE_{at}"] for at, key in enumerate(keys)}

    @property
    def git_dir(self) -> str | None:
        named = [word for word in self.options if word.startswith("--git-dir=")]
        return named[0].partition("=")[2] if named else self.env.get("GIT_DIR")


def read_call(path):
    head, _separator, tail = path.read_bytes().decode(errors="surrogateescape").partition("\0\0")
    folder, *argv = head.split("\0")
    folder = folder.rstrip("\n")
    settings = {}
    options = []
    while argv and argv[0].startswith("-"):
        word = argv.pop(0)
        if word == "-c":
            name, _equals, value = argv.pop(0).partition("=")
            settings[name] = value
        elif word == "-C":
            options.append(argv.pop(0))
        else:
            options.append(word)
    env = dict(pair.partition("=")[::2] for pair in tail.split("\0") if pair)
    return Call(folder, settings, argv, options, env)


def problems(call, ours):
    """What of a call is not as it should be. ours: the folders that only we write to."""
    command = call.words[0]
    found = [f"{k} is {call.env.get(k)}" for k, v in VARIABLES.items() if call.env.get(k) != v]
    found += [f"{k}: {v} is missing" for k, v in SETTINGS.items() if call.settings.get(k) != v]
    if "--no-pager" not in call.options:
        found.append("a pager")
    if "safe.directory" in call.settings:
        found.append("safe.directory")

    known = {*VARIABLES, *PLACES}
    if "GIT_WORK_TREE" in call.env:
        # A node's calls name their work tree.
        known |= ON_A_NODE.keys()
        found += [f"{k} is {call.env.get(k)}" for k, v in ON_A_NODE.items() if call.env.get(k) != v]
    found += [
        k for k in call.env if k.startswith("GIT_") and k not in known and not GIVEN.fullmatch(k)
    ]
    for name, value in call.given.items():
        if name not in HARMLESS and not (
            name.startswith("hook.") and name.endswith(".enabled") and value == "false"
        ):
            found.append(f"{name} is {value}")

    own = call.git_dir is not None and os.path.join(call.folder, call.git_dir).startswith(ours)
    if command in ("diff-index", "diff-tree"):
        found += [w for w in ("--no-ext-diff", "--no-textconv") if w not in call.words]
        if command == "diff-index" and "--cached" not in call.words:
            found.append("files are read")
    elif command == "bundle":
        # To take one in, git would look around in the project.
        if call.words[1] != "create":
            found.append(call.words[1])
    elif command == "update-ref":
        # The one of them whose hooks a project's own settings could name.
        if call.given.get("hook.any name=x.enabled") != "false":
            found.append("hooks by whatever names")
    elif command == "hash-object" and "--stdin" not in call.words:
        found.append("a file is read")
    elif command == "hash-object" or "--filters" in call.words:
        # The user's filters run for one file each, and what they make lies in a folder of ours.
        is_for_one = any(word.startswith("--path=") for word in call.words)
        is_ours = call.env.get("GIT_OBJECT_DIRECTORY", "").startswith(ours)
        is_plain = {"--no-filters", "commit"} & {*call.words}
        if not is_plain and not (is_for_one and is_ours and "GIT_WORK_TREE" not in call.env):
            found.append("filters")
    elif command in ("add", "update-index"):
        # What reads files into an index would filter them.
        if "--index-info" not in call.words and not own:
            found.append("files are read by a git dir that is not ours")
    elif command not in PLAIN:
        found.append("a command that is not on the list")
    return [f"git {' '.join(call.words)}: {problem}" for problem in found]


# Since then git asks what a repository borrows from, and since 2.54 it takes hooks from settings.
NEWER = (2, 40)


def git_named(which):
    """The path of this machine's git, or of a newer one, which GUMMY_NEWER_GIT may name."""
    real = shutil.which("git")
    assert real is not None
    if which == "usual":
        return real
    real = os.environ.get("GUMMY_NEWER_GIT") or real
    said = subprocess.run([real, "version"], capture_output=True, check=True, text=True).stdout
    numbers = re.search(r"(\d+)\.(\d+)", said)
    if numbers is None or tuple(map(int, numbers.groups())) < NEWER:
        pytest.skip(f"{said.strip()} is older than 2.40; name a newer one in GUMMY_NEWER_GIT")
    return real


@pytest.fixture(params=["usual", "newer"])
def calls(request, tmp_path, monkeypatch):
    """The folder where each call of git is written down."""
    real = git_named(request.param)
    folder = tmp_path / "calls"
    stand_in = tmp_path / "bin" / "git"
    folder.mkdir()
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.replace("CALLS", str(folder)).replace("REAL", real))
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    return folder


def set_hooks(folder):
    """Hooks in settings, where a newer git takes them from."""
    for event in ("reference-transaction", "post-index-change"):
        trees.git(folder, "config", "--add", "hook.any name=x.event", event)


def set_traps(folder, trace):
    """Each thing that git could run for this repository leaves a trace."""
    trap = trace.parent / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $@" >> {trace}\nexit 1\n')
    trap.chmod(0o755)
    hooks = trace.parent / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc"):
        shutil.copy(trap, hooks / name)
    for setting in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.askPass",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "diff.external",
        "diff.t.command",
        "diff.t.textconv",
        "filter.t.clean",
        "filter.t.smudge",
        "filter.t.process",
        "merge.t.driver",
        "merge.default",
        "pager.ls-files",
        "credential.helper",
        "remote.origin.uploadpack",
        "uploadpack.packObjectsHook",
        "gpg.program",
        "gc.recentObjectsHook",
        "hook.any name=x.command",
    ):
        trees.git(folder, "config", setting, str(trap))
    set_hooks(folder)
    for setting, value in {
        "core.hooksPath": str(hooks),
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": "x@y.invalid:z",
        "remote.origin.promisor": "true",
        "protocol.allow": "always",
        "protocol.ssh.allow": "always",
        "submodule.recurse": "true",
        "safe.directory": "*",
        "log.showSignature": "true",
    }.items():
        trees.git(folder, "config", setting, value)


def lose(folder, name):
    """Let a file's content be missing, as in a partial clone, and the file too."""
    blob = trees.said(folder, "rev-parse", f"HEAD:{name}")
    trees.git(folder, "update-index", "--skip-worktree", name)
    (folder / name).unlink()
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


@contextlib.contextmanager
def nothing_runs(trace):
    """Whoever runs in here leaves no trace."""
    trace.unlink(missing_ok=True)
    yield
    assert not trace.exists(), trace.read_text()


def make_project(work):
    (work.project / "deep").mkdir()
    (work.project / "deep" / ".gitignore").write_text("*.o\n")
    work.commit(work.project, "more", **{".gitattributes": "a diff=t filter=t merge=t\n"})
    (work.project / "own").mkdir()
    trees.git(work.project / "own", "init", "-q", "--template=")
    work.commit(work.project / "own", "first", v="v\n")
    trees.git(work.project, "worktree", "add", "-q", "--detach", "../linked")
    trees.git(work.project, "clone", "-q", "--shared", ".", "../shared")


def lay_traps(project, trace):
    lose(project, "deep/.gitignore")
    set_traps(project / "own", trace)
    set_traps(project, trace)
    (project / "deep" / "made.o").write_text("x")


def do_job(work, text, trace):
    """(folder, result) of a job in a workspace full of traps, as workbench's."""
    tree = work.top / f"{text}-tree"
    git_dir = str(work.top / f"{text}-git")
    shutil.copytree(work.project, tree, symlinks=True)
    base = trees.said(tree, "rev-parse", "HEAD")
    lay_traps(tree, trace)
    with nothing_runs(trace):
        baseline.make_baseline(str(tree), git_dir)

    for folder in (tree, tree / "own"):
        (folder / "a").write_text(f"1\n{text}\n3\n4\n5\n")
        # They would stop the agent's own commit.
        trees.git(folder, "config", "--unset-all", "hook.any name=x.event")
        settings = ("core.hooksPath=/dev/null", "filter.t.process=", "filter.t.clean=cat")
        words = [word for setting in settings for word in ("-c", setting)]
        trees.git(folder, *words, "add", "a")
        trees.git(folder, *words, "commit", "-q", "-m", text)
        set_hooks(folder)
    (tree / "b").write_text(text)
    (tree / "own" / "new").write_text(text)
    with nothing_runs(trace):
        out = str(work.top / f"{text}-out")
        made = harvest.make_harvest(str(tree), git_dir, out, "branch")
    assert made["commits"] and made["nested"] == ["own"] and made["patch"]
    return out, {"harvest": made, "base": base, "begun_at": 1e9}


def has_a_filter_that_works(project):
    """The user's own filter of a file that jobs change is the one thing that runs."""
    trees.git(project, "config", "--unset-all", "filter.t.process")
    for way in ("clean", "smudge"):
        trees.git(project, "config", f"filter.t.{way}", "cat")


def test_no_git_of_ours_runs_or_fetches_what_a_repository_names(tmp_path, calls, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "traps").mkdir()
    trace = tmp_path / "traps" / "ran"
    work = Work(tmp_path)
    make_project(work)
    jobs = {text: do_job(work, text, trace) for text in ("one", "two")}

    work.commit(work.project, "meanwhile", a="1\n2\n3\n4\n5\n6\n")
    lay_traps(work.project, trace)
    set_traps(tmp_path / "shared", trace)
    for name in ("project", "shared"):
        has_a_filter_that_works(tmp_path / name)
    rows = []
    with nothing_runs(trace):
        for name in ("project", "linked", "shared"):
            excluded = sync.exclusions(str(tmp_path / name), [])
            _secrets.look_for_secrets_once(excluded, name)
        _branch.check_branches([])
        for name, (folder, result) in jobs.items():
            made = _branch.deliver_branch(
                str(work.project), folder, result, run_id="run", job=name, title=name
            )
            assert made is not None
            # Here the base's objects are an alternate's, which newer gits ask by a command.
            made = _branch.deliver_branch(
                str(tmp_path / "shared"), folder, result, run_id="run", job=name, title=name
            )
            assert made is not None
            _home_patch.make_patch_at_home(str(work.project), folder, result)
            patch = f"{folder}/changes.patch"
            rows.append({"name": name, "project": str(work.project), "patch": patch})
        assert _conflicts.find_conflicts(rows)

    made_calls = [read_call(path) for path in calls.iterdir()]
    ours = [call for call in made_calls if call.settings.get("user.name") != "An Agent"]
    scratch = tuple(f"{tmp_path}/{name}-git" for name in jobs)
    temporary = os.path.join(os.path.realpath(tempfile.gettempdir()), "gummy-")
    found = {line for call in ours for line in problems(call, (*scratch, temporary))}
    assert found == set()
    # Each kind of work is among them.
    commands = {call.words[0] for call in ours}
    assert {"ls-files", "diff-index", "bundle", "config", "apply", "cat-file"} <= commands
    assert {"update-ref", "merge-file", "unpack-objects", "show-ref", "rev-list"} <= commands
