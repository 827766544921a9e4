"""What README and docs tell people to type is typed, as it stands there, by somebody new.

He has a home with nothing in it but the settings of git, and a tailnet: the local fleet, which
programs called `tailscale` and `ssh` show him as one. The collection is the one that he installs.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import documented
import pytest
from real_nodes import NODES, PATIENCE, ROOT, Fleet, git
from test_make_demo import copy_of_the_clone

pytestmark = pytest.mark.once

# What can't be typed here, at most ten, and why.
CANT = {
    "make test": "it would run this test",
    "make e2e": "it is what CI calls beside the tests, and needs Go",
    "make e2e ARGS=--agents": "it installs all agents that npm gives",
    "make venv": "it would make the environment anew in which this test runs",
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

# The texts of prompts, in words that the doubles of agents obey.
PROMPTS = {
    "make the parser of dates accept week numbers, with tests": "write dates.py weeks",
    "Review the last commit as a strict colleague.": "write REVIEW.md good ;; say",
}
MAKEFILE = """\
test docs deps test-unit test-api:
\t@echo $@
report:
\t@mkdir -p reports && echo $(PART) > reports/$(PART).txt
"""
# The page that is read first, and by which the others find what they speak of.
FIRST = ROOT / "README.md"
DOWN = "ansible-playbook distributed.gummy.local_fleet -e gummy_fleet_state=down"
RELEASE_42 = "ansible-playbook distributed.gummy.run -e @jobs.yml -e gummy_run_id=release-42"
WITH_COMMITS = (
    "ansible-playbook distributed.gummy.run -e gummy_agent=shell -e gummy_command="
    "'echo made > made.txt && git add made.txt && git commit -qm made'"
)
AT_ONCE = 4


class Newcomer:
    """A user with a home, a tailnet, and projects in ~/code."""

    def __init__(self, home: Path, env: dict[str, str]) -> None:
        self.home = home
        kept = ("ANSIBLE_", "XDG_")
        self.env = {name: value for name, value in env.items() if not name.startswith(kept)}
        self.env["PATH"] = f"{home}/bin:{self.env['PATH']}"
        # Where the documented command that starts a fleet has it.
        self.fleet = Fleet(home / ".local" / "state" / "distributed-gummy" / "fleet")
        self.project = self._make_project("shop")
        self._make_project("handbook")
        self._make_programs()
        self._make_settings()

    def _make_project(self, name: str) -> Path:
        tree = self.home / "code" / name
        (tree / ".gummy" / "lib").mkdir(parents=True)
        # gummy has specialists here.
        (tree / ".gummy" / "lib" / "core.sh").touch()
        (tree / "Makefile").write_text(MAKEFILE, encoding="utf-8")
        (tree / ".gitignore").write_text("/gummy/\n*.yml\n", encoding="utf-8")
        for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
            git(tree, *words)
        return tree

    def _make_programs(self) -> None:
        """The tailnet is the fleet, and the ssh config that of a user who can reach it."""
        programs = {
            "tailscale": f"exec cat {shlex.quote(str(self.fleet.folder / 'status.json'))}",
            "ssh": f'exec {_program("ssh")} -F {shlex.quote(self.fleet.ssh_config)} "$@"',
        }
        for name, line in programs.items():
            path = self.home / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
            path.chmod(0o755)
        # This machine is one of the tailnet, and its login may be root, for which nothing is
        # installed.
        (self.home / "bin" / "claude").symlink_to(ROOT / "tests" / "doubles" / "claude")

    def _make_settings(self) -> None:
        origin = self.home / "origin"
        origin.mkdir()
        copy_of_the_clone(origin)
        for words in (("init", "-q"), ("add", "-f", "."), ("commit", "-qm", "all")):
            git(origin, *words)
        (self.home / ".gitconfig").write_text(
            f'[url "{origin}"]\n\tinsteadOf = https://github.com/distributed/gummy\n'
            "[safe]\n\tdirectory = *\n[user]\n\tname = new\n\temail = new@example.org\n",
            encoding="utf-8",
        )
        (self.home / ".ansible.cfg").write_text(
            "[defaults]\ninventory = ~/my.tailnet.yml\n", encoding="utf-8"
        )
        config = self.home / ".config" / "distributed-gummy" / "config.yaml"
        config.parent.mkdir(parents=True)
        slots = ", ".join(f"{node}: {{slots: 3}}" for node in NODES)
        config.write_text(f"nodes: {{{slots}}}\n", encoding="utf-8")
        for name, text in documented.files().items():
            (self.project / name).write_text(_obeyed(text), encoding="utf-8")

    def put_agents(self) -> None:
        """Programs on the nodes that are gummy, claude and codex, as far as anybody can tell."""
        session_path = self.fleet.ssh("node-1", 'printf %s "$PATH"')
        doubles = {"gummy": "gummy", "claude": "claude", "codex": "others"}
        for node in NODES:
            for name, double in doubles.items():
                program = (ROOT / "tests" / "doubles" / double).read_bytes()
                self.fleet.put(node, f"bin/{name}", program, 0o755)
            self.fleet.put(node, "bin/jq", "#!/bin/sh\nexit 0\n", 0o755)
            self.fleet.put(node, ".profile", f'PATH="$HOME/bin:{session_path}"\n')

    def type(self, line: str, folder: str) -> tuple[int, str]:
        """The exit status and the output of a command, typed in the project.

        folder: that of the job whose work is taken over.
        """
        typed = _obeyed(line)
        if typed.startswith("git "):
            typed = typed.replace("PATCH", shlex.quote(f"{folder}/changes.patch"))
            typed = typed.replace("commits.bundle", shlex.quote(f"{folder}/commits.bundle"))
        if line.startswith("gummy-"):
            short = "distributed/gummy/playbooks/shell/gummy.sh"
            typed = f"source ~/.ansible/collections/ansible_collections/{short}; {typed}"
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout


def _program(name: str) -> str:
    done = subprocess.run(["which", name], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _obeyed(text: str) -> str:
    """The text with prompts that the doubles obey."""
    for prompt, words in PROMPTS.items():
        text = text.replace(prompt, words)
    return text


@pytest.fixture
def newcomer(
    tmp_path: Path,
    make_environment: Callable[[Path], dict[str, str]],
) -> Iterator[Newcomer]:
    one = Newcomer(tmp_path / "home", make_environment(tmp_path / "home"))
    one.put_agents()
    yield one
    one.fleet.call("down")


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
            folder = next(iter(re.findall(r"(/\S+)/changes\.patch\b", output)), folder)
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
