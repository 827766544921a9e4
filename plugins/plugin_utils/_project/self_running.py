# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of a job run by themselves elsewhere: at a commit, in an editor, on a CI server.

A patch is read before it is applied, and what a shell or an editor runs as soon as it lies there is
easily read over. So people are told of it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from fnmatch import fnmatchcase

from .git import GitError, git

# Files by their names, wherever they lie, and folders, which end in a slash. In small letters, for
# some file systems know no other ones.
RUN_BY_THEMSELVES = (
    # Hooks, and what installs them.
    ".husky/",
    ".githooks/",
    ".git-hooks/",
    "githooks/",
    ".git/hooks/",
    ".pre-commit-config.y*ml",
    ".pre-commit-hooks.y*ml",
    "lefthook.*",
    ".lefthook.*",
    ".overcommit.yml",
    ".gitconfig",
    ".gitmodules",
    # Shells, when somebody enters the folder.
    ".envrc",
    ".autoenv*",
    ".mise.toml",
    "mise.toml",
    ".bashrc",
    ".zshrc",
    ".profile",
    ".zshenv",
    # Editors, when somebody opens it.
    ".vscode/",
    ".idea/",
    ".zed/",
    ".fleet/",
    ".devcontainer/",
    ".devcontainer.json",
    "*.code-workspace",
    "*.sublime-project",
    ".dir-locals.el",
    ".exrc",
    ".vimrc",
    ".nvimrc",
    ".nvim.lua",
    # CI servers, when somebody pushes it.
    ".github/workflows/",
    ".github/actions/",
    ".gitea/workflows/",
    ".forgejo/workflows/",
    ".gitlab-ci.y*ml",
    ".gitlab/",
    ".circleci/",
    ".buildkite/",
    ".woodpecker/",
    ".woodpecker.y*ml",
    ".drone.y*ml",
    ".travis.yml",
    ".cirrus.y*ml",
    ".semaphore/",
    ".teamcity/",
    ".azure-pipelines/",
    "azure-pipelines*.y*ml",
    "bitbucket-pipelines.yml",
    "appveyor.yml",
    ".appveyor.yml",
    "cloudbuild.y*ml",
    "jenkinsfile*",
    # Agents' settings, with their hooks and servers; not what they are merely told.
    ".claude/settings*.json",
    ".claude/hooks/",
    ".mcp.json",
    ".cursor/",
    ".codex/",
    ".gemini/",
    ".opencode/",
    "opencode.json*",
    ".windsurf/",
    ".kiro/",
    ".continue/",
    ".aider.conf.yml",
    # Programs that read their settings where they are called.
    "ansible.cfg",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pnp.*",
    ".pnpmfile.cjs",
    ".cargo/config*",
    "sitecustomize.py",
    "usercustomize.py",
)
# So many paths are named of one job.
NAMED_MOST = 20
# A list of paths beside the patch, of which a branch is made.
RAW = "branch.raw"


def self_running(paths: Iterable[str]) -> list[str]:
    """Those of the paths that run by themselves, in their order."""
    return [path for path in paths if any(_fits(path, each) for each in RUN_BY_THEMSELVES)]


def _fits(path: str, pattern: str) -> bool:
    """Whether the path, from whatever folder on, is what the pattern names, or lies in it.

    A file or a link in the place of a folder counts as that folder.
    """
    parts = path.casefold().split("/")
    wanted = pattern.rstrip("/").split("/")
    last = len(parts) - len(wanted)
    if not pattern.endswith("/"):
        return last >= 0 and _are_like(parts[last:], wanted)
    return any(_are_like(parts[at : at + len(wanted)], wanted) for at in range(last + 1))


def _are_like(parts: list[str], wanted: list[str]) -> bool:
    return all(fnmatchcase(part, pattern) for part, pattern in zip(parts, wanted, strict=True))


def describe_self_running(paths: Iterable[str]) -> str:
    """What a person is told of them; blank if there are none."""
    names = [*paths]
    if not names:
        return ""
    return f"changes what runs by itself elsewhere, so read it first: {', '.join(names)}"


def self_running_in(folder: str) -> list[str]:
    """The paths that the harvest in this folder changes and that run by themselves, sorted."""
    paths = _paths_of_the_patch(os.path.join(folder, "changes.patch"))
    paths |= _paths_of_the_branch(os.path.join(folder, RAW))
    return self_running(sorted(path.decode("utf-8", "backslashreplace") for path in paths))[
        :NAMED_MOST
    ]


def _paths_of_the_patch(patch: str) -> set[bytes]:
    """None for a patch that git can't read: then nobody can apply it either."""
    if not os.path.isfile(patch) or not os.path.getsize(patch):
        return set()
    try:
        with tempfile.TemporaryDirectory(prefix="gummy-paths-") as scratch:
            git(scratch, "init", "-q", "--bare", "--template=", "repository")
            # The repository is named: none that lies above the folder has a say.
            listing = git(scratch, "--git-dir=repository", "apply", "--numstat", "-z", patch)
    except (GitError, OSError):
        return set()
    return {entry.split(b"\t", 2)[-1] for entry in listing.split(b"\0") if entry}


def _paths_of_the_branch(raw: str) -> set[bytes]:
    if not os.path.isfile(raw):
        return set()
    with open(raw, "rb") as file:
        return {word for word in file.read().split(b"\0") if word and not word.startswith(b":")}
