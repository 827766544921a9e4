# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Git as a node uses it for baselines and harvests: its own git dir, and no user's settings.

What the user or the agent configured must not change what a harvest is, and nothing that the
workspace's own repository asks for may be run or fetched.
"""

from __future__ import annotations

import os
import subprocess

from .store import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

# Settings of our own git dir. Content is taken as it is, on every system, and no cache or hook of
# the user's has a say. Files above the threshold stream into git's store and are not counted line
# by line.
OWN = (
    "core.bare=false",
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.fileMode=true",
    "core.symlinks=true",
    "core.ignoreCase=false",
    "core.precomposeUnicode=false",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "core.compression=1",
    "core.bigFileThreshold=32m",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "protocol.allow=never",
    "safe.bareRepository=explicit",
    "hook.reference-transaction.enabled=false",
    "hook.post-index-change.enabled=false",
    "core.alternateRefsCommand=true",
    f"core.hooksPath={os.devnull}",
    f"core.excludesFile={os.devnull}",
    f"core.attributesFile={os.devnull}",
)
# Settings for the workspace's own repository, which is the agent's.
FOREIGN = (
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "protocol.allow=never",
    "safe.bareRepository=explicit",
    "hook.reference-transaction.enabled=false",
    "hook.post-index-change.enabled=false",
    "core.alternateRefsCommand=true",
    f"core.hooksPath={os.devnull}",
)
# What a repository's own settings could undo: nothing is fetched, by no protocol, however old this
# git is, and nobody is asked. A git that doesn't know one of them ignores it.
NOTHING_RUNS = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_SSH_COMMAND": "false",
    "GIT_PROXY_COMMAND": "false",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "false",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
# Some C libraries give memory back to the system and take it again for each object that git packs,
# which is most of the work; others don't know these variables.
KEEPS_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(256 << 20), "MALLOC_TOP_PAD_": str(16 << 20)}
# How a `.git` that is a file begins.
LEADS_ELSEWHERE = b"gitdir: "
# Bytes of git's stderr that an error tells.
ERROR_MOST = 2000


class HarvestError(Exception):
    """Baseline or patch could not be made; the workspace is as it was."""


class Git:
    """Git on a workspace's tree, with a git dir that lies outside of it.

    Calling it runs a command. After that `failed` says whether the command ended with another
    status than 0, and `errors` holds its stderr.
    """

    def __init__(self, tree: str, git_dir: str, index: str = "index") -> None:
        """index: the name of the index in the git dir. Raises HarvestError."""
        self.tree = os.path.realpath(tree)
        self.dir = os.path.realpath(git_dir)
        self.index = os.path.join(self.dir, index)
        self.failed = False
        self.errors = b""
        # What git has said of each `.git` so far, by its path in the workspace.
        self._repositories: dict[bytes, bool] = {}
        if not os.path.isdir(self.tree):
            raise HarvestError(f"{tree} is not a directory")
        if os.path.commonpath([self.tree, self.dir]) == self.tree:
            raise HarvestError(f"the git dir {git_dir} lies inside the workspace {tree}")

    def __call__(
        self,
        *args: str,
        stdin: bytes = b"",
        out: IO[bytes] | None = None,
        ok: Sequence[int] = (0,),
        own: bool = True,
        at: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run git, and return its stdout, which goes to the file `out` if there is one.

        ok: exit statuses that are no error. own=False asks the workspace's own repository, which
        may only be read. at: variables of git's environment that lead to another place, such as
        GIT_DIR. Raises HarvestError.
        """
        env = self._environment(own)
        env.update(at or {})
        if not own and not is_real_folder(env["GIT_DIR"]):
            raise HarvestError("its .git is a link or no folder, and is not followed")

        settings = OWN if own else FOREIGN
        options = [word for setting in settings for word in ("-c", setting)]
        try:
            done = subprocess.run(
                ["git", "--no-pager", *options, *args],
                cwd=self.tree,
                env=env,
                input=stdin,
                stdout=out or subprocess.PIPE,
                stderr=subprocess.PIPE,
                check=False,
            )
        except OSError as e:
            raise HarvestError(f"git {args[0]}: {e}") from e

        if done.returncode not in ok:
            words = done.stderr[-ERROR_MOST:].decode("utf-8", "backslashreplace").strip()
            raise HarvestError(f"git {args[0]} ended with {done.returncode}: {words}")
        self.failed = done.returncode != 0
        self.errors = done.stderr
        return done.stdout or b""

    def _environment(self, own: bool) -> dict[str, str]:
        """Ours without anything that would lead git to a user's settings."""
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") and name != "XDG_CONFIG_HOME"
        }
        env.update(
            HOME=self.dir,
            LC_ALL="C",
            GIT_CONFIG_NOSYSTEM="1",
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_ATTR_NOSYSTEM="1",
            GIT_WORK_TREE=self.tree,
        )
        env.update(NOTHING_RUNS)
        env.update(KEEPS_MEMORY)
        if own:
            env["GIT_DIR"] = self.dir
            env["GIT_INDEX_FILE"] = self.index
        else:
            env["GIT_DIR"] = os.path.join(self.tree, ".git")
        return env

    def is_repository(self, path: bytes) -> bool:
        """Whether git takes this `.git` of the workspace for a repository.

        An agent may have left an empty one. What leads elsewhere counts as one and is not followed,
        and so does one that this git can't read.
        """
        if path not in self._repositories:
            self._repositories[path] = self._takes_for_repository(path)
        return self._repositories[path]

    def _takes_for_repository(self, path: bytes) -> bool:
        git_dir = os.path.join(self.tree, os.fsdecode(path))
        if os.path.isfile(git_dir) and not os.path.islink(git_dir):
            try:
                with open(git_dir, "rb") as file:
                    return file.read(len(LEADS_ELSEWHERE)) == LEADS_ELSEWHERE
            except OSError:
                return True
        if not is_real_folder(git_dir):
            return os.path.islink(git_dir)
        at = {"GIT_DIR": git_dir, "GIT_WORK_TREE": os.path.dirname(git_dir)}
        try:
            self("rev-parse", "--git-dir", own=False, at=at)
        except HarvestError as e:
            return "not a git repository" not in str(e)
        return True

    def names(self, *args: str, own: bool = True) -> set[bytes]:
        """The paths that `ls-files` gives with these arguments. Raises HarvestError."""
        return set(self("ls-files", "-z", *args, own=own).split(b"\0")) - {b""}


def is_real_folder(path: str) -> bool:
    """Whether it is a folder, and no link to one."""
    return os.path.isdir(path) and not os.path.islink(path)


def text(path: str | bytes) -> str:
    """A path for people and JSON: bytes that are not UTF-8 become \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
