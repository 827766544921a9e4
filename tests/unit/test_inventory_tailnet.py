"""The inventory plugin in Ansible's own InventoryManager: hosts, groups, variables, and what it refuses."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil

import pytest
import yaml
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.template import Templar, is_trusted_as_template
from ansible.utils.display import Display
from ansible_collections.distributed.gummy.plugins.inventory import tailnet

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
MEASURED = (FIXTURES / "probe" / "macos_made_by_hand.txt").read_text(encoding="utf-8")
NOT_ASKED = {"load_sources": []}


def peer(label, **more):
    number = sum(label.encode()) % 250
    fields = {"ID": f"n{label}", "DNSName": f"{label}.t.ts.net.", "OS": "linux", "TailscaleIPs": [f"100.64.1.{number}"], "Online": True}
    return {**fields, "Created": "2026-01-01T00:00:00Z", **more}


def status_of(*peers, **more):
    return {"BackendState": "Running", "Self": peer("me"), "MagicDNSSuffix": "t.ts.net", "Peer": dict(enumerate(peers)), **more}


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Writes the sources of an inventory: a status and options."""
    monkeypatch.setattr(C, "INVENTORY_ANY_UNPARSED_IS_FAILED", True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def write(status, options, name="my.tailnet.yml"):
        options = NOT_ASKED if options is None else options
        (tmp_path / "status.json").write_text(status if isinstance(status, str) else json.dumps(status), encoding="utf-8")
        (tmp_path / "ssh_config").write_text("Host known\n  HostName 192.0.2.1\nHost port\n  Port 2222\n", encoding="utf-8")
        data = {"plugin": "distributed.gummy.tailnet", "status_file": "status.json", **options}
        (tmp_path / name).write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}), encoding="utf-8")
        return str(tmp_path / name)

    return write


@pytest.fixture
def load(source):
    def run(status, options=None, **more):
        return InventoryManager(loader=DataLoader(), sources=[source(status, options, **more)])

    return run


@pytest.fixture
def refusal(source):
    """What the user reads when the source is refused; nothing of it may be in the inventory then."""

    def run(status, options=None):
        path, inventory = source(status, options), InventoryData()
        with pytest.raises(AnsibleError) as error:
            inventory_loader.get("distributed.gummy.tailnet").parse(inventory, DataLoader(), path)
        assert not inventory.hosts and set(inventory.groups) == {"all", "ungrouped"}
        return str(error.value)

    return run


def members(inventory):
    return {name: sorted(host.name for host in group.get_hosts()) for name, group in inventory.groups.items() if group.get_hosts()}


def test_groups_say_what_the_network_says(load):
    inventory = load(status_of(peer("web-1", Tags=["tag:web"]), peer("gone", Online=False, OS="macOS")))
    assert members(inventory) == {
        "all": ["gone", "me", "web-1"],
        "tailnet_online": ["me", "web-1"],
        "tailnet_offline": ["gone"],
        "tailnet_self": ["me"],
        "os_linux": ["me", "web-1"],
        "os_macos": ["gone"],
        "tag_web": ["web-1"],
        "gummy_ready": ["me", "web-1"],
    }
    gone = inventory.hosts["gone"].vars
    assert (gone["gummy_facts"]["state"], gone["gummy_facts"]["reason"]) == ("unreachable", "offline, says Tailscale")
    assert inventory.hosts["me"].vars["ansible_connection"] == "local" and "ansible_python_interpreter" not in inventory.hosts["me"].vars


@pytest.mark.parametrize("name", ["home", "team", "headscale", "no_magicdns", "old_client_1_34", "self_only", "nameless_peers", "hostile"])
def test_every_fixture_with_nodes_is_an_inventory(load, name):
    document = json.loads((FIXTURES / "tailscale" / f"{name}.json").read_text(encoding="utf-8"))
    inventory = load(document)
    assert len(inventory.hosts) == len(tailnet.parse_status(json.dumps(document)).peers)
    assert not set(inventory.hosts) & set(inventory.groups)
    assert all("_" in group for group in set(inventory.groups) - {"all", "ungrouped"})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("logged_out.json", "run `sudo tailscale up` and log in"),
        ("stopped_cold.json", "Tailscale is stopped on this machine"),
        ("stopped_warm.json", "Tailscale is stopped on this machine"),
        ("needs_machine_auth.json", "an admin of the tailnet approves it"),
        ("no_state.json", "wait a moment"),
        ("truncated.json", "it may be cut short"),
        ("not_json_macos_gui_failed.txt", "open it once on the desktop"),
    ],
)
def test_every_other_fixture_is_a_sentence_that_names_the_file(refusal, name, sentence):
    text = refusal((FIXTURES / "tailscale" / name).read_text(encoding="utf-8"))
    assert sentence in text and "my.tailnet.yml: " in text


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("plain", {"ansible_host": "{ip}", "ansible_ssh_common_args": "-F {config}"}),
        ("known", {"ansible_host": "known", "ansible_ssh_common_args": "-F {config}"}),
        ("port", {"ansible_host": "port", "ansible_ssh_common_args": "-F {config} -o HostName={ip}"}),
    ],
)
def test_the_ssh_config_decides_how_a_node_is_reached(load, tmp_path, label, expected):
    given = load(status_of(peer(label)), {**NOT_ASKED, "ssh_config_file": "ssh_config"}).hosts[label].vars
    known = {"ip": peer(label)["TailscaleIPs"][0], "config": shlex.quote(str(tmp_path / "ssh_config"))}
    assert {key: given[key] for key in expected} == {key: value.format(**known) for key, value in expected.items()}


