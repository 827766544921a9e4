# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links from Ansible's own settings of a host, set as TaskExecutor sets them. This is private to the collection."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import connection_loader

from ._link import SSH_FIRST, Link, LinkError, control_folder, digest
from ._program import build

# It asks nothing, and whatever the user's ssh config starts for people (a tmux, port forwards) is left out.
PLAIN_SESSION = [
    word
    for option in ("BatchMode=yes", "ClearAllForwardings=yes", "PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no")
    for word in ("-o", option)
]
KINDS = {"ssh": "ssh", "ansible.builtin.ssh": "ssh", "smart": "ssh", "local": "local", "ansible.builtin.local": "local"}


def local_link(name: str, python: str | None = None) -> Link:
    return Link(name, name, None, build(), python)


def link_maker(play_context: Any, task: Any, hostvars: Mapping[str, Any]) -> Callable[[str], Link]:
    """A function that makes the link of one host, called when the node is first needed, from any thread. It raises LinkError."""
    one_at_a_time = threading.Lock()  # loaders and templates are not made for threads

    def make(name: str) -> Link:
        with one_at_a_time:
            return make_link(name, hostvars[name], play_context, task)

    return make


def settings_of(variables: Mapping[str, Any], task: Any) -> str:
    """What tells the connection settings of a host from others: of its variables, untemplated, and of the play."""
    names = {"ansible_connection", *C.config.get_plugin_vars("connection", "ssh")} & variables.keys()
    return digest(task.remote_user, task.port, [(name, str(variables[name])) for name in sorted(names)])


def why_no_node(name: str, variables: Mapping[str, Any], play_context: Any, task: Any) -> str | None:
    """A sentence for settings that no node can have."""
    kind, become = _connection(variables, play_context), variables.get("ansible_become", task.become)
    if kind not in KINDS:
        return f"{name} has the connection {kind}: nodes are reached by ssh or local only"
    if boolean(become or False, strict=False):
        return f"{name} is set to become another user: agents run as the login user; unset become for this play"
    return None


def _connection(variables: Mapping[str, Any], play_context: Any) -> str:
    return str(variables.get("ansible_connection", play_context.connection) or C.DEFAULT_TRANSPORT)  # ansible-inventory knows no --connection


def make_link(name: str, variables: Mapping[str, Any], play_context: Any, task: Any) -> Link:
    """The link of a host with these variables, templated. Raises LinkError."""
    try:
        if reason := why_no_node(name, variables, play_context, task):
            raise LinkError(reason, "settings")
        given = str(variables.get("ansible_python_interpreter", "") or "")
        python = None if given.startswith("auto") or not given else given
        if KINDS[_connection(variables, play_context)] == "local":
            return local_link(name, python)
        connection = _connection_plugin(variables, play_context.copy(), task)
        host = str(connection.get_option("host") or name)
        if host.startswith("-"):
            raise LinkError(f"{name} has the address {host!r}, which ssh would read as an option", "settings")
        return _ssh_link(name, host, connection, python)
    except AnsibleError as exc:
        raise LinkError(f"the connection settings of {name} can't be used: {exc}", "settings") from exc


def _connection_plugin(variables: Mapping[str, Any], play_context: Any, task: Any) -> Any:
    connection = connection_loader.get("ansible.builtin.ssh", play_context, None)
    keys = dict(task.dump_attrs(), timeout=play_context.timeout)
    keys.pop("retries", None)
    if play_context.password:
        keys["password"] = play_context.password
    names = C.config.get_plugin_vars("connection", connection._load_name)
    connection.set_options(task_keys=keys, var_options={key: variables[key] for key in names if key in variables})
    return connection


def _ssh_link(name: str, host: str, connection: Any, python: str | None) -> Link:
    user_args = str(connection.get_option("ssh_args") or "")
    password = bool(connection.get_option("password"))
    parts = [connection.get_option(option) for option in ("port", "remote_user", "private_key_file", "ssh_common_args", "ssh_extra_args")]
    key = digest(name, host, user_args, *map(str, parts))
    first = SSH_FIRST.format(master="auto", path=shlex.quote(os.path.join(control_folder(), key)))
    connection.set_option("ssh_args", f"{first} {user_args}")
    connection.set_option("reconnection_retries", 0)
    argv = ssh_argv(connection)
    if not password:
        return Link(name, host, [argv[0], *PLAIN_SESSION, *argv[1:]], build(), python, key=key)

    def opener(command: str) -> None:
        try:
            status, _out, errors = connection.exec_command(command, sudoable=False)
        except AnsibleError as exc:
            raise LinkError(str(exc), "login" if "password" in str(exc).lower() else "unreachable") from exc
        if status:
            raise LinkError(f"{name}: the login works, but `{command}` ends with {status}: {errors!r}", "reply")

    return Link(name, host, [argv[0], *PLAIN_SESSION, "-o", "ControlMaster=no", *argv[1:]], build(), python, opener, key)


def ssh_argv(connection: Any) -> list[str]:
    """The plugin's ssh command without host and command. Its method is private: this is the one place that calls it."""
    words = connection._build_command(connection.get_option("ssh_executable"), "ssh")
    return [word.decode("utf-8", "surrogateescape") if isinstance(word, bytes) else str(word) for word in words]
