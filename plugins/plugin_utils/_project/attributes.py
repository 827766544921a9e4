# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What git would do to the content of a path when somebody adds it in the user's project.

Attributes are those of the user's own tree. What a job made of them is looked at too, but only to
see for which paths it differs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .git import GitError, Project, ProjectError, git, in_git, project_at
from .settings import Settings, read_settings

# The attributes that change what git stores of a file.
NAMES = ("text", "crlf", "eol", "filter", "ident", "working-tree-encoding")
# What `check-attr` says of an attribute that has no value of its own.
UNSPECIFIED = b"unspecified"
UNSET = b"unset"
SET = b"set"
NO_VALUE = frozenset({UNSPECIFIED, UNSET, SET})
# The file that attributes stand in, and the setting that names another one of the user's.
FILE = b".gitattributes"
USERS_FILE = "core.attributesfile"
# Encodings in which git stores text as it is.
PLAIN_ENCODINGS = frozenset({b"utf-8", b"utf8"})
# The name of an index that is not there, in a folder of ours.
NO_INDEX = "no-index"
# Words of attributes for which the contents of changed files have to come, because a patch of what
# lies in the tree does not fit what git stores. For ends of lines it does.
WORDS = re.compile(rb"\b(filter|working-tree-encoding)=|\bident\b")


class Rules(NamedTuple):
    """What git does to the content of one path."""

    # The name of the user's filter that cleans it, and of the encoding that it has here; blank if
    # there is none.
    filter: str = ""
    encoding: str = ""
    # What becomes of its ends of lines: nothing if blank, `text`, or `auto` for what looks like
    # text.
    eol: str = ""
    # How they are set: what a change of the job is compared with.
    raw_eol: str = ""
    # Whether $Id$ is taken for a keyword.
    ident: bool = False

    @property
    def is_opaque(self) -> bool:
        """Whether nobody can tell by looking whether a content is stored or not yet."""
        return bool(self.filter or self.encoding)

    @property
    def is_plain(self) -> bool:
        """Whether git stores it as it is."""
        return not (self.filter or self.encoding or self.eol or self.ident)


