"""A node that has the agents, by their doubles.

The doubles' docstrings say what their prompts do.
"""

from __future__ import annotations

from pathlib import Path

from node_case import ROOT, A, NodeCase

# The agents that have one double together.
OTHERS = ("codex", "opencode", "qwen", "gemini")
# Settings without which an agent can't be called.
SETTINGS = {"opencode": {"model": "double/model"}}


class AgentCase(NodeCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("gummy", "claude"):
            self.program(name, (ROOT / "tests" / "doubles" / name).read_text())
        for name in OTHERS:
            self.program(name, (ROOT / "tests" / "doubles" / "others").read_text())
        self.program("jq", "#!/bin/sh\n")
        (self.home / ".profile").write_text(
            'echo "a login shell that prints"\nPATH="$HOME/my bin:$PATH"\n'
        )
        # Tests may run as root.
        self.env["IS_SANDBOX"] = "1"

    def program(self, name: str, text: str) -> None:
        path = self.home / "my bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def gummy(self, attempt: str = A + "1", **spec: object) -> dict:
        return self.run_job(attempt, agent="gummy", command=None, **spec)

    def specialists_at(self, place: Path) -> None:
        (place / ".gummy/lib").mkdir(parents=True, exist_ok=True)
        (place / ".gummy/lib/core.sh").touch()

    def run_agent(self, way: str, attempt: str, text: str, **spec: object) -> dict:
        agent = way.partition(" ")[0]
        given = (
            {"command": text, "prompt": None}
            if agent == "shell"
            else {"command": None, "prompt": text}
        )
        spec.setdefault("settings", SETTINGS.get(agent, {}))
        return self.run_job(attempt, agent=agent, **given, **spec)
