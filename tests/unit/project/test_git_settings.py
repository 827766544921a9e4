"""Each setting of git that runs a command, and why it runs none when git is ours.

The list is made of git 2.55's `git help --config` and its source. Whoever lets git do something new
looks here first.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._node import git as _node_git
from ansible_collections.distributed.gummy.plugins.plugin_utils._project import git as _home_git
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.git import git
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.scratch import Scratch
from test_git_calls import PLAIN, git_named
from workbench import trees

# What we set in its place, for every call.
OVERRIDDEN = {
    "core.alternateRefsCommand": "true",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "hook.<event>.enabled": "false",
    # Whatever runs to fetch or to push: remote.*.uploadpack, remote.*.receivepack, remote.*.vcs,
    # remote.*.proxy, core.gitProxy, a transport helper, ssh.
    "protocol.allow": "never",
    "submodule.recurse": "false",
    # They start other programs of git.
    "gc.auto": "0",
    "maintenance.auto": "false",
}
# What a variable of ours goes before.
BY_VARIABLES = {
    "core.askPass": ("GIT_ASKPASS", "false"),
    "core.editor": ("GIT_EDITOR", "false"),
    "core.gitProxy": ("GIT_PROXY_COMMAND", "false"),
    "core.pager": ("GIT_PAGER", "cat"),
    "core.sshCommand": ("GIT_SSH_COMMAND", "false"),
    "credential.helper": ("GIT_TERMINAL_PROMPT", "0"),
    "extensions.partialClone": ("GIT_NO_LAZY_FETCH", "1"),
    "remote.<name>.promisor": ("GIT_NO_LAZY_FETCH", "1"),
    "protocol.<name>.allow": ("GIT_ALLOW_PROTOCOL", "none"),
}
# What only these commands read; we call none of them.
OF_OTHER_COMMANDS = {
    "alias.*": {"st"},
    "browser.<tool>.cmd": {"help", "web--browse"},
    "diff.external": {"diff", "log", "show"},
    "diff.<driver>.command": {"diff", "log", "show"},
    "diff.<driver>.textconv": {"blame", "diff", "grep", "log", "show"},
    "difftool.<tool>.cmd": {"difftool"},
    "filter.<driver>.clean": {"add", "checkout", "commit", "diff", "stash", "status"},
    "filter.<driver>.process": {"add", "archive", "checkout", "commit", "diff", "status"},
    "filter.<driver>.smudge": {"archive", "checkout", "reset", "restore", "stash", "switch"},
    "gc.recentObjectsHook": {"gc", "prune", "repack"},
    "gitcvs.dbDriver": {"cvsserver"},
    "gpg.program": {"commit", "log", "merge", "pull", "push", "show", "tag", "verify-commit"},
    "gpg.<format>.program": {"commit", "log", "merge", "tag", "verify-commit", "verify-tag"},
    "gpg.ssh.defaultKeyCommand": {"commit", "push", "tag"},
    "guitool.<name>.cmd": {"gui"},
    "imap.tunnel": {"imap-send"},
    "instaweb.httpd": {"instaweb"},
    "interactive.diffFilter": {"add", "checkout", "reset", "restore", "stash"},
    "man.<tool>.cmd": {"help"},
    "merge.<driver>.driver": {"cherry-pick", "merge", "merge-tree", "rebase", "revert"},
    "mergetool.<tool>.cmd": {"mergetool"},
    "pager.<cmd>": {"blame", "branch", "diff", "grep", "log", "show", "tag"},
    "receive.procReceiveRefs": {"receive-pack"},
    "sendemail.smtpServer": {"send-email"},
    "sendemail.toCmd": {"send-email"},
    "sequence.editor": {"rebase"},
    "submodule.<name>.update": {"submodule"},
    "tar.<format>.command": {"archive"},
    "trailer.<key-alias>.command": {"interpret-trailers"},
    "trailer.<key-alias>.cmd": {"interpret-trailers"},
    "uploadpack.packObjectsHook": {"upload-pack"},
}
# The events of which a hook could run by a command of ours.
EVENTS = ("reference-transaction", "post-index-change")


def as_table(settings):
    return dict(setting.split("=", 1) for setting in settings)


@pytest.mark.parametrize(
    "settings", [_home_git.QUIET, _node_git.OWN, _node_git.FOREIGN], ids=["home", "own", "foreign"]
)
def test_each_setting_that_runs_a_command_is_set_to_what_does_no_harm(settings):
    found = as_table(settings)
    for name, value in OVERRIDDEN.items():
        for event in EVENTS:
            assert found.get(name.replace("<event>", event)) == value, name


@pytest.mark.parametrize("module", [_home_git, _node_git], ids=["home", "node"])
def test_each_setting_that_a_variable_goes_before_has_that_variable(module, monkeypatch):
    for name, (variable, value) in BY_VARIABLES.items():
        assert module.NOTHING_RUNS.get(variable) == value, name


def test_no_command_of_ours_reads_one_of_the_others():
    ours = PLAIN | {"bundle", "diff-index", "hash-object", "update-index"}
    assert [name for name, commands in OF_OTHER_COMMANDS.items() if commands & ours] == []


@pytest.mark.parametrize("which", ["usual", "newer"])
def test_git_names_no_setting_that_sounds_like_a_command_and_is_not_on_the_list(which):
    words = ("command", "cmd", "program", "helper", "editor", "pager", "askpass", "driver")
    words += ("textconv", "external", "hookspath", "objectshook", "gitproxy", "clean", "smudge")
    said = subprocess.run(
        [git_named(which), "help", "--config"], capture_output=True, check=True, text=True
    ).stdout
    known = {
        name.lower() for part in (OVERRIDDEN, BY_VARIABLES, OF_OTHER_COMMANDS) for name in part
    }
    # They hold no command of a repository's, or are on the list by a name that stands for more.
    known |= {
        # Messages, colours and widths.
        "advice.waitingforeditor",
        "color.pager",
        "diff.<driver>.cachetextconv",
        "column.clean",
        # Read by completion and git-gui's own settings.
        "completion.commands",
        # Aliases by another spelling.
        "alias.*.command",
        # Of `send-email`, `rebase` and hooks that are off as a whole.
        "sendemail.cccmd",
        "sendemail.headercmd",
        "hook.<name>.command",
        "hook.<friendly-name>.command",
        "notes.rewrite.<command>",
    }
    names = [line for line in said.split("\n") if line.lower().split(".")[-1].endswith(words)]
    assert len(names) > 20
    assert [name for name in names if name.lower() not in known] == []


def test_the_hooks_of_a_repository_s_settings_are_off_by_their_names(tmp_path):
    trees.git(tmp_path, "init", "-q", "--template=")
    for name in ("plain", "with blank", "a=b", "a.b", "ünicode"):
        trees.git(tmp_path, "config", f"hook.{name}.event", "reference-transaction")
    trees.git(tmp_path, "config", "hook.jobs", "2")
    off = _home_git.without_hooks(str(tmp_path))
    wanted = {f"hook.{name}.enabled" for name in ("plain", "with blank", "a=b", "a.b", "ünicode")}
    assert wanted <= off.keys() and {*off.values()} == {"false"}
    said = git(str(tmp_path), "config", "--get", "hook.a=b.enabled", settings=off)
    assert said == b"false\n"


def test_a_repository_of_ours_has_a_project_s_objects_and_none_of_its_settings(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    trees.git(project, "init", "-q", "--template=", "--shared=group")
    (project / "a").write_text("a\n")
    trees.git(project, "add", "a")
    trees.git(project, "commit", "-q", "-m", "a")
    trees.git(project, "config", "some.thing", "x")
    (tmp_path / "ours").mkdir()
    ours = Scratch(str(tmp_path / "ours"), str(project))

    head = trees.said(project, "rev-parse", "HEAD")
    with pytest.raises(_home_git.GitError):
        ours("config", "--get", "some.thing")
    assert ours("cat-file", "-t", head) == b"commit\n"
    made = ours("hash-object", "-w", "--stdin", stdin=b"new").decode().strip()
    folder = project / ".git" / "objects" / made[:2]
    assert not folder.exists(), "what is made here stays here"
    tree = ours("mktree", stdin=f"100644 blob {made}\tnew\n".encode()).decode().strip()
    text = f"tree {tree}\nparent {head}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx\n"
    words = ("hash-object", "-w", "-t", "commit", "--stdin")
    tip = ours(*words, stdin=text.encode()).decode().strip()
    ours("hash-object", "-w", "--stdin", stdin=b"of nobody")
    before = trees.said(project, "cat-file", "--batch-all-objects", "--batch-check").split("\n")
    ours.hand_over(tip, [head], True, 60.0)
    after = trees.said(project, "cat-file", "--batch-all-objects", "--batch-check").split("\n")
    assert len(after) == len(before) + 3, "what a commit needs is handed over, and no more"
    assert folder.stat().st_mode & 0o070 == 0o070, "core.sharedRepository holds all the same"


@pytest.mark.parametrize("harm", ["# v2", "signature", "no end", "objects"])
def test_a_bundle_that_is_none_is_an_error_and_a_good_one_gives_its_refs(harm, tmp_path):
    trees.git(tmp_path, "init", "-q", "--template=", "forge")
    trees.git(tmp_path / "forge", "commit", "-q", "--allow-empty", "-m", "a")
    bundle = tmp_path / "x.bundle"
    trees.git(tmp_path / "forge", "bundle", "create", str(bundle), "HEAD", "main")
    head = trees.said(tmp_path / "forge", "rev-parse", "HEAD")
    (tmp_path / "ours").mkdir()
    ours = Scratch(str(tmp_path / "ours"))
    assert ours.take_bundle(str(bundle)) == {"HEAD": head, "refs/heads/main": head}
    assert ours("cat-file", "-t", head) == b"commit\n"

    content = bundle.read_bytes()
    bundle.write_bytes(
        {
            "# v2": b"# v2",
            "signature": b"# v9 git bundle\n" + content,
            "no end": content.partition(b"\n\n")[0],
            "objects": content[:-30],
        }[harm]
    )
    shutil.rmtree(tmp_path / "ours")
    (tmp_path / "ours").mkdir()
    with pytest.raises(_home_git.GitError):
        Scratch(str(tmp_path / "ours")).take_bundle(str(bundle))
