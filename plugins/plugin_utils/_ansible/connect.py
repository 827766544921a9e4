# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links from Ansible's own settings of a host, set as its TaskExecutor sets them.

A node is reached as `ansible` would reach it: with the same options, config files and passwords.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

from .._files.private_file import cache_file
from .._files.programs import Programs
from .._links.link import Link, LinkError, digest
from .._links.program import build
from .._links.sockets import control_folder
from .._links.words import told_words

SSH = "ansible.builtin.ssh"
# What Ansible calls the two connections that a node can have, and what they are here.
KINDS = {
    "ssh": "ssh",
    "ansible.builtin.ssh": "ssh",
    "smart": "ssh",
    "local": "local",
    "ansible.builtin.local": "local",
}
# Settings that are another for each host and don't show in ssh's options.
OF_ONE_HOST = frozenset(
    {
        "ansible_host",
        "ansible_ssh_host",
        "inventory_hostname",
        "delegated_vars['ansible_host']",
        "delegated_vars['ansible_ssh_host']",
    }
)
# Stands for the path of the master's socket, which each host has its own of.
SOCKET = "@gummy-socket@"
# Nothing of this machine goes along: an agent on the node could use the user's keys as long as a
# forwarded ssh-agent is there, and the user's screen with X11. Ssh takes the first of two options
# that say the same, but the last of two flags, so the options come first and the flags last.
NOT_FORWARDED = (
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ForwardX11Trusted=no",
    "Tunnel=no",
)
NOT_FORWARDED_FLAGS = "-a -x"
FORWARD_NOTHING = " ".join(f"-o {option}" for option in NOT_FORWARDED)
# Ssh takes the first of two options that say the same: these are ours to say ...
SSH_FIRST = f"{FORWARD_NOTHING} -o ControlMaster=auto -o ControlPersist=60s -o ControlPath={SOCKET}"
# ... and these ansible_ssh_args may say otherwise.
SSH_LAST = "-o ServerAliveInterval=15 -o ServerAliveCountMax=3"
# A session asks nothing, and leaves out whatever the user's ssh config starts for people, such as
# a tmux or port forwards.
PLAIN_OPTIONS = (
    *NOT_FORWARDED,
    "BatchMode=yes",
    # What a node says before a login is printed from this level on, and may be what a person has
    # to know: Tailscale SSH asks in this way to be visited. Another config may say less.
    "LogLevel=INFO",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
)

# Variables of a host, or of all that the same settings come from.
Variables = Mapping[str, Any]


@dataclass(frozen=True)
class _SshCommand:
    """How ssh is called for hosts of the same settings."""

    # Without host and command; SOCKET stands for each host's own.
    argv: list[str]
    # Ansible's plugin, if a password has to be given: only it can open the master then.
    connection: Any = None


class LinkMaker:
    """Makes the links of one play.

    What Ansible makes of connection settings is asked once for all hosts that have the same.

    task: of the play, or one without; password: what the user was asked for. An action's own play
    context is of no use here: TaskExecutor has put the settings of the play's first host into it.
    """

    def __init__(self, task: Any, password: str = "") -> None:
        self._task = task
        self._password = password
        # By what tells the settings from others; none with a password, whose plugin is of one host.
        self._known: dict[tuple[tuple[str, str], ...], _SshCommand] = {}
        self._programs = Programs()
        # Loaders and templates are not made for threads.
        self._one_at_a_time = threading.Lock()

    def local(self, name: str, python: str | None = None) -> Link:
        """A link to this machine. python: the path of its Python, found by itself if None."""
        return Link(name, name, None, build(), python, known=self._programs, warn=_warn)

    def make(self, name: str, variables: Variables) -> Link:
        """The link of a host with these variables, templated; called from any thread.

        Raises LinkError.
        """
        try:
            with self._one_at_a_time:
                return self._make(name, variables)
        except AnsibleError as exc:
            raise LinkError(
                f"the connection settings of {name} can't be used: {exc}", "settings"
            ) from exc

    def _make(self, name: str, variables: Variables) -> Link:
        reason = why_no_node(name, variables, self._task)
        if reason:
            raise LinkError(reason, "settings")

        python = _python_of(variables)
        if KINDS[_connection_name(variables, self._task)] == "local":
            return self.local(name, python)

        setting_names = C.config.get_plugin_vars("connection", _ssh_plugin_name())
        settings = {key: variables[key] for key in setting_names if key in variables}
        host = _address_of(name, settings)
        command = self._ssh_command(settings)

        key = digest(name, host, command.argv)
        socket = os.path.join(control_folder(cache_file("sockets")), key)
        argv = [word.replace(SOCKET, socket) for word in command.argv]
        opener = None
        if command.connection is not None:
            # The plugin opens the master; sessions of ours must not try to open another.
            ssh_args = command.connection.get_option("ssh_args")
            command.connection.set_option("ssh_args", ssh_args.replace(SOCKET, shlex.quote(socket)))
            argv = [argv[0], "-o", "ControlMaster=no", *argv[1:]]
            opener = _opener(name, command.connection)
        return Link(
            name,
            host,
            argv,
            build(),
            python,
            opener=opener,
            key=key,
            known=self._programs,
            warn=_warn,
        )

    def _ssh_command(self, settings: Variables) -> _SshCommand:
        """How ssh is called with these settings. Raises AnsibleError."""
        same = tuple(
            sorted((key, str(value)) for key, value in settings.items() if key not in OF_ONE_HOST)
        )
        known = self._known.get(same)
        if known is not None:
            return known

        connection = _load_connection(settings, self._task, self._password)
        argv = _ssh_argv(connection)
        if connection.get_option("password"):
            return _SshCommand(argv, connection)
        self._known[same] = _SshCommand(argv)
        return self._known[same]


