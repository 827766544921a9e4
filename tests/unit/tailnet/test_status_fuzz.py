"""Whatever one machine of the network says of itself, the others are in the inventory as they were.

The seed is fixed.
"""

from __future__ import annotations

import json
import pathlib
import random

import pytest
from ansible import constants as C
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet.status import (
    NAME,
    RESERVED,
    TailscaleError,
    parse_status,
)

pytestmark = pytest.mark.once
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "tailscale"
NAMES = ("home", "headscale", "old_client_1_34", "no_magicdns", "self_only", "team", "hostile")
BASES = [json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES]
TEXTS = [
    "",
    "x" * 5000,
    "\ud800",
    "{{ 7*7 }}",
    "\x00\n",
    "all",
    "all.",
    "localhost",
    "ungrouped.t.ts.net.",
    "-oProxyCommand=x",
    "../../x",
    "tag:all",
    "tag:{{x}}",
    "os_linux",
    "ios",
    "LINUX",
    "0001-01-01T00:00:00Z",
    "2030-01-01T00:00:00Z",
    "fd7a:115c:a1e0::1%x",
    "100.64.0.1/32",
    "10.0.0.1",
    "\u212a",
]
ODD = [
    None,
    True,
    -1,
    0,
    2**70,
    1.5,
    1e400,
    [],
    [[]],
    [None],
    {},
    {"a": {"b": []}},
    *TEXTS,
    *([text] for text in TEXTS),
]


def label(peer):
    name = peer.get("DNSName") if isinstance(peer, dict) else None
    return name.split(".")[0].lower() if isinstance(name, str) else None


def mutated(chance, base):
    """A document in which one peer is odd, and that peer's name before.

    It may claim the name or address of an older one.
    """
    document = dict(base, Peer=dict(base["Peer"] or {}))
    if not document["Peer"]:
        document["Peer"] = {"k": {}}
    key = chance.choice(list(document["Peer"]))
    before = document["Peer"][key]
    peer = dict(before)
    fields = [*peer, "ShareeNode", "Expired", "Tags", "Unknown"]
    for field in chance.sample(fields, chance.randint(1, 4)):
        peer[field] = chance.choice(ODD)
    if chance.random() < 0.2:
        other = chance.choice([base["Self"], *document["Peer"].values()])
        field = chance.choice(["DNSName", "TailscaleIPs", "ID"])
        peer.update({field: other.get(field), "Created": "2029-01-01T00:00:00Z"})
    document["Peer"][key] = peer if chance.random() < 0.95 else chance.choice(ODD)
    return document, label(before)


def test_one_odd_machine_changes_no_other_in_10_000_documents():
    chance = random.Random(4)
    expected = [
        {each.name: each for each in parse_status(json.dumps(base)).peers} for base in BASES
    ]
    yields = 0
    for number in range(10_000):
        which = number % len(BASES) if number % 5 == 0 else number % 5
        document, before = mutated(chance, BASES[which])
        status = parse_status(json.dumps(document))
        found = {each.name: each for each in status.peers}
        yields += bool(found)
        stay = {name: each for name, each in expected[which].items() if name != before}
        assert {name: found.get(name) for name in stay} == stay, document
        assert len(found) <= len(expected[which]) + 1
        for each in status.peers:
            assert NAME.match(each.name) and each.name not in RESERVED
            assert all("_" in group and group.isidentifier() for group in each.groups())
    assert yields >= 9_500


def test_a_document_cut_or_spoilt_anywhere_is_an_inventory_or_our_own_error():
    chance = random.Random(5)
    text = json.dumps(BASES[0])
    for _number in range(3_000):
        spoilt = list(text[: chance.randrange(len(text))] if chance.random() < 0.3 else text)
        for _time in range(chance.randint(1, 5) if spoilt else 0):
            spoilt[chance.randrange(len(spoilt))] = chance.choice('{}[]",:0x\\\n')
        try:
            assert all(NAME.match(each.name) for each in parse_status("".join(spoilt)).peers)
        except TailscaleError as error:
            assert str(error)


def test_200_odd_documents_go_through_ansible(tmp_path, monkeypatch):
    monkeypatch.setattr(C, "INVENTORY_ANY_UNPARSED_IS_FAILED", True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chance = random.Random(6)
    source = tmp_path / "my.tailnet.yml"
    keys = [
        {"key": "gummy_tailnet.os", "separator": ""},
        {"key": "gummy_tailnet.tags", "separator": ""},
    ]
    source.write_text(
        json.dumps(
            {
                "plugin": "distributed.gummy.tailnet",
                "status_file": "s.json",
                "load_sources": [],
                "keyed_groups": keys,
            }
        )
    )
    for number in range(200):
        document, _before = mutated(chance, BASES[number % len(BASES)])
        (tmp_path / "s.json").write_text(json.dumps(document), encoding="utf-8")
        # Would fail here if anything were raised in there.
        inventory = InventoryManager(loader=DataLoader(), sources=[str(source)])
        assert inventory.hosts and all(NAME.match(name) for name in inventory.hosts)
        assert not set(inventory.hosts) & {*inventory.groups, *RESERVED}
        assert {host.name for host in inventory.groups["all"].get_hosts()} == set(inventory.hosts)
