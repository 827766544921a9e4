# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What doctor looks at of each agent: one row for each that the node program can run.

A new agent needs a row here and nothing else; a test compares the rows with the node program's.
Whether an agent is logged in is read from its own files and the login's variables alone: its
service is never asked, and no content of a file leaves its node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Login:
    """How it can be known that an agent is logged in."""

    # The folder of its settings in the home, and the variable that names another one.
    folder: str
    folder_variable: str
    # The file in that folder which is there after a login.
    file: str
    # A file of settings in it, and what in it names another way in, for `grep -E`.
    settings: str
    pattern: str
    # Variables of the login shell each of which is a way in.
    variables: tuple[str, ...]
    # Whether macOS keeps the login in a keychain, where nobody can look.
    in_keychain: bool
    # What a person types on the node to log in.
    command: str


@dataclass(frozen=True)
class Setting:
    """A setting of an agent that has to be made for something to work."""

    name: str
    # What in the file of settings makes it, for `grep -E`.
    pattern: str


@dataclass(frozen=True)
class DoctorRow:
    """An agent as doctor looks at it."""

    # Programs that the agent needs where a person finds them, the first of which is its own.
    programs: tuple[str, ...] = ()
    # The word to which a program tells its version; a program without one is never started.
    version_words: Mapping[str, str] = field(default_factory=dict)
    # Where a version stands in the path that a program's link leads to.
    version_in_path: re.Pattern[str] | None = None
    # Whether it refuses to run as root.
    refuses_root: bool = False
    # Its own login; None where it logs in nowhere, or by another agent that is in this table.
    login: Login | None = None
    settings: tuple[Setting, ...] = ()


CLAUDE_LOGIN = Login(
    folder=".claude",
    folder_variable="CLAUDE_CONFIG_DIR",
    file=".credentials.json",
    settings="settings.json",
    pattern='"(apiKeyHelper|ANTHROPIC_API_KEY|ANTHROPIC_AUTH_TOKEN|CLAUDE_CODE_OAUTH_TOKEN'
    '|CLAUDE_CODE_USE_[A-Z]+)"',
    variables=(
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
    ),
    in_keychain=True,
    command="claude /login",
)

CODEX_LOGIN = Login(
    folder=".codex",
    folder_variable="CODEX_HOME",
    file="auth.json",
    settings="config.toml",
    # Another provider than its own, or a login that lies in a keyring.
    pattern="^(model_provider|cli_auth_credentials_store)[[:space:]]*=",
    variables=("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "OPENAI_API_KEY"),
    in_keychain=True,
    command="codex login",
)

AGENTS: Mapping[str, DoctorRow] = {
    "shell": DoctorRow(),
    "claude": DoctorRow(
        programs=("claude",),
        version_words={"claude": "--version"},
        login=CLAUDE_LOGIN,
        settings=(Setting("verbose", '"verbose"[[:space:]]*:[[:space:]]*true'),),
    ),
    "gummy": DoctorRow(
        programs=("gummy", "claude", "jq"),
        # It has no word for its version, but Homebrew's folders have.
        version_in_path=re.compile(r"/Cellar/gummy-agent/([0-9][0-9A-Za-z.+-]{0,40})/"),
        refuses_root=True,
    ),
    "codex": DoctorRow(
        programs=("codex",), version_words={"codex": "--version"}, login=CODEX_LOGIN
    ),
    # Of these three nobody can see that they have no login: they take keys from many places, and
    # models that need none. Each takes seconds to say its version.
    "opencode": DoctorRow(programs=("opencode",)),
    "qwen": DoctorRow(programs=("qwen",)),
    "gemini": DoctorRow(programs=("gemini",)),
}

# The agent that a job gets if it names none: a node that can run no agent is told to get this one.
DEFAULT = "gummy"
