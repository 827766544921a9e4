# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has that the fleet needs: programs, ports, accounts, keys, and whole files."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess

# Which package brings a program, as Debian names it.
PACKAGES = {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}


class FleetError(Exception):
    """One sentence for people: what is wrong and what to do."""


def read(path: str) -> str:
    """Return the text of a file; bytes that are no UTF-8 survive until it is written again."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def write_whole(path: str, text: str, mode: int = 0o644) -> None:
    """Write a file at once or not at all: who reads it finds the old text or the new one."""
    with open(f"{path}.new", "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def last_line(text: str) -> str:
    """Return the last line that is not blank, which is where programs put the reason."""
    for line in reversed(text.splitlines()):
        if line.strip():
            return line.strip()
    return "no reason given"


def find_program(name: str) -> str:
    """Return the path of a program, also where only root looks for it.

    Raises FleetError with the package that brings it if it is missing.
    """
    folders = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    path = shutil.which(name, path=folders)
    if not path:
        package = PACKAGES[name]
        raise FleetError(
            f"{name} is missing: install {package} "
            f"(Debian, Ubuntu: apt-get install {package}; macOS has it), then try again"
        )

    # sshd starts itself anew for each login, and wants its absolute path for that.
    if name == "sshd":
        return os.path.realpath(path)
    return path


def free_port() -> int:
    """Return a loopback port that nobody listens on, which may change before we do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(address: str, port: int) -> bool:
    """Is there somebody who takes connections?"""
    with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


def make_key(path: str, comment: str) -> str:
    """Make a key pair unless there is a whole one; return its public line."""
    if not (os.path.exists(path) and os.path.exists(f"{path}.pub")):
        for part in (path, f"{path}.pub"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
        keygen = find_program("ssh-keygen")
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True)

    return read(f"{path}.pub").strip()


def login_name() -> str:
    """Return whom ssh reaches without namespaces: ourselves.

    Raises FleetError if sshd would not let us in.
    """
    try:
        account = pwd.getpwuid(os.geteuid())
    except KeyError:
        raise FleetError(
            f"user id {os.geteuid()} has no row in /etc/passwd, so ssh can't log in as it: "
            "be a user that has one"
        ) from None
    if os.path.basename(account.pw_shell) in ("nologin", "false"):
        raise FleetError(
            f"the login shell of {account.pw_name} is {account.pw_shell}, "
            "so ssh can't run commands as it: be a user with a usual shell"
        )
    return account.pw_name


def is_locked(user: str) -> bool:
    """Is the account locked, as far as we may see that?"""
    with contextlib.suppress(OSError):
        return any(row.startswith(f"{user}:!") for row in read("/etc/shadow").splitlines())
    return False
