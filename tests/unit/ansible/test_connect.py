"""Links from Ansible's settings of a host: what ssh is told, and what no node can have."""

from __future__ import annotations

import subprocess

import pytest
from ansible.playbook.task import Task
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible import connect as _connect
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.connect import (
    LinkMaker,
    settings_of,
    why_no_node,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError


def argv_of(maker=None, name="n", **variables):
    link = (maker or LinkMaker(Task())).make(name, {"ansible_host": name, **variables})
    return link.probe_argv(1.0)


def test_compression_is_asked_for_only_by_the_user():
    def words(**variables):
        return LinkMaker(Task()).make("n", {"ansible_host": "n", **variables}).probe_argv(1.0)

    assert "-C" not in words() and "-C" in words(ansible_ssh_args="-C")


def test_a_session_asks_nothing_and_leaves_out_what_is_for_people():
    argv = argv_of(ansible_port=2222)
    assert {"BatchMode=yes", "RemoteCommand=none", "ClearAllForwardings=yes"} <= {*argv}
    assert "Port=2222" in argv and argv[-2:] == ["n", "/bin/sh -s"]
    assert not [word for word in argv if _connect.SOCKET in word]


HOSTILE_CONFIG = """
Host *
    ForwardAgent yes
    ForwardX11 yes
    ForwardX11Trusted yes
    Tunnel yes
    ClearAllForwardings no
    RemoteForward 2222 localhost:22
    RemoteCommand tmux
    PermitLocalCommand yes
    LocalCommand touch pwned
"""


@pytest.mark.parametrize("password", ["", "secret"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ansible_ssh_args": "-A -X -Y -o ForwardAgent=yes"},
        {"ansible_ssh_common_args": "-A -Y", "ansible_ssh_extra_args": "-A -X -oForwardX11=yes"},
    ],
)
def test_real_ssh_forwards_nothing_whatever_the_user_s_config_and_settings_say(
    tmp_path, variables, password
):
    config = tmp_path / "ssh_config"
    config.write_text(HOSTILE_CONFIG)
    maker = LinkMaker(Task(), password)
    probe = maker.make("n", {"ansible_host": "n", **variables}).probe_argv(1.0)
    # What Ansible's own plugin opens a master with when it knows a password.
    plugin = _connect._load_connection({"ansible_host": "n", **variables}, Task(), password)
    opened = plugin._build_command("ssh", "ssh", "n")
    words = [_connect._as_text(word) for word in opened]
    master = words[words.index("ssh") :]

    for program, *options in (probe[:-1], master):
        asked = subprocess.run(
            [program, "-F", str(config), "-G", *options],
            capture_output=True,
            text=True,
            check=True,
        )
        effective = {line.lower() for line in asked.stdout.splitlines()}
        assert {
            "forwardagent no",
            "forwardx11 no",
            "clearallforwardings yes",
            "tunnel false",
        } <= effective


def test_hosts_of_the_same_settings_are_asked_for_once_and_have_a_socket_each(monkeypatch):
    loaded = []
    load = _connect._load_connection
    monkeypatch.setattr(
        _connect, "_load_connection", lambda *args: loaded.append(args) or load(*args)
    )
    maker = LinkMaker(Task())
    links = [maker.make(name, {"ansible_host": f"{name}.net"}) for name in ("a", "b")]
    maker.make("c", {"ansible_port": 2222})
    assert len(loaded) == 2 and links[0].key != links[1].key
    assert links[0].probe_argv(1.0)[-2] == "a.net"


def test_with_a_password_ansible_s_plugin_opens_the_master_and_our_sessions_do_not():
    maker = LinkMaker(Task(), "secret")
    argv = argv_of(maker)
    first = argv.index("ControlMaster=no")
    assert first < argv.index("ControlMaster=auto") and "secret" not in " ".join(argv)
    assert (
        maker.make("n", {})._opener is not None and LinkMaker(Task()).make("n", {})._opener is None
    )


def test_a_local_host_needs_no_ssh_and_a_given_python_is_taken():
    link = LinkMaker(Task()).make(
        "n", {"ansible_connection": "local", "ansible_python_interpreter": "/opt/python"}
    )
    assert link.probe_argv(1.0) == ["/bin/sh", "-s"] and link._given_python == "/opt/python"
    auto = {"ansible_connection": "local", "ansible_python_interpreter": "auto_silent"}
    assert LinkMaker(Task()).make("n", auto)._given_python is None


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ansible_connection": "winrm"}, "n has the connection winrm"),
        ({"ansible_become": "yes"}, "n is set to become another user"),
        ({"ansible_host": "-oProxyCommand=x"}, "which ssh would read as an option"),
        ({"ansible_port": "many"}, "the connection settings of n can't be used"),
    ],
)
def test_settings_that_no_node_can_have_are_a_link_error(variables, sentence):
    with pytest.raises(LinkError, match=sentence) as refused:
        LinkMaker(Task()).make("n", variables)
    assert refused.value.kind == "settings"


def test_a_node_may_be_set_not_to_become_anybody():
    assert why_no_node("n", {"ansible_become": "no"}, Task()) is None


def test_settings_are_told_apart_by_what_the_connection_uses_and_by_nothing_else():
    plain = settings_of({"ansible_host": "n", "other": 1}, Task())
    assert plain == settings_of({"ansible_host": "n", "other": 2}, Task())
    assert plain != settings_of({"ansible_host": "m"}, Task())
    assert plain != settings_of({"ansible_host": "n", "ansible_connection": "local"}, Task())
