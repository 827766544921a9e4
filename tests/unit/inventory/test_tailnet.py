"""The inventory plugin in Ansible's own InventoryManager: hosts, groups, variables, and what it
refuses.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys

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
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet import left_out
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet import status as tailscale

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
MEASURED = (FIXTURES / "probe" / "macos_made_by_hand.txt").read_text(encoding="utf-8")
NOT_ASKED = {"load_sources": []}


def peer(label, **more):
    number = sum(label.encode()) % 250
    fields = {
        "ID": f"n{label}",
        "DNSName": f"{label}.t.ts.net.",
        "OS": "linux",
        "TailscaleIPs": [f"100.64.1.{number}"],
        "Online": True,
    }
    return {**fields, "Created": "2026-01-01T00:00:00Z", **more}


def status_of(*peers, **more):
    return {
        "BackendState": "Running",
        "Self": peer("me"),
        "MagicDNSSuffix": "t.ts.net",
        "Peer": dict(enumerate(peers)),
        **more,
    }


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Writes the sources of an inventory: a status and options."""
    monkeypatch.setattr(C, "INVENTORY_ANY_UNPARSED_IS_FAILED", True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(status, options, name="my.tailnet.yml"):
        options = NOT_ASKED if options is None else options
        (tmp_path / "status.json").write_text(
            status if isinstance(status, str) else json.dumps(status), encoding="utf-8"
        )
        (tmp_path / "ssh_config").write_text(
            "Host known\n  HostName 192.0.2.1\nHost port\n  Port 2222\n", encoding="utf-8"
        )
        data = {"plugin": "distributed.gummy.tailnet", "status_file": "status.json", **options}
        (tmp_path / name).write_text(
            yaml.safe_dump({key: value for key, value in data.items() if value is not None}),
            encoding="utf-8",
        )
        return str(tmp_path / name)

    return write


@pytest.fixture
def load(source):
    def run(status, options=None, **more):
        return InventoryManager(loader=DataLoader(), sources=[source(status, options, **more)])

    return run


@pytest.fixture
def said(monkeypatch):
    """What the user reads: warnings, and what -v shows."""
    lines = []
    for method in ("warning", "v"):
        monkeypatch.setattr(Display, method, lambda self, text, *more, **named: lines.append(text))
    return lines


@pytest.fixture
def refusal(source):
    """What the user reads when the source is refused; nothing of it is in the inventory then."""

    def run(status, options=None):
        path = source(status, options)
        inventory = InventoryData()
        with pytest.raises(AnsibleError) as error:
            inventory_loader.get("distributed.gummy.tailnet").parse(inventory, DataLoader(), path)
        assert not inventory.hosts and set(inventory.groups) == {"all", "ungrouped"}
        return str(error.value)

    return run


def members(inventory):
    return {
        name: sorted(host.name for host in group.get_hosts())
        for name, group in inventory.groups.items()
        if group.get_hosts()
    }


def test_groups_say_what_the_network_says(load):
    inventory = load(
        status_of(peer("web-1", Tags=["tag:web"]), peer("gone", Online=False, OS="macOS"))
    )
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
    assert (gone["gummy_facts"]["state"], gone["gummy_facts"]["reason"]) == (
        "unreachable",
        "offline, says Tailscale",
    )
    assert (
        inventory.hosts["me"].vars["ansible_connection"] == "local"
        and "ansible_python_interpreter" not in inventory.hosts["me"].vars
    )


# What is left out of each fixture, by a part of the reason.
LEFT_OUT = {
    "home": {"a phone": 2},
    "team": {
        "another tailnet": 2,
        "sharing or funnel": 4,
        "Mullvad": 6,
        "a phone": 2,
        "a TV": 1,
        "Windows": 2,
        "expired": 1,
    },
    "headscale": {"Windows": 1, "expired": 1},
    "no_magicdns": {},
    "old_client_1_34": {},
    "self_only": {},
    "nameless_peers": {"no name": 4},
    "hostile": {
        "reserves": 3,
        "sharing": 1,
        "no Tailscale address": 4,
        "belongs to": 1,
        "no name": 1,
        "another tailnet": 1,
        "no plain": 2,
    },
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_every_fixture_with_nodes_is_an_inventory_and_tells_what_it_left_out(
    load, said, tmp_path, name
):
    document = json.loads((FIXTURES / "tailscale" / f"{name}.json").read_text(encoding="utf-8"))
    inventory = load(document)
    expected = tailnet.parse_status(json.dumps(document)).peers
    assert {host.name: host.vars["gummy_tailnet"] for host in inventory.hosts.values()} == {
        peer.name: peer.facts for peer in expected
    }
    assert not set(inventory.hosts) & set(inventory.groups)
    assert all("_" in group for group in set(inventory.groups) - {"all", "ungrouped"})
    told = [line for line in said if ": left out " in line]
    reasons = {reason: sum(reason in line for line in told) for reason in LEFT_OUT[name]}
    assert reasons == LEFT_OUT[name] and len(told) == sum(reasons.values()), told
    assert left_out.LEFT_OUT[str(tmp_path / "my.tailnet.yml")] == tuple(
        tuple(line.partition(": left out ")[2].split(": ", 1)) for line in told
    )


@pytest.mark.parametrize(
    ("name", "machine", "sentence"),
    [
        ("logged_out.json", "desk", "run `sudo tailscale up` and log in"),
        ("stopped_cold.json", "desk", "Tailscale is stopped on this machine"),
        ("stopped_warm.json", "desk", "Tailscale is stopped on this machine"),
        ("needs_machine_auth.json", "pending", "an admin of the tailnet approves it"),
        ("no_state.json", "desk", "wait a moment"),
        ("truncated.json", "own", "it may be cut short"),
        ("not_json_macos_gui_failed.txt", "own", "open it once on the desktop"),
    ],
)
def test_every_other_fixture_is_a_warning_with_advice_and_this_machine(
    load, said, monkeypatch, name, machine, sentence
):
    monkeypatch.setattr(platform, "node", lambda: "own")
    inventory = load(
        (FIXTURES / "tailscale" / name).read_text(encoding="utf-8"), {"probe_timeout": 60}
    )
    assert (
        list(inventory.hosts) == [machine]
        and inventory.hosts[machine].vars["ansible_connection"] == "local"
    )
    assert inventory.hosts[machine].vars["gummy_facts"]["state"] == "measured" and members(
        inventory
    )["gummy_ready"] == [machine]
    assert "tailnet_online" not in inventory.groups and members(inventory)["tailnet_self"] == [
        machine
    ]
    (warning,) = [line for line in said if sentence in line]
    assert "my.tailnet.yml: this machine is the only node: " in warning


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["no-such-program"], "can't start no-such-program"),
        (["sleep", "60"], "is tailscaled stuck?"),
        (["yes"], "more than 1 kB of output"),
        (
            ["sh", "-c", "echo failed to connect to local tailscaled >&2; exit 1"],
            "tailscaled does not run: start it",
        ),
    ],
)
def test_a_tailscale_that_fails_is_a_warning_with_advice_and_this_machine(
    load, said, monkeypatch, command, sentence
):
    monkeypatch.setattr(tailscale, "TIMEOUT", 0.3 if command[0] == "sleep" else 30.0)
    monkeypatch.setattr(tailscale, "CAP", 1024)
    monkeypatch.setattr(platform, "node", lambda: "own")
    inventory = load(status_of(), {**NOT_ASKED, "status_command": command, "status_file": None})
    assert list(inventory.hosts) == ["own"] and any(
        sentence in line and "this machine is the only node" in line for line in said
    )
    alone = load(
        status_of(),
        {**NOT_ASKED, "status_command": command, "status_file": None, "include_self": False},
    )
    assert not alone.hosts and any("there is no node: " in line for line in said)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("plain", {"ansible_host": "{ip}", "ansible_ssh_common_args": "-F {config}"}),
        ("known", {"ansible_host": "known", "ansible_ssh_common_args": "-F {config}"}),
        (
            "port",
            {"ansible_host": "port", "ansible_ssh_common_args": "-F {config} -o HostName={ip}"},
        ),
    ],
)
def test_the_ssh_config_decides_how_a_node_is_reached(load, tmp_path, label, expected):
    given = (
        load(status_of(peer(label)), {**NOT_ASKED, "ssh_config_file": "ssh_config"})
        .hosts[label]
        .vars
    )
    known = {
        "ip": peer(label)["TailscaleIPs"][0],
        "config": shlex.quote(str(tmp_path / "ssh_config")),
    }
    assert {key: given[key] for key in expected} == {
        key: value.format(**known) for key, value in expected.items()
    }


