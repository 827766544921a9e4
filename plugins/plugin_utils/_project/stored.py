# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A harvest's contents as `git add` in the user's project would have stored them.

What came from the node are files as they lie in a tree. Between those and what git stores stand the
user's filters (git-crypt, LFS), encodings, `$Id$` and ends of lines. So each content goes through
the user's own git, one at a time, and what comes out lies in a repository of ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from .attributes import FILE, Attributes, Rules
from .git import GitError, git
from .scratch import Scratch

# The mode of a file that is not there, of a submodule, and how that of a regular file begins.
NO_MODE = b"0"
SUBMODULE = b"160000"
REGULAR = b"100"
# The id of what is not there, in git's first format.
NO_ID = b"0" * 40
# How long a filter may take for one file, in seconds, and the largest file that it is given.
FILTER_SECONDS = 300.0
FILTERED_MOST = 512 << 20
# Bytes of contents that are read together.
TOGETHER_MOST = 64 << 20
# How many paths one sentence names.
NAMED_MOST = 10
# By these git tells text from all else, as its convert.c has it: bytes that no text has.
NOT_PRINTED = bytes({*range(0x20), 0x7F} - set(b"\b\t\n\r\x0c\x1b"))


class Entry(NamedTuple):
    """A file of a tree."""

    # Six octal digits, as git writes them; zeros for a file that is not there.
    mode: bytes
    # The id of its content.
    object_id: bytes
    # From the repository's top.
    path: bytes

    @property
    def is_there(self) -> bool:
        return self.mode.strip(b"0") != b""

    @property
    def is_regular(self) -> bool:
        return self.mode.startswith(REGULAR)


class Change(NamedTuple):
    """A file as the job found it and as it left it; both may be a file that is not there."""

    before: Entry
    after: Entry


