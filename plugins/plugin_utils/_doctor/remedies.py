# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that mend a node, as a person types them on the controller.

What a node said of itself is in none of them, but for a path of plain letters: whoever pastes such
a command into a shell runs nothing that a node made up.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from .agents import DEFAULT
from .node_facts import MANAGERS, NodeFacts

# A path that means nothing but itself to any shell.
PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/@+-]{1,200}")
# What a package is called where it is not called as usual.
PACKAGES: Mapping[tuple[str, str], str] = {
    ("brew", "python3"): "python",
    ("pacman", "python3"): "python",
}
# Where Homebrew is; a session of ssh does not find it by itself.
BREW_PATH = "/opt/homebrew/bin:/usr/local/bin:/home/linuxbrew/.linuxbrew/bin"
# Returns from a start-up file where nobody types.
GUARD = "case $- in *i*) ;; *) return ;; esac"
# The start-up file that a shell reads for each command over ssh, and for a login.
ALWAYS_READ = {"bash": ".bashrc", "zsh": ".zshenv"}


def remote(facts: NodeFacts, command: str, *, terminal: bool = False) -> str:
    """A command on the node. terminal: whether it may ask something."""
    words = facts.way.words
    if not words:
        return command
    if terminal:
        words = (words[0], "-t", *words[1:])
    return shlex.join([*words, command])


def log_in(facts: NodeFacts, *options: str) -> str:
    """A login by hand, or the same with options of ssh before all others."""
    words = facts.way.words
    if not words:
        return "sh"
    return shlex.join([words[0], *options, *words[1:]])


def copy_key(facts: NodeFacts) -> str:
    """What puts the user's key on the node, for which its password is asked once."""
    return shlex.join(["ssh-copy-id", *facts.way.words[1:]])


def as_root(facts: NodeFacts, command: str) -> str:
    """A command of the node's that only root may run."""
    if facts.uid == 0:
        return remote(facts, command)
    return remote(facts, f"sudo {command}", terminal=True)


def install_package(facts: NodeFacts, name: str) -> str:
    """What installs a program from the system's own packages."""
    manager = facts.manager
    if manager not in MANAGERS:
        return f"install {name} on {facts.name}"
    words, needs_root = MANAGERS[manager]
    command = f"{words} {PACKAGES.get((manager, name), name)}"
    if needs_root:
        return as_root(facts, command)
    return remote(facts, f"PATH={BREW_PATH}:$PATH {command}")


def install_agent(facts: NodeFacts, agent: str) -> str:
    """The playbook that installs an agent on this node."""
    command = f"{facts.command} distributed.gummy.install --limit {shlex.quote(facts.name)}"
    if agent != DEFAULT:
        command += f" -e gummy_agent={agent}"
    return command


def add_to_login_path(facts: NodeFacts, path: str) -> str:
    """What puts the folder of this program on the PATH of the node's login shell."""
    folder = path.rpartition("/")[0]
    file = {"bash": facts.profile, "zsh": ".zprofile"}.get(facts.shell)
    if file is None or not PLAIN_PATH.fullmatch(folder):
        return f"on {facts.name}, put the folder of {path} on the PATH of the login shell"
    line = f'export PATH="{folder}:$PATH"'
    return remote(facts, f"echo {shlex.quote(line)} >> ~/{file}")


def add_to_session_path(facts: NodeFacts, path: str) -> str:
    """What puts the folder of this program on the PATH of commands over ssh."""
    folder = path.rpartition("/")[0]
    file = ALWAYS_READ.get(facts.shell)
    if file is None or not PLAIN_PATH.fullmatch(folder):
        return f"on {facts.name}, put the folder of {path} on the PATH of commands over ssh"
    return remote(facts, put_first(file, f'export PATH="{folder}:$PATH"'))


def silence(facts: NodeFacts) -> str:
    """What keeps the start-up file quiet for commands over ssh."""
    file = ALWAYS_READ.get(facts.shell)
    if file is None:
        return (
            f"on {facts.name}, let the start-up files of {facts.shell or 'the login shell'} print "
            "in interactive shells only"
        )
    return remote(facts, put_first(file, GUARD))


def put_first(file: str, line: str) -> str:
    """A command that makes a line the first of a file in the home, which may be a link."""
    return (
        f"touch ~/{file} && echo {shlex.quote(line)} | cat - ~/{file} > ~/{file}.new"
        f" && cat ~/{file}.new > ~/{file} && rm ~/{file}.new"
    )
