# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent of the user's own, as the controller's config.yaml describes it.

What it prints is read as the events of one of our rows, or not at all: then its exit status says
all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from .claude import LOGIN_VARIABLES, ClaudeReader
from .codex import CodexReader
from .opencode import OpencodeReader
from .row import Agent, Ran, Reader, Result
from .store import TYPE_CHECKING
from .streamed import StreamReader

if TYPE_CHECKING:
    from . import wire

# The file with the prompt, and the word of a command line that stands for its path.
PROMPT = "prompt.txt"
PROMPT_WORD = "{file}"
# What a person does who wants to let it more: which settings it has, only they know.
REMEDY = "its own settings on the node may let it"
# Seconds after which one that says that it waits is ended.
WAIT_MOST = 600.0


class Own(Agent):
    # With some of them claude's variables may be a login; and a person may know better.
    login_variables = LOGIN_VARIABLES
    # Which file that is, a person said for this very program.
    login_file_is_all = True

    def __init__(self, name: str, given: wire.OwnAgent) -> None:
        self._name = name
        self._given = given
        self._words = [_in_home(str(word)) for word in given["argv"]]
        self.programs = (self._words[0],)
        self.login_program = self._words[0]
        self.login_advice = "log in to %s" % os.path.basename(self._words[0])
        if given.get("login_file"):
            self.login_advice += ": ~/%s has to be there" % given["login_file"]
        self.streams = given["reads"] != "exit"
        if self.streams:
            self.wait_most = WAIT_MOST

    def argv(self, spec: wire.JobSpec) -> list[str]:
        return self.argv_in(spec, "")

    def argv_in(self, spec: wire.JobSpec, folder: str) -> list[str]:
        if self._given["prompt"] != "file":
            return list(self._words)
        path = os.path.join(folder, PROMPT)
        return [word.replace(PROMPT_WORD, path) for word in self._words]

    def stdin(self, spec: wire.JobSpec) -> str | None:
        return str(spec["prompt"]) if self._given["prompt"] == "stdin" else None

    def files(self, spec: wire.JobSpec) -> Mapping[str, str]:
        return {PROMPT: str(spec["prompt"])} if self._given["prompt"] == "file" else {}

    def reader(self) -> Reader:
        reads = self._given["reads"]
        if reads == "claude":
            claude = ClaudeReader()
            claude.name = self._name
            claude.remedy = REMEDY
            return claude
        if reads == "codex":
            codex = CodexReader(self._name)
            codex.remedy = REMEDY
            return codex
        if reads == "opencode":
            opencode = OpencodeReader(self._name)
            opencode.remedy = REMEDY
            return opencode
        return Reader()

    def result(self, ran: Ran) -> Result:
        reader = ran.reader
        if isinstance(reader, StreamReader):
            return reader.verdict(ran.status)
        if ran.status == 0:
            return Result(proof="exit status 0 of %s" % self._name)
        return Result("agent", message="%s ended with exit status %s" % (self._name, ran.status))

    def logged_in(self, home: str, environment: Mapping[str, str]) -> str:
        """By the file that the config names; that it is there is enough."""
        files = self.login_files(home)
        if not files or any(environment.get(name) for name in LOGIN_VARIABLES):
            return "unknown"
        return "yes" if os.path.isfile(files[0]) else "no"

    def login_files(self, home: str) -> tuple[str, ...]:
        path = self._given.get("login_file")
        return (os.path.join(home, str(path)),) if path else ()


def _in_home(word: str) -> str:
    """A word that begins with ~/ leads into the home of the node's login."""
    if not word.startswith("~/"):
        return word
    return os.path.join(os.environ.get("HOME") or os.path.expanduser("~"), word[2:])