class Contents:
    """Stores contents of a harvest as the user's git does. Raises GitError, OSError."""

    def __init__(
        self, project: str, scratch: Scratch, raw: Scratch, *, base: str | None, folder: str
    ) -> None:
        """scratch: takes what is stored; raw: has the contents as they came, and may be the same
        one; base: the commit that the job began from; folder: one of ours, for files.
        """
        self.attributes = Attributes(project, folder)
        self._scratch = scratch
        self._raw = raw
        self._folder = folder
        self._index = self._entries("ls-files", "-s", "-z")
        self._tree: dict[bytes, Entry] = {}
        if base is not None:
            self._tree = self._entries("ls-tree", "-r", "-z", "--full-tree", base)
        # Path -> what git does to it, and by the attributes that the job left; filled by `learn`.
        self._rules: dict[bytes, Rules] = {}
        self._rules_after: dict[bytes, Rules] = {}
        self._stored: dict[tuple[bytes, bytes], bytes] = {}
        self._plain: dict[bytes, bytes] = {}
        # Path and id of what is stored -> the hash of what that is in a tree.
        self._in_tree: dict[tuple[bytes, bytes], bytes | None] = {}
        self._settings: dict[bytes, dict[str, str]] = {}
        self._returns: set[bytes] = set()

    @property
    def no_id(self) -> bytes:
        """The id of a content that is not there."""
        return b"0" * 64 if self._scratch.format == "sha256" else NO_ID

    def _entries(self, *words: str) -> dict[bytes, Entry]:
        """The files in the index or in a tree, by path."""
        found = {}
        for line in git(self.attributes.top, *words).split(b"\0")[:-1]:
            head, _tab, path = line.partition(b"\t")
            parts = head.split(b" ")
            # The index has a stage behind the id, a tree the kind before it.
            object_id = parts[2] if parts[1] in (b"blob", b"commit", b"tree") else parts[1]
            if parts[-1] in (b"1", b"2", b"3"):
                continue
            found[path] = Entry(parts[0], object_id, path)
        return found

    @property
    def submodules(self) -> tuple[bytes, ...]:
        """Paths of the base's submodules, with a slash at their end."""
        return tuple(path + b"/" for path, entry in self._tree.items() if entry.mode == SUBMODULE)

    # -- attributes

    def learn(self, changes: Sequence[Change], more: Iterable[bytes] = ()) -> None:
        """Read the attributes of all paths that are asked for later. more: those of commits."""
        paths = {change.after.path for change in changes}.union(more)
        for path in paths:
            _check_path(path)
        self._rules = self.attributes.of(paths)
        self._rules_after = self._rules
        if any(os.path.basename(path) == FILE for path in paths):
            tree = os.path.join(self._folder, "attributes")
            self._write_attributes(tree, paths, {c.after.path: c.after for c in changes})
            self._rules_after = self.attributes.in_tree(tree, paths)
        self._find_returns(changes)

    def _write_attributes(
        self, tree: str, paths: Iterable[bytes], changed: Mapping[bytes, Entry]
    ) -> None:
        """Write the attributes that the job left into a tree that has nothing else."""
        os.makedirs(tree)
        folders = {b""}
        for path in paths:
            parts = path.split(b"/")[:-1]
            folders.update(b"/".join(parts[:most]) + b"/" for most in range(1, len(parts) + 1))
        for folder in folders:
            content = self._attributes_in(folder + FILE, changed)
            if content is not None:
                target = os.path.join(os.fsencode(tree), folder)
                os.makedirs(target, exist_ok=True)
                with open(os.path.join(target, FILE), "wb") as file:
                    file.write(content)

    def _attributes_in(self, path: bytes, changed: Mapping[bytes, Entry]) -> bytes | None:
        entry = changed.get(path)
        if entry is not None:
            return self._read_raw(entry.object_id) if entry.is_regular else None
        own = os.path.join(os.fsencode(self.attributes.top), path)
        if os.path.isfile(own) and not os.path.islink(own):
            with open(own, "rb") as file:
                return file.read()
        entry = self._index.get(path)
        if entry is None or not entry.is_regular:
            return None
        return self._read(entry.object_id)

    def rules(self, path: bytes) -> Rules:
        return self._rules.get(path, Rules())

    def has_other_rules(self, path: bytes) -> bool:
        """Whether the job changed what git does to this path, in a way that matters for it."""
        before = self._rules.get(path, Rules())
        after = self._rules_after.get(path, Rules())
        if before == after:
            return False
        same = before._replace(eol="", raw_eol="") == after._replace(eol="", raw_eol="")
        # Ends of lines are nothing to a file that has one kind of them in all its versions.
        return not same or path in self._returns

    def is_ever_filtered(self, path: bytes) -> bool:
        """Whether a filter is at work there, before or after the job."""
        rules = (self.rules(path), self._rules_after.get(path, Rules()))
        return any(each.filter for each in rules)

    def _find_returns(self, changes: Sequence[Change]) -> None:
        """Find the paths that have a carriage return, where attributes care for it."""
        wanted: dict[bytes, set[bytes]] = {}
        for change in changes:
            path = change.after.path
            rules = (self.rules(path), self._rules_after.get(path, Rules()))
            if not any(each.eol or each.raw_eol != rules[0].raw_eol for each in rules):
                continue
            for entry in change:
                if entry.is_regular:
                    wanted.setdefault(entry.object_id, set()).add(path)
        for object_id, content in self._read_many(wanted):
            if b"\r" in content:
                self._returns |= wanted[object_id]

    # -- contents

    def _read(self, object_id: bytes) -> bytes:
        return self._scratch("cat-file", "blob", object_id.decode())

    def _read_raw(self, object_id: bytes) -> bytes:
        return self._raw("cat-file", "blob", object_id.decode())

    def _read_many(self, ids: Iterable[bytes]) -> Iterable[tuple[bytes, bytes]]:
        """Contents as they came, read in lots; of what is too large, a carriage return for all."""
        names = sorted(ids)
        check = "--batch-check=%(objectname) %(objectsize)"
        listing = self._raw("cat-file", check, stdin=b"".join(name + b"\n" for name in names))
        lot: list[bytes] = []
        size = 0
        for line in listing.splitlines():
            name, _blank, count = line.partition(b" ")
            if not count.isdigit():
                continue
            if int(count) > TOGETHER_MOST:
                yield name, b"\r"
                continue
            if size + int(count) > TOGETHER_MOST:
                yield from self._read_lot(lot)
                lot, size = [], 0
            lot.append(name)
            size += int(count)
        yield from self._read_lot(lot)

    def _read_lot(self, names: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
        if not names:
            return
        given = b"".join(name + b"\n" for name in names)
        out = self._raw("cat-file", "--batch=%(objectsize)", stdin=given)
        at = 0
        for name in names:
            end = out.index(b"\n", at)
            size = int(out[at:end])
            yield name, out[end + 1 : end + 1 + size]
            at = end + size + 2

    def plain(self, object_id: bytes) -> bytes:
        """The id of a content as it came, among what is stored here."""
        if self._raw is self._scratch:
            return object_id
        if object_id not in self._plain:
            words = ("hash-object", "-w", "--no-filters", "--stdin")
            self._plain[object_id] = self._scratch(*words, stdin=self._read_raw(object_id)).strip()
        return self._plain[object_id]

    def entry(self, entry: Entry) -> Entry:
        """A file of the harvest as git would have stored it."""
        if not entry.is_there:
            return Entry(entry.mode, self.no_id, entry.path)
        if entry.mode == SUBMODULE:
            return entry
        return entry._replace(object_id=self._store_raw(entry))

    def change(self, change: Change) -> Change:
        """The same of both sides, with modes as they count here."""
        before = self.entry(change.before)
        after = self.entry(change.after)
        kept = self._index.get(change.after.path) or self._tree.get(change.after.path)
        if self.attributes.has_modes or kept is None or not kept.is_regular:
            return Change(before, after)
        # A file system without modes shows all files alike; what the index says holds.
        if before.is_regular and after.mode == before.mode:
            after = after._replace(mode=kept.mode)
        if before.is_regular:
            before = before._replace(mode=kept.mode)
        return Change(before, after)

    def _store_raw(self, entry: Entry) -> bytes:
        rules = self.rules(entry.path)
        if rules.is_plain or not entry.is_regular:
            return self.plain(entry.object_id)
        if not rules.is_opaque and not rules.ident and entry.path not in self._returns:
            return self.plain(entry.object_id)
        key = (entry.path, entry.object_id)
        if key not in self._stored:
            content = self._read_raw(entry.object_id)
            self._stored[key] = self.store(entry.path, content)
        return self._stored[key]

    def store(self, path: bytes, content: bytes) -> bytes:
        """The id of what git would store of a content at this path.

        What is stored there already counts if it gives this very content: filters with a key may
        give another result each time.
        """
        rules = self.rules(path)
        known = self._known(path)
        if rules.is_opaque:
            for object_id in known:
                if self._hash_in_tree(path, object_id) == _hash(content):
                    return object_id
        if rules.eol == "auto" and not rules.is_opaque and self._keeps_returns(path):
            words = ("hash-object", "-w", "--no-filters", "--stdin")
            return self._scratch(*words, stdin=content).strip()
        cleaned = self.clean(path, content)
        if cleaned not in known and not rules.is_opaque:
            for object_id in known:
                if self._hash_in_tree(path, object_id) == _hash(content):
                    return object_id
        return cleaned

    def store_again(self, entry: Entry) -> bytes:
        """The id of what git would store of what the agent's git has stored.

        For ends of lines and `$Id$` it is the same, if that was right.
        """
        content = self._read(entry.object_id)
        if b"\r" not in content and not self.rules(entry.path).ident:
            return entry.object_id
        return self.store(entry.path, content)

    def _known(self, path: bytes) -> list[bytes]:
        """What the user's index and the commit that the job began from have at this path."""
        entries = (self._index.get(path), self._tree.get(path))
        ids = [entry.object_id for entry in entries if entry is not None and entry.is_regular]
        return list(dict.fromkeys(ids))

    def known(self, path: bytes) -> list[bytes]:
        """The ids of what is stored at this path, or would be of what came."""
        ours = [stored for (name, _raw), stored in self._stored.items() if name == path]
        return [*self._known(path), *ours]

    def _keeps_returns(self, path: bytes) -> bool:
        """Whether git leaves ends of lines alone because the index has a text with CRLF there."""
        entry = self._index.get(path)
        if entry is None or not entry.is_regular:
            return False
        content = self._read(entry.object_id)
        return b"\r\n" in content and not _looks_binary(content)

    def clean(self, path: bytes, content: bytes) -> bytes:
        """The id of what the user's own git makes of it. A filter that fails is an error."""
        if len(content) > FILTERED_MOST:
            name = path.decode("utf-8", "backslashreplace")
            raise GitError(f"{name} is larger than {FILTERED_MOST >> 20} MiB, too large to filter")
        rules = self.rules(path)
        # What can't be taken back is not refused: so it is with a warning.
        settings = {"core.safecrlf": "false", **self._settings_for(path)}
        if rules.filter:
            settings[f"filter.{rules.filter}.required"] = "true"
        words = ("hash-object", "-w", "--stdin", "--path=" + os.fsdecode(path))
        try:
            return self._ask(*words, stdin=content, settings=settings).strip()
        except GitError as exc:
            name = path.decode("utf-8", "backslashreplace")
            raise GitError(f"git can't store {name} as git add would: {exc}") from None

    def raw_ids_of_filtered(self, sizes: Collection[int]) -> set[bytes]:
        """The ids, as a node gives them, of filtered files of these sizes as they lie here."""
        files = {}
        for path, entry in self._index.items():
            if entry.is_regular:
                with contextlib.suppress(OSError):
                    info = os.lstat(os.path.join(os.fsencode(self.attributes.top), path))
                    if stat.S_ISREG(info.st_mode) and info.st_size in sizes:
                        files[path] = info.st_size
        rules = self.attributes.of(files)
        ids = set()
        for path, size in files.items():
            if rules[path].filter and size <= FILTERED_MOST:
                with contextlib.suppress(OSError):
                    ids.add(_raw_id(os.path.join(os.fsencode(self.attributes.top), path)))
        return ids

    def is_steady(self, entry: Entry) -> bool:
        """Whether what came is cleaned to what counts as stored of it."""
        return self.clean(entry.path, self._read_raw(entry.object_id)) == self._store_raw(entry)

    def _hash_in_tree(self, path: bytes, object_id: bytes) -> bytes | None:
        """The hash of what the user's git writes into a tree of it; None if it can't."""
        key = (path, object_id)
        if key not in self._in_tree:
            words = ("cat-file", "--filters", "--path=" + os.fsdecode(path), object_id.decode())
            try:
                content = self._ask(*words, settings=self._settings_for(path))
            except GitError:
                self._in_tree[key] = None
            else:
                self._in_tree[key] = _hash(content)
        return self._in_tree[key]

    def _ask(
        self, *words: str, stdin: bytes = b"", settings: Mapping[str, str] | None = None
    ) -> bytes:
        """The user's own git, whose filters run, on the objects of ours."""
        return git(
            self.attributes.top,
            *words,
            stdin=stdin,
            objects=self._scratch.objects,
            settings=settings,
            seconds=FILTER_SECONDS,
            with_filters=True,
        )

    def _settings_for(self, path: bytes) -> dict[str, str]:
        """Settings by which a command that reads no index sees the attributes that count.

        They are needed where .gitattributes is in the index alone, as in a sparse work tree.
        Raises GitError where that can't be.
        """
        if path not in self._settings:
            self._settings[path] = self._make_settings(path)
        return self._settings[path]

    def _make_settings(self, path: bytes) -> dict[str, str]:
        rules = self.rules(path)
        if self.attributes.without_index(path) == rules:
            return {}
        words = [f"filter={rules.filter}" if rules.filter else "-filter"]
        words.append(
            f"working-tree-encoding={rules.encoding}"
            if rules.encoding
            else "-working-tree-encoding"
        )
        words.append("ident" if rules.ident else "-ident")
        for name, value in zip(("text", "crlf", "eol"), rules.raw_eol.split(" "), strict=True):
            plain = {"set": name, "unset": f"-{name}", "unspecified": f"!{name}"}
            words.append(plain.get(value, f"{name}={value}"))
        file = os.path.join(self._folder, f"attributes-{len(self._settings)}")
        with open(file, "wb") as stream:
            stream.write(_as_pattern(path) + b" " + os.fsencode(" ".join(words)) + b"\n")
        settings = {"core.attributesFile": file}
        if self.attributes.without_index(path, settings) != rules:
            name = path.decode("utf-8", "backslashreplace")
            raise GitError(f"the attributes of {name} are in the index alone: check them out")
        return settings


def _raw_id(path: bytes) -> bytes:
    """The id that a node's git gives a file's content."""
    with open(path, "rb") as file:
        content = file.read()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest().encode()


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _as_pattern(path: bytes) -> bytes:
    """A pattern of attributes for just this path."""
    escaped = b"".join(
        b"\\" + bytes([byte]) if byte in b"\\*?[" else bytes([byte]) for byte in path
    )
    quoted = escaped.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"/' + quoted + b'"'


def _check_path(path: bytes) -> None:
    """Nothing that came from a node leads elsewhere."""
    parts = path.split(b"/")
    if not path or any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts):
        raise GitError(f"{path.decode('utf-8', 'backslashreplace')} is no path of a repository")


def _looks_binary(content: bytes) -> bool:
    """Whether git takes it for no text."""
    if b"\0" in content or content.count(b"\r") != content.count(b"\r\n"):
        return True
    body = content.removesuffix(b"\x1a")
    odd = len(body) - len(body.translate(None, NOT_PRINTED))
    ends = body.count(b"\n") + body.count(b"\r\n")
    return (len(body) - ends - odd) >> 7 < odd


def some_paths(paths: Iterable[bytes]) -> str:
    """Paths for people, the first ones of many."""
    names = [path.decode("utf-8", "backslashreplace") for path in sorted(set(paths))]
    more = len(names) - NAMED_MOST
    return ", ".join(names[:NAMED_MOST]) + (f" and {more} more" if more > 0 else "")
