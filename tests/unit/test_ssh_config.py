"""The join with the user's ssh config, asked of the real `ssh -G`."""

from __future__ import annotations

import shlex

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._ssh_config import routes

CONFIG = """
Include "{folder}/more"
Host mapped
    HostName 192.0.2.7
    Port 2222
Host named
    User deploy
    IdentityFile ~/.ssh/deploy
Host jump*
    ProxyJump bastion
"""


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "with a blank"
    folder.mkdir()
    (folder / "more").write_text("Host inclu?ed\n  HostName 192.0.2.8\n", encoding="utf-8")
    file = folder / "config"
    file.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("name", "destination", "option"),
    [
        ("mapped", "mapped", None),
        ("included", "included", None),
        ("named", "named", "HostName=100.64.0.9"),
        ("jump1", "jump1", "HostName=100.64.0.9"),
        ("stranger", "100.64.0.9", None),
        ("no", "100.64.0.9", None),
    ],
)
def test_settings_for_a_name_hold_and_others_go_by_their_address(config, name, destination, option):
    found, complaint = routes({name: "100.64.0.9", "other": "100.64.0.1"}, config)
    words = ["-F", config, *(["-o", option] if option else [])]
    variables = found[name].host_vars()
    assert (found[name].destination, list(found[name].words), complaint) == (destination, words, None)
    assert variables["ansible_host"] == destination and shlex.split(variables["ansible_ssh_common_args"]) == words


def test_a_setting_for_every_host_maps_every_host(tmp_path):
    config = tmp_path / "config"
    config.write_text("Host *\n  HostName %h.example.com\n  User me\n", encoding="utf-8")
    assert routes({"a": "100.64.0.9"}, str(config))[0]["a"].destination == "a"
    config.write_text("Host *\n  User me\n", encoding="utf-8")
    assert routes({"a": "100.64.0.9"}, str(config))[0]["a"].destination == "100.64.0.9"


def test_a_config_that_ssh_refuses_leaves_the_addresses_and_says_why(tmp_path):
    config = tmp_path / "config"
    config.write_text("Nonsense yes\n", encoding="utf-8")
    found, complaint = routes({"a": "100.64.0.9"}, str(config))
    assert found["a"].destination == "100.64.0.9" and "terminating, 1 bad configuration options" in complaint


def test_without_ssh_the_addresses_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found, complaint = routes({"a": "100.64.0.9"})
    assert found["a"].host_vars() == {"ansible_host": "100.64.0.9"} and "can't start ssh" in complaint


def test_no_nodes_ask_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert routes({}) == ({}, None)
