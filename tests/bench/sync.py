"""The rows about sync: a project to a node over a warm connection, against rsync."""

from __future__ import annotations

import random
import secrets
import shlex
import shutil
import subprocess

from table import Row
from views import ask
from world import BenchError, Sample, World

FILES = 1247
BYTES = 45_000_000


def lay(world: World, files: int = FILES, size: int = BYTES) -> None:
    """A git project of so many files and bytes; the content doesn't compress."""
    top = world.folder / "big"
    if top.exists():
        return
    made = random.Random(1)
    for number in range(files):
        path = top / f"folder-{number % 40}" / f"sub-{number % 7}" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.randbytes(size // files))
    identity = [
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@example.com",
        "-c",
        "init.templateDir=",
        "-c",
        "gc.auto=0",
    ]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "empty"]):
        subprocess.run(["git", *identity, *words], cwd=top, check=True)


def ours(world: World, controller: str) -> Sample:
    sample, told = ask(world, f"sync:{controller}", "fleet/ssh_config", world.nodes[:1])
    return {**sample, "wall": told["wall"], "files": told["files"]}


def peers(world: World, folder: str) -> Sample:
    ssh = shlex.join(
        [
            "ssh",
            "-F",
            str(world.fleet_dir / "ssh_config"),
            "-o",
            "ControlMaster=auto",
            "-o",
            f"ControlPath={world.sockets}/%C",
            "-o",
            "ControlPersist=60",
        ]
    )
    world.timed(*shlex.split(ssh), world.nodes[0], "true")
    return world.timed(
        "rsync", "-rlpt", "--delete", "-e", ssh, "big/", f"{world.nodes[0]}:{folder}/"
    )


def sync_cold(world: World) -> Sample:
    lay(world)
    sample = ours(world, secrets.token_hex(4))
    if sample["files"] < FILES:
        raise BenchError(f"only {sample['files']} files were sent")
    for folder in world.fleet_dir.glob(
        f"{world.nodes[0]}/home/.local/state/distributed-gummy/*/workspaces/big-*"
    ):
        shutil.rmtree(folder)
    return sample


def rsync_cold(world: World) -> Sample:
    lay(world)
    sample = peers(world, "cold")
    shutil.rmtree(world.fleet_dir / world.nodes[0] / "home" / "cold")
    return sample


def sync_unchanged(world: World) -> Sample:
    lay(world)
    ours(world, "same")
    sample = ours(world, "same")
    if sample["files"]:
        raise BenchError(f"{sample['files']} files were sent again")
    return sample


def rsync_unchanged(world: World) -> Sample:
    lay(world)
    peers(world, "same")
    return peers(world, "same")


ROWS = [
    Row(
        "sync-cold",
        f"sync of {FILES} files, 45 MB, over a warm connection / rsync over a warm ssh",
        sync_cold,
        rsync_cold,
        "wall",
        1.3,
    ),
    Row(
        "sync-unchanged",
        "the same when nothing has changed",
        sync_unchanged,
        rsync_unchanged,
        "wall",
        1.3,
    ),
]
