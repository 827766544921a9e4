# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping this node from sleeping while it runs a job, and a job from ending with a logout.

A machine is kept awake as far as its system grants that to a user: nobody is asked for a password,
and that nothing is granted is no failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess

from .store import TYPE_CHECKING, Refusal, boot_id, read_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .store import Store

# What is held, by its name for people -> the command that holds it while another one runs. Of those
# that the system has, the first that it grants is kept.
HOLDERS = (
    ("sleep", ("caffeinate", "-i")),
    (
        "sleep:idle",
        (
            "systemd-inhibit",
            "--what=sleep:idle",
            "--who=distributed.gummy",
            "--why=a job runs",
            "--mode=block",
        ),
    ),
    (
        "idle",
        (
            "systemd-inhibit",
            "--what=idle",
            "--who=distributed.gummy",
            "--why=a job runs",
            "--mode=block",
        ),
    ),
)
# Says that it is granted, and holds it until our end of the pipe is closed.
HOLDS = ("/bin/sh", "-c", "echo granted; exec cat")
# The file in the store that remembers that a login's processes outlive it, until the next boot.
FILE = "logout.json"
# Seconds in which logind has to answer.
PATIENCE = 2.0


class Awake:
    """Keeps the machine awake, from `begin` to `end` or to the end of this process."""

    def __init__(self) -> None:
        self._left = [holder for holder in HOLDERS if shutil.which(holder[1][0])]
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_for = ""
        # What the system has granted; blank: nothing, or it has not answered yet.
        self.granted = ""

    def begin(self) -> None:
        """Ask for the first that is left; who asks does not wait for the answer."""
        while self._left and self._process is None:
            self._asked_for, command = self._left.pop(0)
            # Without a terminal nobody can be asked for a password.
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    [*command, *HOLDS],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                if self._process.stdout is not None:
                    os.set_blocking(self._process.stdout.fileno(), False)

    def look(self) -> str:
        """What is granted by now. What was refused makes room for the next."""
        process = self._process
        if process is None or process.stdout is None or self.granted:
            return self.granted
        try:
            said = os.read(process.stdout.fileno(), 64)
        except BlockingIOError:
            return ""
        if said:
            self.granted = self._asked_for
        else:
            self.end()
            self.begin()
        return self.granted

    def end(self) -> None:
        """Let the machine sleep again."""
        process, self._process = self._process, None
        self.granted = ""
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# -- logging out


def refuse_to_end_at_logout(store: Store) -> None:
    """Raise Refusal where systemd would end a job when the login that brought it logs out."""
    # Who came otherwise is at this machine, and logs out when he wants to.
    if "SSH_CONNECTION" not in os.environ or not shutil.which("loginctl"):
        return
    file = os.path.join(store.root, FILE)
    if (read_json(file) or {}).get("outlives") == boot_id():
        return
    if not _ends_at_logout():
        with contextlib.suppress(OSError):
            write_whole(file, json.dumps({"outlives": boot_id()}).encode())
        return
    raise Refusal(
        "systemd ends all processes of this login when it logs out, and so the job: let them"
        " outlive it by `loginctl enable-linger` on this node",
        "linger",
        "node",
    )


def _ends_at_logout() -> bool:
    """Whether logind says so; where it says nothing, it ends nothing."""
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.path.exists("/var/lib/systemd/linger/%s" % user):
        return False
    settings = _logind("-p", "KillUserProcesses", "-p", "KillExcludeUsers")
    if "KillUserProcesses=yes" not in settings:
        return False
    for line in settings:
        if line.startswith("KillExcludeUsers=") and user in line.partition("=")[2].split():
            return False
    return "Linger=yes" not in _logind(user, "-p", "Linger")


def _logind(*words: str) -> Sequence[str]:
    """The lines of what logind says of a user, or of its own settings."""
    try:
        done = subprocess.run(
            ["loginctl", "show-user", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode("utf-8", "replace").splitlines()
