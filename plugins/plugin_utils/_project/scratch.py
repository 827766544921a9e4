# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of our own, in which git works on what came from a node or lies in a project.

So the settings of that project have no say. Only who asks for its refs, or writes one, asks the
project's own repository. What came from a node stays in here, but for the objects that are handed
over: so no content gets into the user's repository that nothing there names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
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
    """A bare repository in a folder of ours, with objects of its own.

    Raises GitError, OSError.
    """

    def __init__(self, folder: str, project: str | None = None) -> None:
        """project: its objects are read here too, and none of its settings count."""
        self.folder = folder
        self._indexes = 0
        # Where the objects lie, and where those of the project do.
        self.objects = os.path.join(folder, REPOSITORY, "objects")
        self.borrowed: str | None = None
        # What of the project's settings has to hold for files that are written there.
        self._settings: dict[str, str] = {}
        # Whatever the user's own settings make the usual format.
        self.format = "sha1"
        if project is not None:
            words = ("rev-parse", "--show-object-format")
            self.format = os.fsdecode(git(project, *words)).strip()
        usual = {"init.defaultObjectFormat": "sha1"}
        kind = [f"--object-format={self.format}"] if self.format != "sha1" else []
        git(folder, "init", "-q", "--bare", "--template=", *kind, REPOSITORY, settings=usual)
        if project is not None:
            self._borrow(project)

    def _borrow(self, project: str) -> None:
        lines = git(project, "rev-parse", "--git-path", "objects", "--git-path", "shallow")
        objects, shallow, *_more = os.fsdecode(lines).split("\n")
        self.borrowed = os.path.realpath(os.path.join(project, objects))
        # Git reads a name in quotes as one of C, so that it may hold anything.
        quoted = self.borrowed.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        os.makedirs(os.path.join(self.objects, "info"), exist_ok=True)
        with open(os.path.join(self.objects, "info", "alternates"), "wb") as file:
            file.write(b'"%s"\n' % os.fsencode(quoted))
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
            seconds=seconds,
            little_memory=little_memory,
            most=most,
        )

    def new_index(self) -> str:
        """The path of an index that is not there yet, and that nobody else gets."""
        self._indexes += 1
        return os.path.join(self.folder, f"index-{self._indexes}")

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

    def hand_over(self, tip: str, known: Iterable[str], few: bool, seconds: float) -> None:
        """Give the project what this commit needs and it has not got.

        known: commits that it has; few: whether the objects are stored one by one; else they are
        kept as a pack.
        """
        given = "".join([f"{tip}\n", *(f"^{commit}\n" for commit in known)])
        # A partial clone's own holes are none.
        words = ("pack-objects", "-q", "--revs", "--local", "--missing=allow-any", "new")
        name = os.fsdecode(self(*words, stdin=given.encode(), seconds=seconds)).strip()
        unpack = ("unpack-objects", "-q") if few else ("index-pack", "--stdin")
        with open(os.path.join(self.folder, f"new-{name}.pack"), "rb") as pack:
            git(
                self.folder,
                f"--git-dir={REPOSITORY}",
                *unpack,
                stdin=pack,
                objects=self.borrowed,
                settings=self._settings,
                seconds=seconds,
            )


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
