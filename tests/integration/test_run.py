"""Runs on real nodes: jobs go out, and their changes come home.

The project stays as it is, and the output and exit status tell the truth.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from real_nodes import NODES, ROOT, Controller, Fleet, Played, applies, git

STRANGE = "it's a \"$(touch ran)\" 'directory'"
BATCH = {
    "edit": "echo three >> a.txt; git rm -q gone.txt; mv docs 'new docs'; "
    "head -c 2000 /dev/urandom > noise; chmod +x a.txt; ls -A > list",
    "commit": "echo x > x; git add x; git -c user.name=a -c user.email=a@b commit -qm x",
    "fails": "echo some work > half; echo what went wrong >&2; exit 3",
    "unverified": "echo y > y",
    "endless": "echo z > z; exec sleep 1000",
    "empty": 'pwd; ls -A; test -z "$(ls -A)"',
    "plain": "test ! -e trace.log && rm gone.txt && test ! -d .git",
    "deep": 'test "$(ls -A)" = "b c.txt" && ! git rev-parse && echo new > n',
    "strange": "echo s > s",
    "here": "echo h > h",
}


@pytest.fixture(scope="module")
def batch(
    make_controller: Callable[[pathlib.Path], Controller], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Controller, Played]]:
    """One run of jobs that each stand for a case, on the fleet's own inventory."""
    controller = make_controller(tmp_path_factory.mktemp("batch") / "controller")
    folder = controller.folder
    more = {
        "edit": {"verify": "grep -q three a.txt", "task_type": "database"},
        "unverified": {"verify": "echo not good enough; exit 1"},
        "endless": {"timeout": "2s"},
        "empty": {"project": "none"},
        "plain": {"project": str(controller.make_project(folder / "plain", repository=False))},
        "deep": {"project": "docs"},
        "strange": {"project": str(controller.make_project(folder / STRANGE))},
        "here": {"node": "local"},
    }
    jobs = controller.jobs(
        *(
            {"name": name, "command": command, **more.get(name, {})}
            for name, command in BATCH.items()
        )
    )
    yield controller, controller.run("-e", jobs)
    controller.close()


def test_a_batch_with_failures_ends_with_2_and_a_status_and_class_for_each_job(
    batch: tuple[Controller, Played],
) -> None:
    _controller, played = batch
    bad = {
        "fails": ("failed", "agent"),
        "unverified": ("failed", "verify"),
        "endless": ("failed", "timeout"),
    }
    assert played.status == 2, played
    assert {name: (row["status"], row["class"]) for name, row in played.jobs.items()} == {
        name: bad.get(name, ("success", None)) for name in BATCH
    }, played
    assert f"{len(BATCH) - len(bad)} of {len(BATCH)} jobs succeeded" in played.output


@pytest.mark.parametrize(
    "name", ["edit", "commit", "fails", "unverified", "endless", "plain", "strange", "here"]
)
def test_a_patch_comes_home_and_applies_whatever_became_of_the_job(
    batch: tuple[Controller, Played], name: str
) -> None:
    controller, played = batch
    tree = {"plain": controller.folder / "plain", "strange": controller.folder / STRANGE}.get(
        name, controller.project
    )
    assert applies(played.jobs[name]["patch"], tree)


def test_a_patch_holds_what_the_job_did_and_nothing_of_what_stayed_at_home(
    batch: tuple[Controller, Played],
) -> None:
    controller, played = batch
    names = git(
        controller.project, "apply", "--numstat", "--summary", played.jobs["edit"]["patch"]
    ).stdout
    assert (
        "delete mode 100644 gone.txt" in names
        and "new docs" in names
        and "mode change 100644 => 100755 a.txt" in names
    )
    assert not [
        name
        for name, row in played.jobs.items()
        if row["patch"] and re.search("secret|trace.log", read(row["patch"]))
    ]


def test_a_job_without_project_starts_in_an_empty_directory(
    batch: tuple[Controller, Played],
) -> None:
    row = batch[1].jobs["empty"]
    assert row["project"] is None and row["patch"] is None and row["sync"] == {}


def test_a_directory_inside_a_repository_is_the_project_and_its_patch_is_relative_to_it(
    batch: tuple[Controller, Played],
) -> None:
    controller, played = batch
    assert played.jobs["deep"]["project"] == str(controller.project / "docs")
    assert "+++ b/n\n" in read(played.jobs["deep"]["patch"])


def test_a_job_pinned_here_runs_here_and_all_others_run_on_nodes(
    batch: tuple[Controller, Played],
) -> None:
    assert {row["node"] for row in batch[1].jobs.values()} <= {*NODES, "localhost"}
    assert [name for name, row in batch[1].jobs.items() if row["node"] == "localhost"] == ["here"]