class Attributes:
    """Reads them in the user's project. Raises GitError."""

    def __init__(self, project: str, scratch: str) -> None:
        """scratch: a folder of ours."""
        lines = git(project, "rev-parse", "--show-toplevel", "--absolute-git-dir")
        self.top, self.git_dir, *_more = os.fsdecode(lines).split("\n")
        self._scratch = scratch
        self.drivers = self._read_drivers()
        self._autocrlf = self._setting("core.autocrlf").lower()
        # Whether modes of files count here.
        self.has_modes = self._setting("core.fileMode").lower() not in ("false", "no", "off", "0")

    def _setting(self, name: str) -> str:
        """A setting of the project; blank if it has none."""
        try:
            return os.fsdecode(git(self.top, "config", "--get", name)).strip()
        except GitError:
            return ""

    def _read_drivers(self) -> set[str]:
        """The names of the filters that clean something."""
        try:
            words = ("config", "-z", "--get-regexp", r"^filter\..*\.(clean|process)$")
            listing = git(self.top, *words)
        except GitError:
            # There is none.
            return set()
        drivers = set()
        for entry in listing.split(b"\0")[:-1]:
            key, _newline, command = os.fsdecode(entry).partition("\n")
            if command.strip():
                drivers.add(key.partition(".")[2].rpartition(".")[0])
        return drivers

    def of(self, paths: Iterable[bytes]) -> dict[bytes, Rules]:
        """Path, from the repository's top -> what git does to it."""
        return self._read(self.top, (), paths)

    def without_index(self, path: bytes, settings: Mapping[str, str] | None = None) -> Rules:
        """The same as commands see it that read no index, as `hash-object`."""
        index = os.path.join(self._scratch, NO_INDEX)
        return self._read(self.top, (), [path], index=index, settings=settings)[path]

    def in_tree(self, tree: str, paths: Iterable[bytes]) -> dict[bytes, Rules]:
        """The same by the attributes of another tree, and the rest of the project's settings."""
        index = os.path.join(self._scratch, NO_INDEX)
        options = (f"--git-dir={self.git_dir}", f"--work-tree={tree}")
        return self._read(tree, options, paths, index=index)

    def _read(
        self,
        folder: str,
        options: tuple[str, ...],
        paths: Iterable[bytes],
        *,
        index: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> dict[bytes, Rules]:
        names = sorted(set(paths))
        if not names:
            return {}
        given = b"".join(name + b"\0" for name in names)
        words = (*options, "check-attr", "--stdin", "-z", *NAMES)
        listing = git(folder, *words, stdin=given, index=index, settings=settings)
        fields = listing.split(b"\0")[:-1]
        values: dict[bytes, dict[str, bytes]] = {name: {} for name in names}
        for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
            values[path][name.decode()] = value
        return {path: self._rules(each) for path, each in values.items()}

    def _rules(self, values: Mapping[str, bytes]) -> Rules:
        driver = ""
        if values["filter"] not in NO_VALUE:
            driver = os.fsdecode(values["filter"])
        encoding = ""
        coded = values["working-tree-encoding"]
        if coded not in NO_VALUE and coded.lower() not in PLAIN_ENCODINGS:
            encoding = os.fsdecode(coded)
        return Rules(
            filter=driver if driver in self.drivers else "",
            encoding=encoding,
            eol=self._eol(values),
            raw_eol=os.fsdecode(b" ".join(values[name] for name in ("text", "crlf", "eol"))),
            ident=values["ident"] == SET,
        )

    def _eol(self, values: Mapping[str, bytes]) -> str:
        """What becomes of ends of lines, in git's own order of what counts."""
        text = values["text"]
        if text == UNSPECIFIED:
            text = values["crlf"]
        if text == UNSET:
            return ""
        if text == b"auto":
            return "auto"
        if text != UNSPECIFIED or values["eol"] in (b"lf", b"crlf"):
            return "text"
        return "auto" if self._autocrlf in ("true", "yes", "on", "1", "input") else ""


@dataclass(frozen=True)
class AttributeFiles:
    """Where the attributes of a project may stand, as git said when it was asked."""

    files: tuple[bytes, ...] = ()
    # Whether the patch has to be made of contents whatever stands in them.
    always: bool = False

    def ask_for_contents(self) -> bool:
        """Whether a patch of the project has to be made of contents, at home.

        That is where a filter, an encoding or `$Id$` stands between the tree and what git stores,
        and where git has another format of objects. No file of the tree is looked at but those of
        attributes, so this may say yes for nothing.
        """
        return self.always or any(WORDS.search(_content_of(file)) for file in self.files)


def attribute_files(project: Project, settings: Settings) -> AttributeFiles:
    """Those of a project at the top of its repository. settings: the repository's.

    Git is not asked again. What an attribute file of the index says that is not in the tree is not
    read: it might ask for contents.
    """
    top = os.fsencode(project.path)
    names = [name for name in (*project.listed, *project.ignored) if _is_attribute_file(name)]
    files = [os.path.join(top, name) for name in names]
    is_gone = not all(os.path.lexists(file) for file in files)

    repositories = [folder for folder, _path in project.parts] or [f"{project.path}/.git"]
    files += [os.fsencode(os.path.join(each, "info", "attributes")) for each in repositories]
    files += map(os.fsencode, _attributes_of_the_user(settings.effective.get(USERS_FILE)))
    is_other = settings.effective.get("extensions.objectformat", "sha1").lower() != "sha1"
    return AttributeFiles(tuple(files), always=is_other or is_gone)


def attribute_files_around(folder: str) -> AttributeFiles:
    """Those of the repository that this folder is in; none if it is in none. Raises nothing."""
    try:
        if not in_git(folder):
            return AttributeFiles()
        top = os.fsdecode(git(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n"))
        return attribute_files(project_at(top), read_settings(top))
    except (GitError, ProjectError):
        # The patch comes as it is.
        return AttributeFiles()


def _is_attribute_file(name: bytes) -> bool:
    return name.rpartition(b"/")[2] == FILE


def _content_of(file: bytes) -> bytes:
    """What stands in a regular file; nothing if it can't be read."""
    try:
        if os.path.isfile(file):
            with open(file, "rb") as stream:
                return stream.read()
    except OSError:
        pass
    return b""


def _attributes_of_the_user(setting: str | None) -> list[str]:
    """Files of attributes outside of the project. setting: core.attributesFile, if it is set."""
    if setting is None:
        config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        setting = os.path.join(config, "git", "attributes")
    return [os.path.expanduser(setting), "/etc/gitattributes"]
