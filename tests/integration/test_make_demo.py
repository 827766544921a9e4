"""`make demo` on the machines that it meets."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# How this machine reaches its package index.
PASSED_ON = ("PIP_", "SSL_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")
STRANGER = 4243
pytestmark = pytest.mark.once


def copy_of_the_clone(target: pathlib.Path) -> None:
    git = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    for name in filter(
        None,
        subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
            "\0"
        ),
    ):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


@pytest.fixture
def hostile_clone() -> Iterator[pathlib.Path]:
    """A copy of the clone in a place that is hard to work in.

    Another user owns it, its mode is 777, and its path has a blank and more than 120 characters.
    """
    with tempfile.TemporaryDirectory(prefix="gummy-demo-") as top:
        clone = pathlib.Path(top, "a blank", "long-" * 24, "clone")
        clone.mkdir(parents=True)
        copy_of_the_clone(clone)
        for path in (pathlib.Path(top), *pathlib.Path(top).rglob("*")):
            os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        pathlib.Path(top).chmod(0o755)
        clone.chmod(0o777)
        yield clone


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="only root on Linux can become another user here",
)
def test_an_unprivileged_user_without_home_locale_or_namespaces_sees_the_demo_pass(
    hostile_clone: pathlib.Path,
) -> None:
    # A machine on which namespaces are denied.
    bin_dir = hostile_clone.parent / "bin"
    bin_dir.mkdir()
    (bin_dir / "unshare").write_text(
        "#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n", encoding="utf-8"
    )
    (bin_dir / "unshare").chmod(0o755)

    # No home, no UTF-8; what leads to a package index is passed on.
    index = {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(PASSED_ON) and name != "PIP_CACHE_DIR"
    }
    env = {
        **index,
        "PATH": f"{bin_dir}:/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C",
        "HOME": "/nonexistent",
    }

    # a user with a shell that sshd can start, in a mount namespace of its own
    passwd = hostile_clone.parent / "passwd"
    passwd.write_text(
        pathlib.Path("/etc/passwd").read_text(encoding="utf-8")
        + f"stranger:x:{STRANGER}:{STRANGER}::/nonexistent:/bin/sh\n",
        encoding="utf-8",
    )
    become = (
        'mount --bind "$1" /etc/passwd && shift && '
        f'exec setpriv --reuid {STRANGER} --regid {STRANGER} --clear-groups "$@"'
    )
    stranger = [
        str(shutil.which("unshare")),
        "--mount",
        "sh",
        "-c",
        become,
        "-",
        str(passwd),
        "env",
        "-i",
        *(f"{name}={value}" for name, value in env.items()),
    ]

    # Not every machine can play this part.
    if subprocess.run(
        [*stranger, "true"], cwd=hostile_clone, capture_output=True, check=False
    ).returncode:
        pytest.skip(
            "this root may not make a mount namespace, so it can't become a user with a shell"
        )

    probe = ["sh", "-euc", ". scripts/env.sh; . scripts/bootstrap.sh; pythons"]
    if subprocess.run(
        [*stranger, *probe], cwd=hostile_clone, capture_output=True, check=False
    ).returncode:
        pytest.skip("there is no Python 3.11 or newer that another user can run")

    # There the demo does what it does everywhere.
    done = subprocess.run(
        [*stranger, "make", "demo"],
        cwd=hostile_clone,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert "3 nodes used" in done.stdout


def test_with_two_dead_nodes_the_demo_fails_and_says_why(tmp_path: pathlib.Path) -> None:
    (tmp_path / "demo").mkdir()
    command = [
        sys.executable,
        str(ROOT / "tests" / "demo" / "demo.py"),
        "--dir",
        str(tmp_path / "demo"),
        "--stop",
        "node-2",
        "--stop",
        "node-3",
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout[-6000:] + done.stderr[-3000:]
    assert "DIFFERS: node-2: no job started there" in done.stdout
    assert "DIFFERS: node-3: no job started there" in done.stdout
