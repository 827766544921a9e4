"""The ssh command that a person types."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._links.by_hand import typed_words
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import Link
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.program import Program

ARGV = (
    *("ssh", "-o", "ClearAllForwardings=yes", "-o", "BatchMode=yes", "-o", "RemoteCommand=none"),
    *("-o", "ControlMaster=auto", "-o", "ControlPath=/s/abc", "-o", "ServerAliveInterval=15"),
    *("-F", "/a config", "-o", 'User="ann"', "-o", "Port 2222", "-C", "-i", "/key"),
    *("-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=yes", "-a", "-x"),
)


def link(ssh):
    return Link("n1", "host", ssh, Program({}))


def test_only_what_leads_to_the_node_is_left():
    assert typed_words(ARGV) == [
        *("ssh", "-F", "/a config", "-o", 'User="ann"', "-o", "Port 2222", "-i", "/key"),
        *("-o", "StrictHostKeyChecking=yes"),
    ]
    assert link(list(ARGV)).by_hand_words()[-1] == "host"
    assert link(None).by_hand_words() == []


def test_a_link_anew_has_a_socket_of_its_own():
    first = link(list(ARGV))
    sockets = {
        word
        for each in (first, first.anew(), first.anew())
        for word in each.probe_argv(5)
        if word.startswith("ControlPath=")
    }
    assert "ControlPath=/s/abc" in sockets and len(sockets) > 1
    local = link(None)
    assert local.anew() is local and local.config_argv() is None and local.has_master(1)
    password = Link("n1", "host", list(ARGV), Program({}), opener=print)
    assert password.anew() is password and password.asks_password
