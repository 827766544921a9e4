# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pid 1 of one node, started by fleet.py with `unshare`:

`fleet_init.py FOLDER UID [--trial]`. Linux, root.

It makes its new namespaces look like a machine of its own (hostname, /proc, /tmp, machine id, boot
id, a user `gummy`), prints one JSON line, and reaps until it is killed; its end is the end of all
that runs in the node. The machine itself stays as it is: all mounts are private.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid

# Where the node sees FOLDER/sshd: the real path may be hidden in there.
INSIDE = "/run/gummy-node"
PATHS = "/usr/local/bin:/usr/bin:/bin"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 8, -1)))
MS_NOSUID_NODEV = 6
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18


def mount(
    source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None
) -> None:
    """mount(2).

    Not mount(8): that makes paths absolute, and ours are relative to a folder that an earlier mount
    may hide.
    """
    # Not every Python has it.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
    if libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]) != 0:
        raise OSError(ctypes.get_errno(), f"mount: {os.strerror(ctypes.get_errno())}", target)


def graft(folder: str, parts: dict[str, str]) -> None:
    """Lay each source over folder/name.

    Where a name is missing, the folder becomes a tmpfs with its old entries bound into it.
    """
    if all(os.path.exists(f"{folder}/{name}") for name in parts):
        for name, source in parts.items():
            mount(source, f"{folder}/{name}", flags=MS_BIND)
        return
    stage = new_stage()
    for entry in os.scandir(folder):
        if entry.name in parts:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), f"{stage}/{entry.name}")
        else:
            # What not even root may enter (FUSE) stays away.
            with contextlib.suppress(OSError):
                place(entry.path, f"{stage}/{entry.name}")
    for name, source in parts.items():
        place(source, f"{stage}/{name}")
    mount(stage, folder, flags=MS_MOVE)


def new_stage() -> str:
    mount("none", "stage", "tmpfs", MS_NOSUID_NODEV, "mode=755")
    return "stage"


def place(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target)
    else:
        open(target, "w").close()
    mount(source, target, flags=MS_BIND | MS_REC)


def usable_python(paths: str, uid: int) -> bool:
    """Is there a Python on these paths that the node's user can run?"""
    for found in filter(None, (shutil.which(name, path=paths) for name in PYTHONS)):
        ask = [found, "-c", "import json, sys; sys.exit(sys.version_info < (3, 9))"]
        with contextlib.suppress(OSError):
            if not subprocess.run(
                ask,
                user=uid,
                group=uid,
                extra_groups=[],
                env={},
                cwd="/",
                capture_output=True,
                check=False,
            ).returncode:
                return True
    return False


def bring_python(uid: int) -> str:
    """Show the running Python's prefix to the node's user at its own path, hiding what lies beside
    that path; returns its bin folder.
    """
    prefix = os.path.realpath(sys.base_prefix)
    parts = prefix.strip("/").split("/")
    above = ["/" + "/".join(parts[:depth]) for depth in range(1, len(parts))]
    closed = next((path for path in above if not os.stat(path).st_mode & 0o001), None)
    if closed:
        stage = new_stage()
        place(prefix, f"{stage}/{os.path.relpath(prefix, closed)}")
        mount(stage, closed, flags=MS_MOVE)
    if not usable_python(f"{prefix}/bin", uid):
        raise OSError("the nodes' user finds no Python 3.9 or newer that it can run")
    return f"{prefix}/bin"


def enter(folder: str, uid: int) -> dict[str, str | None]:
    os.chdir(folder)
    os.umask(0o022)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID_NODEV)
    # Each start is a boot of its own, as that of a real machine.
    with open("boot-id", "w") as file:
        file.write(f"{uuid.uuid4()}\n")
    mount("boot-id", BOOT_ID, flags=MS_BIND)
    socket.sethostname(os.path.basename(folder))
    os.chown("home", uid, uid)
    graft("/etc", {name: f"etc/{name}" for name in os.listdir("etc")})
    graft("/home", {"gummy": "home"})
    # Debian's sshd wants an empty /run/sshd.
    graft("/run", {os.path.basename(INSIDE): "sshd", "sshd": "empty"})
    mount("tmp", "/tmp", flags=MS_BIND)
    return {"paths": None if usable_python(PATHS, uid) else f"{bring_python(uid)}:{PATHS}"}


def main() -> None:
    try:
        answer = enter(sys.argv[1], int(sys.argv[2]))
    except (OSError, ImportError) as problem:
        sys.exit(str(problem))
    print(json.dumps(answer), flush=True)
    if "--trial" in sys.argv:
        return
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        signal.sigwait({signal.SIGCHLD})


if __name__ == "__main__":
    main()
