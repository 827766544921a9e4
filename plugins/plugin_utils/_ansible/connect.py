# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links from Ansible's own settings of a host, set as TaskExecutor sets them."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from .._links.link import Link, LinkError, control_folder, digest
from .._links.program import build

SSH = "ansible.builtin.ssh"
OF_ONE_HOST = frozenset(
    {
        "ansible_host",
        "ansible_ssh_host",
        "inventory_hostname",
        "delegated_vars['ansible_host']",
        "delegated_vars['ansible_ssh_host']",
    }
)
# Each host's own takes its place.
SOCKET = "@gummy-socket@"
SSH_FIRST = f"-o ControlMaster=auto -o ControlPersist=60s -o ControlPath={SOCKET}"
# Ssh takes the first of two: ansible_ssh_args may say otherwise.
SSH_LAST = "-o ServerAliveInterval=15 -o ServerAliveCountMax=3"
# It asks nothing, and whatever the user's ssh config starts for people (a tmux, port forwards) is
# left out.
PLAIN_SESSION = [
    word
    for option in (
        "BatchMode=yes",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "RequestTTY=no",
    )
    for word in ("-o", option)
]
KINDS = {
    "ssh": "ssh",
    "ansible.builtin.ssh": "ssh",
    "smart": "ssh",
    "local": "local",
    "ansible.builtin.local": "local",
}


def local_link(name: str, python: str | None = None) -> Link:
    return Link(name, name, None, build(), python)


class LinkMaker:
    """Makes the links of one play.

    What Ansible makes of connection settings is asked once for all hosts that have the same.

    task: of the play, or one without; password: what the user was asked for. An action's own play
    context is of no use here: TaskExecutor has put the settings of the play's first host into it.
    """

    def __init__(self, task: Any, password: str = "") -> None:
        self._task = task
        self._password = password
        self._argv: dict[tuple[tuple[str, str], ...], list[str]] = {}
        # Loaders and templates are not made for threads.
        self._one_at_a_time = threading.Lock()

    def make(self, name: str, variables: Mapping[str, Any]) -> Link:
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

    def _make(self, name: str, variables: Mapping[str, Any]) -> Link:
        if reason := why_no_node(name, variables, self._task):
            raise LinkError(reason, "settings")
        given = str(variables.get("ansible_python_interpreter", "") or "")
        python = None if given.startswith("auto") or not given else given
        if KINDS[_connection(variables, self._task)] == "local":
            return local_link(name, python)
        known = {
            key: variables[key]
            for key in C.config.get_plugin_vars("connection", _ssh_plugin())
            if key in variables
        }
        named = {**known, "inventory_hostname": name}
        host = str(
            C.config.get_config_value(
                "host", plugin_type="connection", plugin_name=_ssh_plugin(), variables=named
            )
        )
        if host.startswith("-"):
            raise LinkError(
                f"{name} has the address {host!r}, which ssh would read as an option", "settings"
            )
        same = tuple(
            sorted((key, str(value)) for key, value in known.items() if key not in OF_ONE_HOST)
        )
        argv = self._argv.get(same)
        connection = None
        if argv is None:
            connection = _connection_plugin(known, self._task, self._password)
            argv = _ssh_argv(connection)
            if not connection.get_option("password"):
                self._argv[same] = argv
                connection = None
        key = digest(name, host, argv)
        socket = os.path.join(control_folder(), key)
        words = [word.replace(SOCKET, socket) for word in argv]
        if connection is None:
            return Link(name, host, words, build(), python, key=key)
        connection.set_option(
            "ssh_args", connection.get_option("ssh_args").replace(SOCKET, shlex.quote(socket))
        )
        return Link(
            name,
            host,
            [words[0], "-o", "ControlMaster=no", *words[1:]],
            build(),
            python,
            opener=_opener(name, connection),
            key=key,
        )


@cache
def _setting_names() -> frozenset[str]:
    return frozenset({"ansible_connection", *C.config.get_plugin_vars("connection", _ssh_plugin())})


@cache
def _ssh_plugin() -> str:
    """The name under which Ansible's configuration knows the options of its ssh plugin, which it
    reads when the plugin is loaded.
    """
    return str(connection_loader.get(SSH, class_only=True)._load_name)


def settings_of(variables: Mapping[str, Any], task: Any) -> str:
    """What tells the connection settings of a host from others: of its variables, untemplated, and
    of the play.
    """
    return digest(
        task.remote_user,
        task.port,
        [(name, str(variables[name])) for name in sorted(_setting_names() & variables.keys())],
    )


def why_no_node(name: str, variables: Mapping[str, Any], task: Any) -> str | None:
    """A sentence for settings that no node can have."""
    kind = _connection(variables, task)
    become = variables.get("ansible_become", task.become)
    if kind not in KINDS:
        return f"{name} has the connection {kind}: nodes are reached by ssh or local only"
    if boolean(become or False, strict=False):
        return f"{name} is set to become another user: agents run as the login user; unset become for this play"
    return None


def _connection(variables: Mapping[str, Any], task: Any) -> str:
    # The parent's, for the first host's own stands in the task itself. Without a play there is
    # none, and ansible-inventory knows no --connection.
    of_play = task._parent.connection if task._parent else None
    return str(variables.get("ansible_connection", of_play) or C.DEFAULT_TRANSPORT)


def _connection_plugin(variables: Mapping[str, Any], task: Any, password: str) -> Any:
    """Ansible's ssh plugin, its options set as TaskExecutor sets them."""
    play_context = PlayContext(passwords={"conn_pass": password} if password else None)
    connection = connection_loader.get(SSH, play_context, None)
    keys = dict(task.dump_attrs(), timeout=play_context.timeout)
    keys.pop("retries", None)
    if password:
        keys["password"] = password
    connection.set_options(task_keys=keys, var_options=dict(variables))
    _value, origin = connection.get_option_and_origin("ssh_args", hostvars=dict(variables))
    # Ansible's own default asks for compression, which costs a sync more than all but the slowest
    # network; what the user sets stays
    given = "" if origin == "default" else connection.get_option("ssh_args") or ""
    connection.set_option("ssh_args", f"{SSH_FIRST} {given} {SSH_LAST}")
    connection.set_option("reconnection_retries", 0)
    return connection


def _ssh_argv(connection: Any) -> list[str]:
    """The plugin's ssh command without host and command.

    Its method is private: this is the one place that calls it.
    """
    words = connection._build_command(connection.get_option("ssh_executable"), "ssh")
    first, *others = [
        word.decode("utf-8", "surrogateescape") if isinstance(word, bytes) else str(word)
        for word in words
    ]
    return [first, *PLAIN_SESSION, *others]


def _opener(name: str, connection: Any) -> Callable[[str], None]:
    """Runs a command through Ansible's plugin, which knows the password, and thereby opens the
    master. It raises LinkError.
    """

    def opener(command: str) -> None:
        try:
            status, _out, errors = connection.exec_command(command, sudoable=False)
        except AnsibleError as exc:
            raise LinkError(
                str(exc), "login" if "password" in str(exc).lower() else "unreachable"
            ) from exc
        if status:
            raise LinkError(
                f"{name}: the login works, but `{command}` ends with {status}: {errors!r}", "reply"
            )

    return opener
