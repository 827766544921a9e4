"""The rows about sync: a project to a node over a warm connection, against rsync."""

from __future__ import annotations

import random
import secrets
import shlex
import shutil
import subprocess

from slow_line import slow_line
from table import Row
from views import ask
from world import BenchError, Sample, World

FILES = 1247
BYTES = 45_000_000
# Bits a second of the slow line.
SLOW = 20e6


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


def forget(world: World) -> None:
    """Take the mirrors and the workspaces away."""
    home = world.fleet_dir / world.nodes[0] / "home"
    for path in home.glob(".local/state/distributed-gummy/*/workspaces/big-*"):
        shutil.rmtree(path)
    shutil.rmtree(home / ".dg", ignore_errors=True)


def eight_slots(world: World) -> Sample:
    """Eight jobs of one project at once, over a slow line."""
    lay(world)
    with slow_line(world, world.nodes[0], SLOW) as config:
        _sample, told = ask(world, f"slots:{secrets.token_hex(4)}", config, world.nodes[:1])
    if told["files"] < FILES or told["syncs"] != 1:
        raise BenchError(f"the project crossed the line {told['syncs']} times: {told}")
    forget(world)
    return {"wall": told["wall"]}


def one_rsync(world: World) -> Sample:
    lay(world)
    with slow_line(world, world.nodes[0], SLOW) as config:
        sample = peers(world, "slow", config)
    shutil.rmtree(world.fleet_dir / world.nodes[0] / "home" / "slow")
    return sample


def peers(world: World, folder: str, config: str = "fleet/ssh_config") -> Sample:
    ssh = shlex.join(
        [
            "ssh",
            "-F",
            str(world.folder / config),
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
    forget(world)
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
        1.2,
    ),
    Row(
        "one-tree-eight-slots",
        "eight jobs of a project of 45 MB at once, over 20 Mbit/s / one rsync of it",
        eight_slots,
        one_rsync,
        "wall",
        1.3,
        warm=False,
        nodes=1,
    ),
]
