"""A program is found where a person finds it who logs in to the node and types, on real nodes."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from real_nodes import ROOT, Controller, Fleet

pytestmark = pytest.mark.once

# What bash reads when it is typed into, and at no command over ssh.
TYPED_ONLY = 'case $- in *i*) ;; *) return ;; esac\necho x >> "$HOME/typed"\n'


@pytest.fixture
def bare(repaired: Fleet) -> Iterator[Fleet]:
    """node-1 without agents; what the test puts into its home goes away after it."""
    if any(map(shutil.which, ("claude", "gummy"))):
        pytest.skip("this machine has an agent of its own")
    home = repaired.home("node-1")
    before = set(home.iterdir())
    kept = {path: path.read_bytes() for path in before if path.is_file()}
    yield repaired
    for path in set(home.iterdir()) - before - {home / ".local", home / ".dg"}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(home / ".local" / "bin", ignore_errors=True)
    for path, data in kept.items():
        path.write_bytes(data)


def put_claude(fleet: Fleet, folder: str) -> None:
    double = (ROOT / "tests" / "doubles" / "claude").read_text(encoding="utf-8")
    home = fleet.home("node-1")
    place = home
    for name in folder.split("/"):
        place = place / name
        place.mkdir(exist_ok=True)
        os.chown(place, home.stat().st_uid, home.stat().st_gid)
    fleet.put("node-1", f"{folder}/claude", double, 0o755)


def typed(fleet: Fleet) -> int:
    path = fleet.home("node-1") / "typed"
    return len(path.read_text().split()) if path.exists() else 0


def claude(controller: Controller, *words: str) -> list[str]:
    pinned = ["-e", "gummy_node=node-1", "-e", "gummy_agent=claude", "-e", "gummy_prompt=hello"]
    return [*pinned, "-e", "gummy_refresh=true", *words]


@pytest.mark.parametrize("folder", [".local/bin", "only typed"])
def test_a_claude_that_a_person_finds_does_the_job_and_plan_and_status_say_so(
    controller: Controller, bare: Fleet, folder: str
) -> None:
    put_claude(bare, folder)
    bare.put("node-1", ".bashrc", f'{TYPED_ONLY}export PATH="$HOME/{folder}:relative:$PATH"\n')

    planned = controller.play("plan", *claude(controller))
    assert "job-1" in planned.output and "->  node-1" in planned.output, planned
    run = controller.run(*claude(controller))
    assert run.job["status"] in ("success", "unproven"), run.job["message"]
    status = controller.play("status").output
    assert "claude" in next(line for line in status.splitlines() if line.startswith("node-1")), (
        status
    )
    # The inventory did not ask that shell, and the node program did once.
    assert typed(bare) == 1


def test_a_claude_that_lies_where_nobody_finds_it_is_told_with_its_place(
    controller: Controller, bare: Fleet
) -> None:
    put_claude(bare, "tools/bin")
    put_claude(bare, "tools")
    (bare.home("node-1") / "tools" / "bin" / "claude").unlink()
    planned = controller.play("plan", *claude(controller))
    assert "nowhere" in planned.output and "claude is not found" in planned.output, planned
    run = controller.run(*claude(controller))
    assert run.job["status"] == "failed" and run.job["class"] == "refused", run.job
    assert "there is /" in run.job["message"] and "/tools/claude" in run.job["message"], run.job


@pytest.mark.parametrize("typed_only", [False, True])
def test_git_and_rsync_that_only_a_person_finds_are_used(
    controller: Controller, bare: Fleet, tmp_path: pathlib.Path, typed_only: bool
) -> None:
    home = bare.home("node-1")
    few = home / "few"
    few.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for program in pathlib.Path(folder).iterdir():
            if program.name not in ("git", "rsync") and not (few / program.name).is_symlink():
                (few / program.name).symlink_to(program)
    tools = home / "tools"
    tools.mkdir()
    for name in ("git", "rsync"):
        (tools / name).symlink_to(str(shutil.which(name)))
    start_up = 'export PATH="$HOME/few"\n'
    if typed_only:
        start_up += f'{TYPED_ONLY}export PATH="$HOME/tools:$PATH"\n'
    else:
        bare.put("node-1", ".profile", 'export PATH="$HOME/tools:$HOME/few"\n')
    bare.put("node-1", ".bashrc", start_up)

    words = ("-e", "gummy_node=node-1", "-e", "gummy_refresh=true")
    run = controller.shell("echo done > new", *words)
    assert run.job["status"] == "success", run
    again = controller.shell("echo done > newer", *words)
    assert again.job["status"] == "success", again
