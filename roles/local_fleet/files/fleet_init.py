# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of one node's namespaces: `fleet_init.py FOLDER UID [--trial]`.

Linux, root; the fleet starts it with `unshare`. It makes its new namespaces look like a machine of
its own (hostname, /proc, /tmp, machine id, boot id, a user `gummy`), prints one JSON line, and
reaps until it is killed; its end is the end of all that runs in the node. The machine itself stays
as it is: all mounts are private. Anything that it prints without a brace is why it could not.
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
# The PATH of logins, in which the node program looks for a Python.
PATHS = "/usr/local/bin:/usr/bin:/bin"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# The names under which a Python may be there.
PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 8, -1)))
# Flags of mount(2); the first is MS_NOSUID and MS_NODEV.
MS_NOSUID_NODEV = 6
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18


def mount(
    source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None
) -> None:
    """Call mount(2); raise OSError if it fails.

    Not mount(8): that makes paths absolute, and ours are relative to a folder that an earlier mount
    may hide.
    """
    # Not every Python has it, and then the trial says so.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
    if libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]) != 0:
        raise OSError(ctypes.get_errno(), f"mount: {os.strerror(ctypes.get_errno())}", target)


def graft(folder: str, parts: dict[str, str]) -> None:
    """Lay a source over each folder/name; `parts` holds the sources by name.

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
                bind(entry.path, f"{stage}/{entry.name}")
    for name, source in parts.items():
        bind(source, f"{stage}/{name}")
    mount(stage, folder, flags=MS_MOVE)


def new_stage() -> str:
    """Return the path of an empty file system, in which a folder is laid out before it moves."""
    mount("none", "stage", "tmpfs", MS_NOSUID_NODEV, "mode=755")
    return "stage"


def bind(source: str, target: str) -> None:
    """Show a folder or file, with what is mounted in it, at a path that is not there yet."""
    if os.path.isdir(source):
        os.makedirs(target)
    else:
        open(target, "w").close()
    mount(source, target, flags=MS_BIND | MS_REC)


def usable_python(paths: str, uid: int) -> bool:
    """Is there a Python on these paths that the node's user can run, 3.9 or newer?"""
    for name in PYTHONS:
        python = shutil.which(name, path=paths)
        if python and runs_as(uid, python):
            return True
    return False


def runs_as(uid: int, python: str) -> bool:
    """Does this Python work for the user?"""
    command = [python, "-c", "import json, sys; sys.exit(sys.version_info < (3, 9))"]
    with contextlib.suppress(OSError):
        process = subprocess.run(
            command,
            user=uid,
            group=uid,
            extra_groups=[],
            env={},
            cwd="/",
            capture_output=True,
            check=False,
        )
        return process.returncode == 0
    return False


def bring_python(uid: int) -> str:
    """Show the running Python's prefix to the node's user at its own path.

    Hides what lies beside that path. Returns the prefix's bin folder; raises OSError if the user
    can't run what is there.
    """
    prefix = os.path.realpath(sys.base_prefix)
    parts = prefix.strip("/").split("/")
    above = ["/" + "/".join(parts[:depth]) for depth in range(1, len(parts))]

    # A folder that others may not pass, as /root, is covered by one that holds the prefix alone.
    closed = next((path for path in above if not os.stat(path).st_mode & 0o001), None)
    if closed:
        stage = new_stage()
        bind(prefix, f"{stage}/{os.path.relpath(prefix, closed)}")
        mount(stage, closed, flags=MS_MOVE)

    if not usable_python(f"{prefix}/bin", uid):
        raise OSError("the nodes' user finds no Python 3.9 or newer that it can run")
    return f"{prefix}/bin"


def enter(folder: str, uid: int) -> dict[str, str | None]:
    """Make these namespaces look like a machine; return what the fleet has to know of it.

    That is `paths`: a PATH for logins where the usual one has no Python for them, else None.
    """
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

    if usable_python(PATHS, uid):
        return {"paths": None}
    return {"paths": f"{bring_python(uid)}:{PATHS}"}


def reap_forever() -> None:
    """Take the ends of all processes whose parents are gone, as the first process has to."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        signal.sigwait({signal.SIGCHLD})


def main() -> None:
    """Run the program."""
    try:
        answer = enter(sys.argv[1], int(sys.argv[2]))
    except (OSError, ImportError) as error:
        sys.exit(str(error))
    print(json.dumps(answer), flush=True)
    if "--trial" in sys.argv:
        return

    # The pipe to the fleet ends here, so that nobody waits for more.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    reap_forever()


if __name__ == "__main__":
    main()
