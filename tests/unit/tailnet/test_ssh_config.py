"""The join with the user's ssh config, asked of the real `ssh -G`."""

from __future__ import annotations

import contextlib
import shlex

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet import ssh_config
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet.ssh_config import (
    Reach,
    proxy_command,
    routes,
)

CONFIG = """
Include "{folder}/more" {folder}/missing*
Host mapped
    HostName 192.0.2.7
    Port 2222
HOST=named
    User deploy
    IdentityFile ~/.ssh/deploy
Host jump* "quoted" !notme
    ProxyJump bastion
Host my-gpu other-name
    HostName 100.64.0.7
    User me
Host six
    HostName FD7A:115C:A1E0::7
Host full
    HostName full.t.ts.net.
Host *.t.ts.net !public.t.ts.net
    User admin
Host behind
    HostName short
    ProxyJump bastion
Host short-alias
    HostName short
Host stolen
    HostName 100.64.0.7
Host -oProxyCommand=x {{{{evil}}}} we;rd
    Port 1
Match originalhost matched
    Port 2200
"""
# node: (full name, its address)
NODES = {
    "mapped": "100.64.0.1",
    "included": "100.64.0.2",
    "named": "100.64.0.3",
    "jump1": "100.64.0.4",
    "stranger": "100.64.0.5",
    "quoted": "100.64.0.6",
    "gpu": "100.64.0.7",
    "sixth": "100.64.0.8",
    "fully": "100.64.0.9",
    "short": "100.64.0.10",
    "stolen": "100.64.0.11",
    "matched": "100.64.0.12",
    "no": "100.64.0.13",
    "notme": "100.64.0.14",
}


def reach(label, suffix="elsewhere.ts.net"):
    more = ("fd7a:115c:a1e0::7",) if label == "sixth" else ()
    name = "full.t.ts.net" if label == "fully" else f"{label}.{suffix}"
    return Reach(name, (NODES.get(label, "100.64.0.99"), *more))


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "with a blank"
    folder.mkdir()
    (folder / "more").write_text("Host inclu?ed\n  HostName 192.0.2.8\n", encoding="utf-8")
    (folder / "config").write_text(
        CONFIG.replace("{folder}/missing", "missing").format(folder=folder), encoding="utf-8"
    )
    return str(folder / "config")


@pytest.mark.parametrize(
    ("name", "destination", "option"),
    [
        ("mapped", "mapped", None),
        ("included", "included", None),
        ("named", "named", "HostName=100.64.0.3"),
        ("jump1", "jump1", "HostName=100.64.0.4"),
        ("quoted", "quoted", "HostName=100.64.0.6"),
        ("stranger", "100.64.0.5", None),
        ("no", "100.64.0.13", None),
        ("notme", "100.64.0.14", None),
        ("gpu", "my-gpu", None),
        ("sixth", "six", None),
        ("fully", "full", None),
        ("short", "short-alias", None),
        ("stolen", "100.64.0.11", None),
        ("matched", "matched", "HostName=100.64.0.12"),
    ],
)
def test_settings_for_a_node_hold_and_others_go_by_their_address(config, name, destination, option):
    found, complaint = routes({each: reach(each) for each in NODES}, config)
    words = ["-F", config, *(["-o", option] if option else [])]
    variables = found[name].host_vars()
    assert (found[name].destination, list(found[name].words), complaint) == (
        destination,
        words,
        None,
    )
    assert (
        variables["ansible_host"] == destination
        and shlex.split(variables["ansible_ssh_common_args"]) == words
    )


def test_settings_for_full_names_hold(config):
    found, _complaint = routes(
        {"gate": reach("gate", "t.ts.net"), "public": reach("public", "t.ts.net")}, config
    )
    assert (
        found["gate"].destination == "gate.t.ts.net"
        and found["gate"].words[-1] == "HostName=100.64.0.99"
    )
    assert found["public"].destination == "100.64.0.99"


def test_only_names_that_the_config_knows_are_asked_about(config, monkeypatch):
    asked = []
    monkeypatch.setattr(ssh_config, "_ask", lambda names, base, timeout: asked.extend(names) or {})
    names = ssh_config.read_names(config)
    assert {
        "mapped",
        "my-gpu",
        "other-name",
        "quoted",
        "notme",
        "matched",
        "public.t.ts.net",
    } <= set(names.aliases)
    assert not [name for name in names.aliases if set(name) & set("{};") or name.startswith("-")]
    assert names.known(["jump7", "x.t.ts.net", "stranger", "mapped", "jump[1]"]) == [
        "jump7",
        "x.t.ts.net",
        "mapped",
        "jump[1]",
    ]
    assert not names.any_name
    with contextlib.suppress(KeyError):
        routes({f"node-{number}": reach("stranger") for number in range(5000)}, config)
    assert asked == [ssh_config.NOBODY]


def test_includes_that_go_in_a_circle_end(tmp_path):
    config = tmp_path / "config"
    config.write_text(f"Include {config}\nHost a\n", encoding="utf-8")
    assert list(ssh_config.read_names(str(config)).aliases) == ["a"]


def test_a_match_that_runs_a_program_may_be_about_any_node(tmp_path):
    config = tmp_path / "config"
    config.write_text('Match exec "test %n = a"\n  Port 2200\n', encoding="utf-8")
    found, _complaint = routes({"a": reach("a"), "b": reach("b")}, str(config))
    assert (found["a"].destination, found["b"].destination) == ("a", "100.64.0.99")


def test_a_setting_for_every_host_maps_every_host(tmp_path):
    config = tmp_path / "config"
    config.write_text("Host *\n  HostName %h.example.com\n  User me\n", encoding="utf-8")
    assert routes({"a": reach("a")}, str(config))[0]["a"].destination == "a"
    config.write_text("Host *\n  User me\n", encoding="utf-8")
    assert routes({"a": reach("a")}, str(config))[0]["a"].destination == "100.64.0.99"


def test_without_a_network_interface_nodes_go_through_tailscale_but_not_those_with_an_own_way(
    config,
):
    found, _complaint = routes(
        {each: reach(each) for each in NODES}, config, proxy_command(["tail scale", "--socket=/x"])
    )
    proxied = {
        name
        for name, route in found.items()
        if route.words[-1] == "ProxyCommand='tail scale' --socket=/x nc %h %p"
    }
    assert proxied == {
        "stranger",
        "no",
        "notme",
        "gpu",
        "sixth",
        "fully",
        "short",
        "stolen",
        "named",
        "matched",
    }


def test_a_config_that_ssh_refuses_leaves_the_addresses_and_says_why(tmp_path):
    config = tmp_path / "config"
    config.write_text("Nonsense yes\n", encoding="utf-8")
    found, complaint = routes({"a": reach("a")}, str(config))
    assert (
        found["a"].destination == "100.64.0.99"
        and "terminating, 1 bad configuration options" in complaint
    )


def test_without_ssh_the_addresses_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found, complaint = routes({"a": reach("a")})
    assert (
        found["a"].host_vars() == {"ansible_host": "100.64.0.99"} and "can't start ssh" in complaint
    )


def test_no_nodes_ask_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert routes({}) == ({}, None)
