"""What README and docs tell people to type is typed, as it stands there, by somebody new.

His tailnet is the local fleet, which programs called `tailscale` and `ssh` show him as one. The
collection is the one that he installs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import documented
import pytest
from newcomer import Newcomer
from real_nodes import ROOT, Fleet

pytestmark = pytest.mark.once

# What can't be typed here, at most ten, and why.
CANT = {
    "make test": "it would run this test",
    "make e2e": "it is what CI calls beside the tests, and needs Go",
    "make e2e ARGS=--agents": "it installs all agents that npm gives",
    "make venv": "it would make the environment anew in which this test runs",
    "make CORE=2.20 test": "it would run this test, in an environment of its own",
    "python3 -m pip install ansible-core": "Ansible is there, and is the one to be tested with",
    "ansible-galaxy collection install --upgrade distributed.gummy": "nothing is released yet",
    "claude plugin marketplace add": "it needs Claude Code itself",
    "claude plugin install distributed-gummy@distributed-gummy": "it needs Claude Code itself",
}
CANT_MOST = 10
# What is typed by another test.
ELSEWHERE = {
    "make demo": "tests/integration/test_make_demo.py",
    "git -C vendor ": "tests/unit/project/test_taking_over.py",
}

# The page that is read first, and by which the others find what they speak of.
FIRST = ROOT / "README.md"
DOWN = "ansible-playbook distributed.gummy.local_fleet -e gummy_fleet_state=down"
RELEASE_42 = "ansible-playbook distributed.gummy.run -e @jobs.yml -e gummy_run_id=release-42"
WITH_COMMITS = (
    "ansible-playbook distributed.gummy.run -e gummy_agent=shell -e gummy_command="
    "'echo made > made.txt && git add made.txt && git commit -qm made'"
)
AT_ONCE = 4


@pytest.fixture
def newcomer(
    tmp_path: Path,
    make_environment: Callable[[Path], dict[str, str]],
) -> Iterator[Newcomer]:
    home = tmp_path / "home"
    env = make_environment(home)
    # Where the documented command that starts a fleet has it.
    fleet = Fleet(home / ".local" / "state" / "distributed-gummy" / "fleet")
    one = Newcomer(home, env, fleet, ["sh", "-c", 'cat "$0"', str(fleet.folder / "status.json")])
    one.put_agents()
    yield one
    fleet.call("down")


def todo() -> dict[Path, list[str]]:
    """What is typed of each page: what no page before it has."""
    seen = {*CANT}
    found = {}
    for page in documented.PAGES:
        lines = [line for line in documented.commands_of(page) if line not in seen]
        seen |= {*lines}
        found[page] = [line for line in lines if not line.startswith(tuple(ELSEWHERE))]
    return found


def test_what_is_not_typed_stands_in_the_pages_and_is_little() -> None:
    lines = {line for page in documented.PAGES for line in documented.commands_of(page)}
    assert len(CANT) <= CANT_MOST
    assert CANT.keys() <= lines
    for begin, test in ELSEWHERE.items():
        assert any(line.startswith(begin) for line in lines) and (ROOT / test).exists()


def test_every_command_of_readme_and_docs_does_what_is_promised(newcomer: Newcomer) -> None:
    lines = todo()
    assert sum(map(len, lines.values())) > 40
    failures: list[str] = []

    def read(page: Path, most: list[str], folder: str = "") -> str:
        """Type the commands of a page one after the other; the folder of the job seen last."""
        for line in most:
            status, output = newcomer.type(line, folder)
            if status:
                failures.append(f"{page.relative_to(ROOT)}: {line}\nexit status {status}\n{output}")
            folder = documented.folder_of_job(output) or folder
        return folder

    # The README installs the collection, and some pages speak of a run and of a job that are there.
    first = lines.pop(FIRST)
    setup = [line for line in first if re.match("git clone|git -C|ansible-galaxy|echo", line)]
    folder = read(FIRST, [*setup, RELEASE_42, WITH_COMMITS])
    assert not failures, "\n\n".join(failures)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pages = {FIRST: [line for line in first if line not in setup], **lines}
        reading = [
            pool.submit(read, page, [line for line in most if line != DOWN], folder)
            for page, most in pages.items()
        ]
    for one in reading:
        one.result()
    read(ROOT / "docs" / "commands.md", [DOWN])
    assert not failures, "\n\n".join(failures)

    # The README's first job came home, and the recipe gathered what the parts made.
    assert (newcomer.project / "where.txt").read_text(encoding="utf-8").startswith("Linux") or (
        sys.platform != "linux"
    )
    gathered = (newcomer.project / "gathered.txt").read_text(encoding="utf-8")
    assert re.findall(r"^== (\w+), done on \S+\n+(\w+)$", gathered, re.MULTILINE) == [
        (part, part) for part in ("api", "database", "frontend")
    ]
