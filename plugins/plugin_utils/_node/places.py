# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this node's programs are found: where a person finds them who logs in and types.

What an interactive shell alone sets (nvm, mise, conda, Homebrew) counts, and so do the folders into
which installers put things. Such a shell may hang, print, or start programs that stay, so it is
asked once, and again when its start-up files have changed.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import time

from . import processes
from .store import TYPE_CHECKING, read_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .store import Store

# Folders into which installers put programs, of which those that are there are looked into. The
# probe has the same list, and a test compares the two.
USUAL = (
    "~/.local/bin",
    "~/bin",
    "~/.claude/local",
    "~/.npm-global/bin",
    "~/.bun/bin",
    "~/.deno/bin",
    "~/.volta/bin",
    "~/.cargo/bin",
    "~/.asdf/shims",
    "~/.local/share/mise/shims",
    "~/.nix-profile/bin",
    "~/.linuxbrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/opt/homebrew/bin",
    "/opt/local/bin",
    "/usr/local/bin",
    "/nix/var/nix/profiles/default/bin",
    "/run/current-system/sw/bin",
    "/snap/bin",
    "/usr/bin",
    "/bin",
)
# Where a program may lie that nobody finds who types its name: this is told, and not used.
ELSEWHERE = (
    "~/.nvm/versions/node/*/bin",
    "~/.asdf/installs/*/*/bin",
    "~/.local/share/mise/installs/*/*/bin",
    "~/.local/share/fnm/node-versions/*/installation/bin",
    "~/*conda3/bin",
    "~/*",
    "~/*/bin",
    "~/.*/bin",
    "/opt/*/bin",
    "/usr/local/*/bin",
)
# Files and folders that change when a person changes what a shell's PATH will be.
START_UP = (
    "~/.profile",
    "~/.bash_profile",
    "~/.bash_login",
    "~/.bashrc",
    "~/.bash_aliases",
    "~/.zshenv",
    "~/.zprofile",
    "~/.zshrc",
    "~/.zlogin",
    "~/.cshrc",
    "~/.tcshrc",
    "~/.config/fish/config.fish",
    "~/.config/fish/fish_variables",
    "~/.config/fish/conf.d",
    "~/.config/mise/config.toml",
    "~/.nvm/alias/default",
    "~/.nvm/versions/node",
    "~/.tool-versions",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/zsh/zshrc",
    "/etc/environment",
)
# The file in the store that remembers what the interactive shell said.
FILE = "shell.json"
# Seconds that an interactive shell may take, and a login shell, which an agent may depend on.
INTERACTIVE = 3.0
LOGIN = 10.0
# Seconds after which a shell that said nothing is asked again, though nothing has changed.
SILENT_MEMORY = 600.0
# Bytes that a shell may print, and characters of a PATH.
OUTPUT_MOST = 256 * 1024
PATH_MOST = 32 * 1024
# Prints PATH between two record separators, in every shell.
ASKS = 'printf "\\036%s\\036" "$PATH"'


def search_path(store: Store, patience: float = LOGIN, silent: list[str] | None = None) -> str:
    """The PATH with which programs are looked for and run here.

    First that of a shell that is typed into, then those of a login shell, of this session and of
    the usual folders. patience: for the login shell, in seconds; silent: gets the shells that did
    not tell theirs, for people.
    """
    login = ask_shell("-lc", patience)
    session = os.environ.get("PATH", os.defpath)
    typed = _typed_path(store, login or session)
    if silent is not None:
        silent += [name for name, path in (("login", login), ("interactive", typed)) if not path]
    parts = [typed or "", login or "", session]
    folders = [folder for part in parts for folder in part.split(":")]
    folders += [folder for folder in map(os.path.expanduser, USUAL) if os.path.isdir(folder)]
    return ":".join(_absolute(folders))


def _absolute(folders: Iterable[str]) -> list[str]:
    """Each folder once; one that is relative would be another in each workspace."""
    return list(dict.fromkeys(folder for folder in folders if folder.startswith("/")))


def find_for_us(store: Store, *programs: str) -> None:
    """Let this process find these programs too, where the session's PATH has not got them."""
    if any(shutil.which(program) is None for program in programs):
        os.environ["PATH"] = search_path(store)