EVIL = "{{ lookup('pipe', 'touch '~('%2f' | urldecode)~'tmp'~('%2f' | urldecode)~'pwned') }}"
SHOWN = (
    "HostName",
    "Relay",
    "CurAddr",
    "PeerRelay",
    "KeyExpiry",
    "PublicKey",
    "LastSeen",
    "sshHostKeys",
)
FIELDS = [
    *(key for key, value in peer("x").items() if isinstance(value, str)),
    *SHOWN,
    "Tags",
    "TailscaleIPs",
    "UserID",
    "Location",
]


def test_texts_of_the_network_are_never_templates(load, source, ansible_env):
    """Every string field there is, each on a machine of its own; not in Ansible, and not in what
    `ansible-inventory --list` prints.
    """
    lists = ("Tags", "TailscaleIPs", "sshHostKeys")
    peers = [
        peer(
            f"odd-{field.lower()}",
            UserID=1,
            Active=True,
            TailscaleIPs=[f"100.64.7.{number}"],
            **{field: [EVIL] if field in lists else EVIL},
        )
        for number, field in enumerate(FIELDS)
        if field not in ("UserID", "TailscaleIPs")
    ]
    peers += [
        peer("odd-userid", UserID=2),
        peer("odd-ips", TailscaleIPs=[EVIL, "100.64.7.99"]),
        peer("fine", Tags=["tag:a"]),
    ]
    users = {"1": {"LoginName": "alice@example.com"}, "2": {"LoginName": EVIL, "DisplayName": EVIL}}
    status = status_of(
        *peers, User=users, Version=EVIL, Health=[EVIL], AuthURL=EVIL, CertDomains=[EVIL]
    )
    keys = [
        {"key": f"gummy_tailnet.{name}"} for name in ("os", "relay", "user", "tags", "key_expiry")
    ]
    options = {**NOT_ASKED, "compose": {"copied": "gummy_tailnet"}, "keyed_groups": keys}
    inventory = load(status, options)
    evil = [
        text
        for host in inventory.hosts.values()
        for text in texts_in(host.vars["gummy_tailnet"])
        if "{{" in text
    ]
    # Id, os, relay, key_expiry, tags, user: what the plugin passes on.
    assert set(evil) == {EVIL} and len(evil) >= 6
    for host in inventory.hosts.values():
        assert not any(is_trusted_as_template(text) for text in texts_in(host.vars) if "{{" in text)
        assert (
            Templar(loader=DataLoader()).template(host.vars["copied"]) == host.vars["gummy_tailnet"]
        )
    assert all(
        set(group) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for group in inventory.groups
    )
    command = [
        sys.executable,
        "-m",
        "ansible",
        "inventory",
        "-i",
        source(status, options),
        "--list",
    ]
    listed = json.loads(
        subprocess.run(command, env=ansible_env, capture_output=True, text=True, check=True).stdout
    )
    rows = listed["_meta"]["hostvars"]
    # No wrapper around what is plain.
    assert set(rows) == set(inventory.hosts) and rows["fine"]["gummy_tailnet"]["tags"] == ["tag:a"]
    assert {key for row in rows.values() for key in wrappers(row)} == {
        "__ansible_unsafe"
    } and not pathlib.Path("/tmp/pwned").exists()


