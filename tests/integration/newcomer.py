"""Somebody new: a home with nothing in it but the settings of git, a tailnet, and projects."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import documented
from real_nodes import NODES, PATIENCE, ROOT, Fleet, git
from test_make_demo import copy_of_the_clone

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


class Newcomer:
    """A user with a home, a tailnet, and projects in ~/code."""

    def __init__(
        self,
        home: Path,
        env: dict[str, str],
        fleet: Fleet,
        tailscale: Sequence[str],
        ssh_config: str | None = None,
        within: Sequence[str] = (),
    ) -> None:
        """tailscale: what `tailscale` is; ssh_config: his own, if it is not the fleet's.

        within: words before each command that he types.
        """
        self.home = home
        self.fleet = fleet
        self._within = within
        left_out = ("ANSIBLE_", "XDG_")
        self.env = {name: value for name, value in env.items() if not name.startswith(left_out)}
        self.env["PATH"] = f"{home}/bin:{self.env['PATH']}"
        self.project = self._make_project("shop")
        self._make_project("handbook")
        self._make_programs(tailscale, ssh_config or fleet.ssh_config)
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

    def _make_programs(self, tailscale: Sequence[str], ssh_config: str) -> None:
        """Programs for a user who has a tailnet, and can reach its machines by ssh."""
        programs = {
            "tailscale": f'exec {shlex.join(tailscale)} "$@"',
            "ssh": f'exec {shutil.which("ssh")} -F {shlex.quote(ssh_config)} "$@"',
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
        self.fleet.put_doubles(gummy="gummy", claude="claude", codex="others")

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
            [*self._within, "bash", "-c", typed],
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


def _obeyed(text: str) -> str:
    """The text with prompts that the doubles obey."""
    for prompt, words in PROMPTS.items():
        text = text.replace(prompt, words)
    return text
