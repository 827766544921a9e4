# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has to install an agent with: one script for its shell, and its reader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .._links.link import InvalidReply, Link
from .._links.reader import is_path, told_facts
from .._links.shell_path import SHELL_PATH

# How long a node may take to answer, in seconds.
SECONDS = 30.0

# The programs that are looked for.
PROGRAMS = (
    *("gummy", "claude", "jq"),
    *("codex", "opencode", "qwen", "gemini"),
    *("brew", "git", "go", "npm", "node"),
    *("apt-get", "dnf", "pacman", "apk"),
)

SCRIPT = "".join(
    (
        f"set -- {' '.join(PROGRAMS)}\n",
        SHELL_PATH,
        Path(__file__).with_suffix(".sh").read_text(encoding="utf-8"),
    )
)

# The start-up files in the home that a bash may read at a login, and the one that zsh does.
BASH_PROFILES = (".bash_profile", ".bash_login", ".profile")
ZSH_PROFILE = ".zprofile"

# Characters of a PATH; a longer one is none that a command gets.
PATH_MOST = 8192

# Systems by the names that `uname -s` has for them.
SYSTEMS = {"Linux": "linux", "Darwin": "macos"}


@dataclass(frozen=True)
class Tools:
    """What a node says of itself; it is data of a stranger, read into its types."""

    # linux, macos, or blank.
    os: str
    # Whether its login is root.
    is_root: bool
    # The home of its login.
    home: str
    # The PATH of the login shell, as folders; none: that shell hangs, or says none.
    path: tuple[str, ...]
    # Program -> its path; it may lie in a usual folder which is not on the login shell's PATH.
    programs: Mapping[str, str]
    # The first number of node's version; None if there is no node.
    node_version: int | None
    # The start-up file in the home that its login shell reads; blank: who knows.
    profile: str = ""

    def is_on_path(self, program: str) -> bool:
        """Whether the login shell would find the program that is there."""
        return self.programs[program].rpartition("/")[0] in self.path


def look_for_tools(link: Link) -> Tools:
    """Ask a node over its link. Raises LinkError."""
    return read_tools(link.shell(SCRIPT, SECONDS), link.name)


def read_tools(text: str, name: str) -> Tools:
    """What the script printed. name: the node's. Raises InvalidReply, which is a LinkError."""
    said = {key: value.removesuffix("\r") for key, value in told_facts(text).items()}
    home = said.get("home", "")
    uid = said.get("uid", "")
    if said.get("end") != "yes" or not is_path(home) or not re.fullmatch(r"\d{1,10}", uid):
        raise InvalidReply(f"{name} does not say which programs it has")

    version = re.match(r"v(\d{1,4})\.", said.get("node_version", ""))
    path = said.get("path", "")
    folders = path.split(":") if len(path) <= PATH_MOST else []
    return Tools(
        os=SYSTEMS.get(said.get("os", ""), ""),
        is_root=int(uid) == 0,
        home=home.rstrip("/") or "/",
        path=tuple(folder.rstrip("/") for folder in folders if is_path(folder)),
        programs={
            name: said[name] for name in sorted(said.keys() & set(PROGRAMS)) if is_path(said[name])
        },
        node_version=int(version.group(1)) if version else None,
        profile=_profile(said.get("shell", ""), said.get("profile", "")),
    )


def _profile(shell: str, bash_profile: str) -> str:
    """The start-up file that this shell reads at a login, if it is one that we know."""
    name = shell.rpartition("/")[2]
    if name == "zsh":
        return ZSH_PROFILE
    if name == "bash" and bash_profile in BASH_PROFILES:
        return bash_profile
    return ""
