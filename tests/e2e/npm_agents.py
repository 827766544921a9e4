"""Agents from npm, in the clone's cache: each once, when a test first asks for it."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest
from real_tailnet import HERE

CACHE = HERE / "agents"
# Agent -> npm's packages of the version that its row was made of. Some want a newer node than many
# systems have; under an older one npm gives an older agent.
PACKAGES = {
    "claude": ["@anthropic-ai/claude-code@2.1.332", "node@22"],
    "codex": ["@openai/codex@0.171.0"],
    "opencode": ["opencode-ai@1.18.33"],
    "gemini": ["@google/gemini-cli@0.61.0"],
    "qwen": ["@qwen-code/qwen-code@0.24.4", "node@22"],
}


def program_of(agent: str) -> pathlib.Path:
    """The agent's program; skips where npm does not give it."""
    folder = CACHE / agent
    program = folder / "node_modules" / ".bin" / agent
    if program.exists():
        return program
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH")
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--no-audit", "--no-fund", "--no-update-notifier", *PACKAGES[agent]]
    command = [npm, "install", "--prefix", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0 or not program.exists():
        pytest.skip(f"npm does not give {agent}: {done.stderr.strip()[-300:]}")
    return program