def _warn(sentence: str) -> None:
    # Who would read it may have gone.
    with contextlib.suppress(OSError):
        Display().warning(sentence)


# -- settings


def settings_of(variables: Variables, task: Any) -> str:
    """What tells the connection settings of a host from others: its variables', and the play's.

    variables: untemplated.
    """
    return digest(
        task.remote_user,
        task.port,
        [(name, str(variables[name])) for name in sorted(_setting_names() & variables.keys())],
    )


def why_no_node(name: str, variables: Variables, task: Any) -> str | None:
    """A sentence for settings that no node can have; None if it can be one."""
    kind = _connection_name(variables, task)
    if kind not in KINDS:
        return f"{name} has the connection {kind}: nodes are reached by ssh or local only"
    become = variables.get("ansible_become", task.become)
    if boolean(become or False, strict=False):
        return (
            f"{name} is set to become another user: agents run as the login user; "
            "unset become for this play"
        )
    return None


@cache
def _setting_names() -> frozenset[str]:
    names = C.config.get_plugin_vars("connection", _ssh_plugin_name())
    return frozenset({"ansible_connection", *names})


@cache
def _ssh_plugin_name() -> str:
    """The name by which Ansible's configuration knows the options of its ssh plugin.

    It reads them when the plugin is loaded, which this does.
    """
    return str(connection_loader.get(SSH, class_only=True)._load_name)


def _connection_name(variables: Variables, task: Any) -> str:
    # The parent's, for the first host's own stands in the task itself. Without a play there is
    # none, and ansible-inventory knows no --connection.
    of_play = task._parent.connection if task._parent else None
    return str(variables.get("ansible_connection", of_play) or C.DEFAULT_TRANSPORT)


def _python_of(variables: Variables) -> str | None:
    """The Python that is set for a host; None where it is to be found."""
    given = str(variables.get("ansible_python_interpreter", "") or "")
    if not given or given.startswith("auto"):
        return None
    return given


def _address_of(name: str, settings: Variables) -> str:
    """What ssh is told to connect to. Raises LinkError."""
    host = str(
        C.config.get_config_value(
            "host",
            plugin_type="connection",
            plugin_name=_ssh_plugin_name(),
            variables={**settings, "inventory_hostname": name},
        )
    )
    if host.startswith("-"):
        raise LinkError(
            f"{name} has the address {host!r}, which ssh would read as an option", "settings"
        )
    return host


# -- Ansible's ssh plugin


def _load_connection(variables: Variables, task: Any, password: str) -> Any:
    """Ansible's ssh plugin, its options set as TaskExecutor sets them."""
    play_context = PlayContext(passwords={"conn_pass": password} if password else None)
    connection = connection_loader.get(SSH, play_context, None)
    task_keys = dict(task.dump_attrs(), timeout=play_context.timeout)
    # The task's retries are another thing than the plugin's option of this name.
    task_keys.pop("retries", None)
    if password:
        task_keys["password"] = password
    connection.set_options(task_keys=task_keys, var_options=dict(variables))

    _value, origin = connection.get_option_and_origin("ssh_args", hostvars=dict(variables))
    given = ""
    if origin != "default":
        # Ansible's own default asks for compression, which costs a sync more than all but the
        # slowest network; what the user sets stays.
        given = connection.get_option("ssh_args") or ""
    connection.set_option("ssh_args", f"{SSH_FIRST} {given} {SSH_LAST}")
    # These come last of all words.
    extra = connection.get_option("ssh_extra_args") or ""
    connection.set_option("ssh_extra_args", f"{extra} {NOT_FORWARDED_FLAGS}")
    # Whether to try again is the scheduler's to say.
    connection.set_option("reconnection_retries", 0)
    return connection


def _ssh_argv(connection: Any) -> list[str]:
    """The plugin's ssh command without host and command.

    Its method is private: this is the one function that calls it.
    """
    words = connection._build_command(connection.get_option("ssh_executable"), "ssh")
    program, *options = map(_as_text, words)
    # This flag would say more of the level than any option.
    options = [word for word in options if word != "-q"]
    plain_options = [word for option in PLAIN_OPTIONS for word in ("-o", option)]
    return [program, *plain_options, *options]


def _as_text(word: str | bytes) -> str:
    if isinstance(word, bytes):
        return word.decode("utf-8", "surrogateescape")
    return str(word)


def _opener(name: str, connection: Any) -> Callable[[str], bytes]:
    """What runs a command through Ansible's plugin, which knows the password.

    Thereby it opens the master. It returns what is printed, and raises LinkError.
    """

    def open_master(command: str) -> bytes:
        try:
            status, out, errors = connection.exec_command(command, sudoable=False)
        except AnsibleError as exc:
            kind = "login" if "password" in str(exc).lower() else "unreachable"
            raise LinkError(str(exc), kind) from exc
        if status:
            words = told_words(f"{_as_text(errors)}\n{_as_text(out)}")
            raise LinkError(
                f"the login runs no command, and says: {words or 'nothing'} (exit status {status})",
                "no_command",
            )
        return bytes(out)

    return open_master