def test_the_user_s_own_trees_are_as_they_were(batch: tuple[Controller, Played]) -> None:
    controller, _played = batch
    for tree in (controller.project, controller.folder / STRANGE):
        assert (
            git(tree, "status", "--porcelain").stdout == ""
            and (tree / "secret").exists()
            and not (tree / "ran").exists()
        )
    assert sorted(path.name for path in (controller.folder / "plain").iterdir()) == [
        ".gitignore",
        "a.txt",
        "docs",
        "gone.txt",
        "secret",
        "trace.log",
    ]


def test_the_output_says_how_to_go_on_what_happened_and_why(
    batch: tuple[Controller, Played],
) -> None:
    text = batch[1].output
    assert (
        text.index("-e gummy_run_id=") < text.index("  place  ")
        and "distributed.gummy.logs -e gummy_run_id=" in text
    )
    assert re.search(
        r"^[0-9:]{8}  edit +place +node-\d +score 0\.\d\d, cpu \d+ %, mem \d+ %", text, re.MULTILINE
    )
    assert re.search(
        r"^[0-9:]{8}  edit +sync +node-\d +\d+ files, [\d.]+ .?B sent in [\d.]+ s",
        text,
        re.MULTILINE,
    )
    assert re.search(
        r"^[0-9:]{8}  edit +fetch +node-\d +success, .*\(\+\d+/-\d+\), patch /", text, re.MULTILINE
    )
    assert "leaves out: " in text and "*.log" in text


def test_the_log_of_a_failed_job_is_named_and_holds_what_it_said(
    batch: tuple[Controller, Played],
) -> None:
    log = re.search(r"^ *fails: log (/.*)$", batch[1].output, re.MULTILINE)
    assert log and read(log[1]) == "what went wrong\n"


def test_from_the_built_collection_anywhere_a_job_leaves_the_project_exactly_as_it_was(
    controller: Controller, fleet: Fleet
) -> None:
    # The collection is built and installed as users have it.
    galaxy = [sys.executable, "-m", "ansible", "galaxy", "collection"]
    env = {**controller.env, "ANSIBLE_COLLECTIONS_PATH": str(controller.folder / "installed")}
    subprocess.run(
        [*galaxy, "build", "--output-path", controller.folder],
        cwd=ROOT,
        env=env,
        capture_output=True,
        check=True,
    )
    (tarball,) = controller.folder.glob("*.tar.gz")
    subprocess.run(
        [*galaxy, "install", "--offline", tarball, "-p", controller.folder / "installed"],
        env=env,
        capture_output=True,
        check=True,
    )

    # A project with a stash, a staged change, one that is not, and a new file.
    tree = controller.project
    (tree / "a.txt").write_text("stashed\n", encoding="utf-8")
    git(tree, "stash")
    (tree / "a.txt").write_text("staged\n", encoding="utf-8")
    git(tree, "add", "a.txt")
    (tree / "a.txt").write_text("changed\n", encoding="utf-8")
    (tree / "untracked").write_text("u\n", encoding="utf-8")

    inventory = controller.folder / "my.tailnet.yml"
    inventory.write_text(read(fleet.inventory), encoding="utf-8")

    def state() -> tuple[object, ...]:
        listing = sorted(
            (str(path), path.lstat().st_mtime_ns, path.lstat().st_mode) for path in tree.rglob("*")
        )
        said = [
            git(tree, "--no-optional-locks", *words).stdout
            for words in (("status", "--porcelain"), ("rev-parse", "HEAD"), ("stash", "list"))
        ]
        return listing, hashlib.sha256((tree / ".git/index").read_bytes()).hexdigest(), *said

    before = state()
    played = controller.run(
        "-e",
        "gummy_agent=shell",
        "-e",
        "gummy_command=echo hi > new.txt",
        inventory=str(inventory),
        env=env,
    )
    assert played.status == 0, played
    assert state() == before and "MM a.txt" in str(before[2]) and "stash@{0}" in str(before[4])
    assert git(
        tree, "apply", "--numstat", played.job["patch"]
    ).stdout == "1\t0\tnew.txt\n" and applies(played.job["patch"], tree)


def test_twenty_jobs_fill_six_slots_and_never_more(controller: Controller, fleet: Fleet) -> None:
    clock = shlex.join(["python3", "-c", "import time; print(time.monotonic())"])
    mark = f'mark() {{ echo "$1 $GUMMY_JOB $({clock})" >> "$HOME/clock"; }}'
    command = mark + '; mark start; until [ -e "$HOME/go" ]; do sleep 0.05; done; mark end'

    batch = controller.jobs(
        *({"name": f"job-{number}", "command": command, "project": "none"} for number in range(20))
    )

    # Six begin and wait, and nobody else begins.
    started = controller.begin("run", "-e", batch, "-e", "gummy_nodes=node-*")
    try:
        started.wait_for(lambda: fleet.count("clock", "start") >= 6, "six jobs at once")
        assert fleet.count("clock", "start") == 6 and fleet.count("clock", "end") == 0
    finally:
        for node in NODES:
            fleet.put(node, "go", "")

    # All have run, each once.
    played = started.end()
    assert (
        played.status == 0 and len({row["attempts"][0]["id"] for row in played.jobs.values()}) == 20
    ), played

    lines = {node: [line.split() for line in rows] for node, rows in fleet.lines("clock").items()}
    for word in ("start", "end"):
        assert sorted(
            row[1] for rows in lines.values() for row in rows if row[0] == word
        ) == sorted(f"job-{number}" for number in range(20))

    # By each node's own clock, two ran at once and never three.
    for rows in lines.values():
        running = most = 0
        for _at, change in sorted(
            (float(at), 1 if word == "start" else -1) for word, _job, at in rows
        ):
            running += change
            most = max(most, running)
        assert most == 2