def test_a_network_whose_own_name_is_a_template_is_not_believed(load, monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "own")
    me = peer("me", DNSName=f"me.{EVIL}.")
    inventory = load(status_of(me=me, MagicDNSSuffix=EVIL))
    assert not any(
        "{{" in text for host in inventory.hosts.values() for text in texts_in(host.vars)
    )


def texts_in(value):
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts_in(item)]
    return (
        [text for item in value for text in texts_in(item)]
        if isinstance(value, list)
        else [value]
        if isinstance(value, str)
        else []
    )


def wrappers(value):
    """Keys of dicts that hold a template."""
    if isinstance(value, dict):
        return [key for key, item in value.items() if isinstance(item, str) and "{{" in item] + [
            key for item in value.values() for key in wrappers(item)
        ]
    return [key for item in value for key in wrappers(item)] if isinstance(value, list) else []


def test_no_host_takes_the_name_of_a_group(load, said):
    options = {
        **NOT_ASKED,
        "groups": {"web": True},
        "keyed_groups": [{"key": "gummy_tailnet.os", "separator": ""}],
    }
    inventory = load(status_of(peer("web"), peer("linux"), peer("x", OS="all")), options)
    assert sorted(inventory.hosts) == ["linux", "me", "x"]
    assert members(inventory)["group_linux"] == ["linux", "me"] and members(inventory)[
        "group_all"
    ] == ["x"]
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
    assert "Could not set x" in refusal(
        status_of(peer("a")), {**NOT_ASKED, "strict": True, "compose": {"x": "nothing.there"}}
    )
    assert "Invalid group name" in refusal(
        status_of(peer("a")), {**NOT_ASKED, "keyed_groups": [{"key": "7"}]}
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"status_fil": "x"}, "status_fil: there is no such option; did you mean 'status_file'?"),
        (
            {"status_command": "tailscale status", "status_file": None},
            "status_command: is no list of words",
        ),
        ({"status_command": [], "status_file": None}, "status_command: is empty"),
        ({"status_command": [1], "status_file": None}, "status_command: is no list of words"),
        ({"status_command": ["true"]}, "status_file: stands beside status_command"),
        ({"socket": "/run/x.sock"}, "socket: stands beside status_file"),
        ({"tags": "web"}, "tags: is no list of words"),
        ({"os": [1]}, "os: is no list of words"),
        ({"exclude": {"a": 1}}, "'exclude'"),
        ({"user": ["x"]}, "user: there is no such option; did you mean 'users'?"),
        ({"status_file": "nowhere.json"}, "nowhere.json is no file that can be read"),
        ({"status_file": "."}, "status_file: "),
        ({"ssh_config_file": "nowhere"}, "ssh_config_file: "),
        ({"load_sources": ["dv"]}, "load_sources"),
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
    (tmp_path / "config" / "distributed-gummy" / "config.yaml").write_text(
        "nodez: {}\n", encoding="utf-8"
    )
    assert "did you mean 'nodes'" in refusal(status_of(peer("a")))


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    """An ssh that reaches "idle", "busy" and "mute", and no other; `ssh -G` is the real one."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *" -G "*|"-G "*) exec {shutil.which("ssh")} "$@" ;; esac\n'
        f'echo "$*" >> {tmp_path}/asked\n'
        'case "$*" in\n'
        '*100.64.9.1*) printf "%s" "$ANSWER" ;;\n'
        '*100.64.9.2*) printf "%s" "$ANSWER" | sed "s/busy 0/busy 4/" ;;\n'
        '*100.64.9.3*) echo "no shell here"; exit 1 ;;\n'
        '*) echo "Connection refused" >&2; exit 255 ;;\n'
        "esac\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWER", MEASURED.replace("busy 1", "busy 0"))
    (tmp_path / "settings").write_text(
        "Host idle busy mute down gone\n  Port 2222\n", encoding="utf-8"
    )
    return tmp_path


def test_nodes_are_grouped_by_what_the_probe_found(load, fake_ssh):
    peers = [
        peer(name, TailscaleIPs=[f"100.64.9.{number}"])
        for number, name in enumerate(("idle", "busy", "mute", "down"), 1)
    ]
    peers.append(peer("gone", Online=False))
    (fake_ssh / "config" / "distributed-gummy").mkdir(parents=True)
    (fake_ssh / "config" / "distributed-gummy" / "config.yaml").write_text(
        "nodes: {idle: {slots: 3}, gone: {slots: 2}}\n", encoding="utf-8"
    )
    inventory = load(
        status_of(*peers),
        {"include_self": False, "ssh_config_file": "settings", "probe_timeout": 60},
    )
    facts = {name: host.vars["gummy_facts"] for name, host in inventory.hosts.items()}
    states = {
        "idle": "measured",
        "busy": "measured",
        "mute": "unknown",
        "down": "unreachable",
        "gone": "unreachable",
    }
    assert {name: record["state"] for name, record in facts.items()} == states, facts
    assert (
        facts["idle"]["slots"]["total"],
        facts["busy"]["slots"]["total"],
        facts["gone"]["slots"]["total"],
    ) == (3, 4, 2)
    groups = members(inventory)
    assert (groups["gummy_ready"], groups["gummy_idle"], groups["gummy_busy"]) == (
        ["busy", "idle", "mute"],
        ["idle"],
        ["busy"],
    )
    assert "gone" not in (fake_ssh / "asked").read_text(encoding="utf-8")


def test_this_machine_is_measured_without_ssh(load, fake_ssh):
    facts = load(status_of(), {"probe_timeout": 60}).hosts["me"].vars["gummy_facts"]
    assert facts["state"] == "measured" and 0 <= facts["score"] <= 1
    assert not (fake_ssh / "asked").exists()


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("tailnet.yml", True),
        ("my.tailnet.yaml", True),
        ("hosts.yml", False),
        ("tailnet.json", False),
        ("missing.tailnet.yml", False),
    ],
)
def test_files_are_known_by_their_name(tmp_path, name, ours):
    if "missing" not in name:
        (tmp_path / name).write_text("plugin: x\n", encoding="utf-8")
    assert (
        inventory_loader.get("distributed.gummy.tailnet").verify_file(str(tmp_path / name)) is ours
    )


EXAMPLES = tailnet.EXAMPLES.split("---\n")
FRIEND = peer("files", DNSName="files.tail1234.ts.net.")
# By number: the hosts, and what else holds.
OF_EXAMPLES = [
    (
        {"a", "mac", "me"},
        lambda inventory: inventory.hosts["a"].vars["gummy_facts"]["state"] == "measured",
    ),
    (
        {"a", "files"},
        lambda inventory: (
            inventory.hosts["a"].vars["gummy_facts"]["reason"]
            == "not measured: load_sources is empty"
        ),
    ),
    (
        {"a", "mac", "me"},
        lambda inventory: (
            (members(inventory)["big"], members(inventory)["near_fra"]) == (["a", "mac"], ["a"])
        ),
    ),
    (
        {"a", "mac", "me"},
        lambda inventory: "-F " in inventory.hosts["a"].vars["ansible_ssh_common_args"],
    ),
]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_work_as_they_stand(load, said, fake_ssh, monkeypatch, number):
    """tailscale, ssh and dw are programs on PATH, and the file is the example's very text."""
    a = peer("a", Tags=["tag:server"], Relay="fra", TailscaleIPs=["100.64.9.1"])
    mac = peer("mac", OS="macOS", TailscaleIPs=["100.64.9.2"])
    # Lays status.json and ssh_config.
    load(status_of(a, mac, FRIEND), NOT_ASKED)
    asked = fake_ssh / "tailscale-asked"
    (fake_ssh / "bin" / "tailscale").write_text(
        f'#!/bin/sh\necho "$*" > {asked}\ncat {fake_ssh}/status.json\n', encoding="utf-8"
    )
    (fake_ssh / "bin" / "tailscale").chmod(0o755)
    source = fake_ssh / "example.tailnet.yml"
    source.write_text(EXAMPLES[number], encoding="utf-8")
    inventory = InventoryManager(loader=DataLoader(), sources=[str(source)])
    hosts, holds = OF_EXAMPLES[number]
    assert set(inventory.hosts) == hosts and holds(inventory)
    socket = yaml.safe_load(EXAMPLES[number]).get("socket")
    assert asked.read_text(encoding="utf-8").split() == [
        *([f"--socket={socket}"] if socket else []),
        "status",
        "--json",
    ]
    if number == 2:
        users = {name: inventory.hosts[name].vars["ansible_user"] for name in ("a", "mac")}
        assert users == {"a": "deploy", "mac": "admin"} and 'User="admin"' in (
            fake_ssh / "asked"
        ).read_text(encoding="utf-8")


def test_the_shipped_source_names_only_options_that_exist():
    shipped = FIXTURES.parents[1] / "inventory" / "tailnet.yml"
    lines = shipped.read_text(encoding="utf-8").splitlines()
    keys = {
        line.removeprefix("# ").partition(":")[0]
        for line in lines
        if line and line.removeprefix("# ").partition(":")[0].isidentifier()
    }
    options = set(yaml.safe_load(tailnet.DOCUMENTATION)["options"]) | {
        "compose",
        "groups",
        "keyed_groups",
        "strict",
    }
    assert keys <= options and "include_self" in keys
