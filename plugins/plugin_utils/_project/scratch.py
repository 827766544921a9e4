# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of our own, in which git works on what came from a node or lies in a project.

So the settings of that project have no say. Only who asks for its refs, or writes one, asks the
project's own repository.
"""

from __future__ import annotations

import os
import shutil
from typing import IO

from .git import OUTPUT_MOST, GitError, git

REPOSITORY = "repository"
# Bytes of what a bundle says before its objects: a line for each ref.
HEADER_MOST = 16 << 20
# How long git may take to read a patch, in seconds, and bytes of the list of what is in it.
PATCH_SECONDS = 60.0
LISTING_MOST = 64 << 20
# How a bundle begins.
SIGNATURES = (b"# v2 git bundle\n", b"# v3 git bundle\n")


class Scratch:
    """A bare repository in a folder of ours, with objects of its own or a project's.

    Raises GitError, OSError.
    """

    def __init__(self, folder: str, project: str | None = None) -> None:
        """project: its objects are read and written here, and none of its settings count."""
        self.folder = folder
        # Where the objects lie; None: in the repository itself.
        self.objects: str | None = None
        # What of the project's settings has to hold for files that are written there.
        self._settings: dict[str, str] = {}
        # Whatever the user's own settings make the usual format.
        usual = {"init.defaultObjectFormat": "sha1"}
        git(folder, "init", "-q", "--bare", "--template=", REPOSITORY, settings=usual)
        if project is not None:
            self._borrow(project)

    def _borrow(self, project: str) -> None:
        lines = git(project, "rev-parse", "--git-path", "objects", "--git-path", "shallow")
        objects, shallow, *_more = os.fsdecode(lines).split("\n")
        self.objects = os.path.realpath(os.path.join(project, objects))
        # Where a shallow clone's history ends, nothing is missing.
        shallow = os.path.join(project, shallow)
        if os.path.isfile(shallow):
            shutil.copyfile(shallow, os.path.join(self.folder, REPOSITORY, "shallow"))
        try:
            shared = git(project, "config", "--get", "core.sharedRepository")
            self._settings["core.sharedRepository"] = os.fsdecode(shared).strip()
        except GitError:
            # It is not set.
            pass

    def __call__(
        self,
        *words: str,
        stdin: bytes | IO[bytes] = b"",
        index: str | None = None,
        seconds: float | None = None,
        little_memory: bool = False,
        most: int = OUTPUT_MOST,
    ) -> bytes:
        """What a git prints of this repository; the arguments are those of `git`."""
        return git(
            self.folder,
            # The repository is named: none that lies above the folder has a say.
            f"--git-dir={REPOSITORY}",
            *words,
            stdin=stdin,
            index=index,
            objects=self.objects,
            settings=self._settings,
            seconds=seconds,
            little_memory=little_memory,
            most=most,
        )

    def take_bundle(
        self, path: str, seconds: float | None = None, little_memory: bool = False
    ) -> dict[str, str]:
        """Take a bundle's objects in, and return its refs with their objects.

        `git bundle` would ask more of what it finds around it. Whether all is there that the
        objects need is not looked at.
        """
        with open(path, "rb") as file:
            refs, begin = _read_header(file)
        with open(path, "rb", buffering=0) as pack:
            pack.seek(begin)
            words = ("index-pack", "--stdin", "--fix-thin")
            self(*words, stdin=pack, seconds=seconds, little_memory=little_memory)
        return refs


def paths_of_patch(scratch: Scratch, patch: str) -> set[bytes]:
    """The paths that a patch changes.

    Git unpacks all of it in memory, and a patch can say that it is larger than any memory. Raises
    GitError.
    """
    words = ("apply", "--numstat", "-z", patch)
    listing = scratch(*words, seconds=PATCH_SECONDS, little_memory=True, most=LISTING_MOST)
    return {entry.split(b"\t", 2)[2] for entry in listing.split(b"\0") if entry}


def _read_header(file: IO[bytes]) -> tuple[dict[str, str], int]:
    """The refs that a bundle names, and where its objects begin."""
    if file.readline(HEADER_MOST) not in SIGNATURES:
        raise GitError("it is no bundle that we know")
    refs: dict[str, str] = {}
    left = HEADER_MOST
    while left > 0:
        line = file.readline(left)
        left -= len(line)
        if line == b"\n":
            return refs, file.tell()
        if not line.endswith(b"\n"):
            break
        # What it needs of the reader's objects begins with a dash, and what it can with an @.
        if line[:1] not in (b"-", b"@"):
            object_id, _blank, name = os.fsdecode(line[:-1]).partition(" ")
            refs[name] = object_id
    raise GitError("the bundle's header has no end")