@pytest.mark.once
def test_with_all_nodes_dead_the_controller_works_only_if_it_is_a_candidate(
    controller: Controller, repaired: Fleet
) -> None:
    for node in NODES:
        repaired.stop(node)
    here = controller.shell("echo x > x")
    assert (
        here.status == 0
        and here.job["node"] == "localhost"
        and applies(here.job["patch"], controller.project)
    ), here
    assert "no node can take it (node-1: " in here.output
    nowhere = controller.shell("touch ~/ran-all-the-same", "--limit", "node-*")
    assert nowhere.status == 2 and (nowhere.job["status"], nowhere.job["class"]) == (
        "failed",
        "unreachable",
    ), nowhere
    forbidden = controller.shell("touch ~/ran-all-the-same", "-e", "gummy_local_fallback=false")
    assert forbidden.status == 2 and forbidden.job["class"] == "unreachable", forbidden
    assert (
        not os.path.exists(f"{controller.env['HOME']}/ran-all-the-same")
        and repaired.count("ran-all-the-same") == 0
    )
    plan = controller.play("plan", "-e", "gummy_prompt=tidy up", "--limit", "node-*")
    assert "no local fallback" in plan.output, plan


@pytest.mark.parametrize("words", [("run", "--check"), ("plan",)], ids=" ".join)
def test_a_plan_ranks_every_node_with_reasons_and_changes_nothing(
    controller: Controller, fleet: Fleet, words: tuple[str, ...]
) -> None:
    before = fleet.files()
    output = controller.folder / "plan.json"
    jobs = controller.jobs(
        {"name": "one", "command": "true"}, {"name": "two", "command": "true", "node": "node-2"}
    )
    played = controller.play(*words, "-e", jobs, "-e", f"gummy_output_file={output}")
    assert (
        played.status == 0
        and "changed=0" in played.output
        and "nothing is changed" in played.output
    ), played
    for node in NODES:
        assert re.search(
            rf"^  {node} +0\.\d\d +0/2 slots(?: +\d+ s old)? +score 0\.\d\d, cpu \d+ %, mem",
            played.output,
            re.MULTILINE,
        ), played
    assert re.search(r"^two +-> +node-2 ", played.output, re.MULTILINE) and output.exists()
    assert fleet.files() == before and not (controller.state / "runs").exists()


@pytest.mark.once
def test_sync_alone_sends_the_project_to_every_node_and_what_is_unchanged_only_once(
    controller: Controller,
) -> None:
    first = controller.play("sync")
    second = controller.play("sync")
    for node in NODES:
        assert re.search(rf"^✓ +{node} +[\d.]+ s +[1-9]\d* files, ", first.output, re.MULTILINE), (
            first
        )
        assert re.search(rf"^✓ +{node} +[\d.]+ s +0 files, ", second.output, re.MULTILINE), second
    assert "*.log" in first.output and first.status == second.status == 0


@pytest.mark.once
def test_a_worktree_is_a_repository_on_the_node_and_what_looks_secret_is_told_once(
    controller: Controller,
) -> None:
    work = controller.folder / "work"
    git(controller.project, "worktree", "add", "-q", work, "-b", "topic")
    (work / ".env").write_text("TOKEN=1\n", encoding="utf-8")
    command = (
        "git log -1 --format=%s; git branch --show-current; "
        "git status --porcelain .env; git worktree list"
    )
    command += "; git -c user.name=a -c user.email=b commit -qam x"
    first, second = (controller.shell(command, "-e", f"gummy_project={work}") for _time in range(2))
    assert first.status == second.status == 0, first
    said = read(f"{first.job['folder']}/log").splitlines()
    assert (
        said[:3] == ["sample", "topic", "?? .env"]
        and len(said) == 4
        and str(controller.folder) not in said[3]
    )
    assert (
        "look like secrets" in first.output
        and '"/.env"' in first.output
        and first.run["secrets"] == {str(work): [".env"]}
    )
    assert (
        "look like secrets" not in second.output
        and git(work, "log", "--format=%s").stdout == "sample\n"
    )


def read(path: str | pathlib.Path) -> str:
    return pathlib.Path(path).read_text(encoding="utf-8", errors="surrogateescape")