@pytest.mark.parametrize("field", ["HostName", "OS", "ID", "KeyExpiry", "Relay", "LoginName", "Tags"])
def test_texts_of_the_network_are_never_templates(load, field):
    evil = "{{ lookup('pipe', 'exit 1') }}"
    odd = peer("odd", UserID=1, Active=True, **({field: [evil] if field == "Tags" else evil} if field != "LoginName" else {}))
    status = status_of(odd, User={"1": {"LoginName": evil}})
    inventory = load(status, {**NOT_ASKED, "compose": {"copied": "gummy_tailnet"}, "keyed_groups": [{"key": "gummy_tailnet.os"}]})
    found = inventory.hosts["odd"].vars
    texts = [str(value) for value in found["gummy_tailnet"].values()]
    assert field == "HostName" or any(evil in text for text in texts)
    assert not any(is_trusted_as_template(value) for value in found["gummy_tailnet"].values())
    assert Templar(loader=DataLoader()).template(found["copied"]) == found["gummy_tailnet"]
    assert all(set(group) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for group in inventory.groups)


def test_no_host_takes_the_name_of_a_group(load, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(Display, "v", lambda self, text, host=None: said.append(text))
    options = {**NOT_ASKED, "groups": {"web": True}, "keyed_groups": [{"key": "gummy_tailnet.os", "separator": ""}]}
    inventory = load(status_of(peer("web"), peer("linux"), peer("x", OS="all")), options)
    assert sorted(inventory.hosts) == ["linux", "me", "x"]
    assert members(inventory)["group_linux"] == ["linux", "me"] and members(inventory)["group_all"] == ["x"]
    assert any(text.endswith("left out web: a group has that name") for text in said)


def test_constructed_options_work(load):
    options = {
        **NOT_ASKED,
        "compose": {"ansible_user": "'deploy'"},
        "groups": {"tagged": "gummy_tailnet.tags | length > 0"},
        "keyed_groups": [{"key": "gummy_tailnet.relay", "prefix": "near"}],
    }
    inventory = load(status_of(peer("a", Tags=["tag:x"], Relay="fra")), options)
    assert members(inventory)["tagged"] == members(inventory)["near_fra"] == ["a"]
    assert inventory.hosts["a"].vars["ansible_user"] == "deploy"


def test_an_expression_that_fails_leaves_nothing_behind(refusal):
    assert "Could not set x" in refusal(status_of(peer("a")), {**NOT_ASKED, "strict": True, "compose": {"x": "nothing.there"}})
    assert "Invalid group name" in refusal(status_of(peer("a")), {**NOT_ASKED, "keyed_groups": [{"key": "7"}]})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"status_fil": "x"}, "status_fil: there is no such option; did you mean 'status_file'?"),
        ({"status_command": "tailscale status", "status_file": None}, "status_command: is no list of words"),
        ({"status_command": [], "status_file": None}, "status_command: is empty"),
        ({"status_command": [1], "status_file": None}, "status_command: is no list of words"),
        ({"status_command": ["true"]}, "status_file: stands beside status_command"),
        ({"status_command": ["no-such-program"], "status_file": None}, "can't start no-such-program"),
        ({"status_file": "nowhere.json"}, "nowhere.json is no file that can be read"),
        ({"status_file": "."}, "status_file: "),
        ({"ssh_config_file": "nowhere"}, "ssh_config_file: "),
        ({"load_sources": ["dw"]}, "load_sources"),
        ({"load_sources": "probe"}, "load_sources: is no list of words"),
        ({"probe_timeout": 0}, "probe_timeout: give a number of seconds"),
        ({"probe_timeout": "soon"}, "probe_timeout"),
        ({"include_self": "perhaps"}, "include_self"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_file_and_option(refusal, options, sentence):
    text = refusal(status_of(peer("a")), options)
    assert sentence in text and "my.tailnet.yml: " in text


def test_a_broken_config_is_an_error(refusal, tmp_path):
    (tmp_path / "config" / "distributed-gummy").mkdir(parents=True)
    (tmp_path / "config" / "distributed-gummy" / "config.yaml").write_text("nodez: {}\n", encoding="utf-8")
    assert "did you mean 'nodes'" in refusal(status_of(peer("a")))


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    """An ssh that reaches "idle", "busy" and "mute", and no other; `ssh -G` is the real one."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *" -G "*|"-G "*) exec {shutil.which("ssh")} "$@" ;; esac\necho "$*" >> {tmp_path}/asked\n'
        'case "$*" in *HostName=100.64.9.1*) printf "%s" "$ANSWER" ;; *HostName=100.64.9.2*) printf "%s" "$ANSWER" | sed "s/busy 0/busy 4/" ;;\n'
        '*HostName=100.64.9.3*) echo "no shell here"; exit 1 ;; *) echo "Connection refused" >&2; exit 255 ;; esac\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWER", MEASURED.replace("busy 1", "busy 0"))
    (tmp_path / "settings").write_text("Host idle busy mute down gone\n  Port 2222\n", encoding="utf-8")
    return tmp_path


def test_nodes_are_grouped_by_what_the_probe_found(load, fake_ssh):
    peers = [peer(name, TailscaleIPs=[f"100.64.9.{number}"]) for number, name in enumerate(("idle", "busy", "mute", "down"), 1)]
    peers.append(peer("gone", Online=False))
    (fake_ssh / "config" / "distributed-gummy").mkdir(parents=True)
    (fake_ssh / "config" / "distributed-gummy" / "config.yaml").write_text(
        "nodes: {idle: {slots: 3}, gone: {slots: 2}}\n", encoding="utf-8"
    )
    inventory = load(status_of(*peers), {"include_self": False, "ssh_config_file": "settings", "probe_timeout": 60})
    facts = {name: host.vars["gummy_facts"] for name, host in inventory.hosts.items()}
    states = {"idle": "measured", "busy": "measured", "mute": "unknown", "down": "unreachable", "gone": "unreachable"}
    assert {name: record["state"] for name, record in facts.items()} == states
    assert (facts["idle"]["slots"]["total"], facts["busy"]["slots"]["total"], facts["gone"]["slots"]["total"]) == (3, 4, 2)
    groups = members(inventory)
    assert (groups["gummy_ready"], groups["gummy_idle"], groups["gummy_busy"]) == (["busy", "idle", "mute"], ["idle"], ["busy"])
    assert "gone" not in (fake_ssh / "asked").read_text(encoding="utf-8")


def test_this_machine_is_measured_without_ssh(load, fake_ssh):
    facts = load(status_of(), {"probe_timeout": 60}).hosts["me"].vars["gummy_facts"]
    assert facts["state"] == "measured" and 0 <= facts["score"] <= 1
    assert not (fake_ssh / "asked").exists()


@pytest.mark.parametrize(
    ("name", "ours"),
    [("tailnet.yml", True), ("my.tailnet.yaml", True), ("hosts.yml", False), ("tailnet.json", False), ("missing.tailnet.yml", False)],
)
def test_files_are_known_by_their_name(tmp_path, name, ours):
    if "missing" not in name:
        (tmp_path / name).write_text("plugin: x\n", encoding="utf-8")
    assert inventory_loader.get("distributed.gummy.tailnet").verify_file(str(tmp_path / name)) is ours


@pytest.mark.parametrize("number", range(len(list(yaml.safe_load_all(tailnet.EXAMPLES)))))
def test_the_examples_work(load, number):
    options = list(yaml.safe_load_all(tailnet.EXAMPLES))[number]
    inventory = load(status_of(peer("a", Tags=["tag:server"])), {**options, "status_command": None, **NOT_ASKED})
    assert "a" in inventory.hosts and ("me" in inventory.hosts) is options.get("include_self", True)


def test_the_shipped_source_names_only_options_that_exist():
    shipped = FIXTURES.parents[1] / "inventory" / "tailnet.yml"
    lines = shipped.read_text(encoding="utf-8").splitlines()
    keys = {
        line.removeprefix("# ").partition(":")[0] for line in lines if line and line.removeprefix("# ").partition(":")[0].isidentifier()
    }
    options = set(yaml.safe_load(tailnet.DOCUMENTATION)["options"]) | {"compose", "groups", "keyed_groups", "strict"}
    assert keys <= options and "include_self" in keys