def why_not_found(programs: Sequence[str], path: str, silent: Sequence[str] = ()) -> str:
    """A sentence on programs that this PATH has not got: where was looked, and where they lie.

    silent: as `search_path` gives it.
    """
    verb, pronoun = ("is", "it") if len(programs) == 1 else ("are", "them")
    text = "%s %s not found on this node" % (" and ".join(programs), verb)
    lying = [place for program in programs for place in _lies_in(program, path)]
    if lying:
        folders = " and ".join(dict.fromkeys(os.path.dirname(place) for place in lying))
        return "%s, though there is %s: put %s on the PATH of the login shell there" % (
            text,
            " and ".join(lying),
            folders,
        )
    unheard = "".join("; its %s shell did not tell its PATH" % name for name in silent)
    return (
        "%s: install %s there (looked on the PATH of its login shell, on that of its interactive"
        " shell, and in folders such as ~/.local/bin%s)" % (text, pronoun, unheard)
    )


def _lies_in(program: str, path: str) -> list[str]:
    """The first place where it lies and is not found, perhaps because nobody may run it."""
    patterns = [*path.split(":"), *map(os.path.expanduser, ELSEWHERE)]
    for pattern in patterns:
        for folder in sorted(glob.glob(pattern), reverse=True):
            place = os.path.join(folder, program)
            if not os.path.isfile(place):
                continue
            if folder in path.split(":"):
                return ["%s, which this login may not run" % place]
            return [place]
    return []


# -- what shells say


def _typed_path(store: Store, start: str) -> str | None:
    """PATH as a shell makes it that is typed into; None: it does not tell.

    start: the PATH that it begins with.
    """
    file = os.path.join(store.root, FILE)
    asked_of = _fingerprint(start)
    row = read_json(file) or {}
    path = row.get("path")
    if row.get("asked_of") == asked_of and isinstance(path, str):
        return path
    if (
        row.get("asked_of") == asked_of
        and 0 <= time.time() - float(row.get("at", 0)) < SILENT_MEMORY
    ):
        return None

    path = ask_shell("-ic", INTERACTIVE, start)
    with contextlib.suppress(OSError):
        row = {"asked_of": asked_of, "path": path, "at": time.time()}
        write_whole(file, json.dumps(row).encode())
    return path


def _fingerprint(start: str) -> list[object]:
    """What changes when the shell's answer may have changed."""
    marks: list[object] = [_shell(), os.path.expanduser("~"), start]
    for path in map(os.path.expanduser, START_UP):
        try:
            info = os.stat(path)
            marks.append([info.st_mtime_ns, info.st_size, info.st_ino])
        except OSError:
            marks.append(None)
    return marks


def _shell() -> str:
    return os.environ.get("SHELL") or pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"


def ask_shell(flags: str, seconds: float, start: str | None = None) -> str | None:
    """PATH as the user's shell tells it, called with these flags in the home; None: it doesn't.

    It gets no stdin and no terminal, and what it leaves running is ended. start: the PATH that it
    begins with; None: ours.
    """
    shell = _shell()
    if os.path.basename(shell) in ("csh", "tcsh"):
        # These know no flag of a login shell beside others.
        flags = flags.replace("l", "")
    home = os.path.expanduser("~")
    marker = "shell-%s" % os.urandom(8).hex()
    environment = dict(
        os.environ,
        PATH=start or os.environ.get("PATH", os.defpath),
        HISTFILE=os.devnull,
        TERM="dumb",
        DISABLE_AUTO_UPDATE="true",
        **{processes.MARKER: marker},
    )
    try:
        process = subprocess.Popen(
            [shell, flags, ASKS],
            cwd=home if os.path.isdir(home) else "/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        listing = _read(process, seconds)
    finally:
        _end(process, marker)

    # Between the last two record separators.
    parts = listing.decode("utf-8", "surrogateescape").split("\x1e")
    path = parts[-2] if len(parts) >= 3 else ""
    return path if path and len(path) <= PATH_MOST and "\n" not in path else None


def _read(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """What it prints, until it has told its PATH, ends, says too much or takes too long."""
    if process.stdout is None:
        raise TypeError("its stdout is no pipe")
    descriptor = process.stdout.fileno()
    until = time.monotonic() + seconds
    listing = b""
    while listing.count(b"\x1e") < 2 and len(listing) < OUTPUT_MOST:
        left = until - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            break
        chunk = os.read(descriptor, 65536)
        if not chunk:
            break
        listing += chunk
    return listing


def _end(process: subprocess.Popen[bytes], marker: str) -> None:
    """End the shell, and whatever its start-up files have started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    for _time in range(5):
        pids = processes.living(marker)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
