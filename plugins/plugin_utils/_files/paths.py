# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this user's files are on the controller, how one is written whole, and what may be a name.

The node program, the first script of a link, the probe and the role `local_fleet` run where this
file is not, so each of them says again where the state lives: a test compares them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from .._errors import BadValue

# What the folder of the collection is called in each of the homes.
FOLDER = "distributed-gummy"

# A name that may become a folder or a part of a file's name: of a job, a run, an account.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# The rights of a file before the user's umask, and those of one that is for this user alone.
USUAL = 0o666
PRIVATE = 0o600

# What others may do with a folder, in the bits of its mode.
OTHERS_MAY_ANYTHING = 0o077


def config_home() -> str:
    """Where the user's config file is."""
    return _home("XDG_CONFIG_HOME", "~/.config")


def state_home() -> str:
    """Where the controller keeps its runs, and what must not be lost."""
    return _home("XDG_STATE_HOME", "~/.local/state")


def cache_home() -> str:
    """Where files are that may be deleted at any time."""
    return _home("XDG_CACHE_HOME", "~/.cache")


def _home(variable: str, default: str) -> str:
    """Our folder in the home that the variable names, else in the default one."""
    base = os.environ.get(variable, "")
    # XDG says that a relative path in its variables does not count.
    if not os.path.isabs(base):
        base = os.path.expanduser(default)
    return os.path.join(base, FOLDER)


def path_of(folder: str, *names: str, before: str = "") -> str:
    """A path below the folder, of components each of which is a name and nothing else.

    before: what we put before the last one. It is the last check of names that others made up:
    whatever was read of them before, none leads out of the folder. Raises BadValue.
    """
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BadValue(f"{str(name)[:80]!r} is no name that a folder may have")
    *above, last = names
    return os.path.join(folder, *above, before + last)


def private_folder(path: str) -> str:
    """Make a folder for this user alone, with those above it, and give it back.

    One that others may look into is closed to them. Raises BadValue for a folder that is another
    user's, or a link that is: what lies there is theirs to change.
    """
    os.makedirs(path, mode=0o700, exist_ok=True)
    # The user may have put the folder elsewhere by a link; then it counts what the link leads to.
    info = os.stat(path)
    owners = {info.st_uid, os.lstat(path).st_uid}
    if not stat.S_ISDIR(info.st_mode) or owners != {os.geteuid()}:
        raise BadValue(
            f"{path} belongs to another user, who could change what is kept there: "
            "move it away, or set XDG_STATE_HOME to a folder of your own"
        )
    if info.st_mode & OTHERS_MAY_ANYTHING:
        os.chmod(path, 0o700)
    return path


def write_whole(path: str, content: bytes, mode: int = USUAL) -> None:
    """Write a file so that a reader sees all of the content, or what was there before.

    mode: the rights of the file, before the umask. Raises OSError, and leaves nothing behind then.
    """
    with _temporary(path, content, mode) as temporary:
        os.replace(temporary, path)


def write_once(path: str, content: bytes, mode: int = USUAL) -> None:
    """Write a file whole unless there is one: the first of several writers wins.

    mode: as for `write_whole`. Raises OSError.
    """
    with (
        _temporary(path, content, mode) as temporary,
        contextlib.suppress(FileExistsError),
    ):
        os.link(temporary, path)


def write_json(path: str, document: Mapping[str, Any]) -> None:
    """Write a JSON document for people and programs to read, whole or not at all."""
    write_whole(path, encode_json(document))


def encode_json(document: Mapping[str, Any]) -> bytes:
    """The document as the text of a file."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    # A path that is not UTF-8 becomes JSON's \udcxx.
    return text.encode("utf-8", errors="backslashreplace")


@contextlib.contextmanager
def _temporary(path: str, content: bytes, mode: int) -> Iterator[str]:
    """A file with the content beside the path, so that a rename can put it there.

    Nobody can guess its name, and what lies there already, be it a link, is never opened.
    """
    temporary = f"{path}.{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
