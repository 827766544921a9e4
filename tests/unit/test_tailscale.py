"""The status document of tailscale: which machines become hosts, and what the user reads when there are none."""

from __future__ import annotations

import copy
import json
import pathlib
import random
import sys

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils import _tailscale
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailscale import TailscaleError, parse_status, read_status

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "tailscale"
TEAM = "ci-runner-1 exit-fra gpu-box raspberrypi raspberrypi-1 relay-1 router-hq v6only web-1 web-2 zos-bro-pc"
HOSTILE = (
    "2j0pwnx ab-ansible-host127-0-0-1 dupip2 etcshadow h19 hk loc lookuppipetouch-tmppwned meta nas nodot nulbyte oproxycommandtouch-tmppwned osinject "
    f"scriptalert1script tags txt-exe unknownuser victim web web-1 web-2 xn--80ak6aa92e {'x' * 63}"
)
STOPPED, LOGGED_OUT = "Tailscale is stopped on this machine: run `sudo tailscale up`", "logged out of Tailscale: run `sudo tailscale up`"
# fixture: hosts, those of them that are offline, how many are left out
NODES = {
    "home": ("alices-macbook-air desk nas raspberrypi", "raspberrypi", 2),
    "team": (TEAM, "web-2", 18),
    "headscale": ("ctl db joes-mac-mini web web-1", "", 2),
    "no_magicdns": ("desk nas pi", "pi", 0),
    "old_client_1_34": ("desk nas pi", "pi", 0),
    "self_only": ("lonely", "", 0),
    "nameless_peers": ("desk", "", 4),
    "hostile": (HOSTILE, "", 13),
}
FAULTS = {
    "logged_out": LOGGED_OUT,
    "needs_machine_auth": "waits for approval: an admin of the tailnet approves it",
    "no_state": "wait a moment, then look at `tailscale status`",
    "stopped_cold": STOPPED,
    "stopped_warm": STOPPED,
}
UNREADABLE = {
    "truncated.json": "no JSON document: it may be cut short; try `tailscale status --json` by hand",
    # the real one has a typographic apostrophe, which ansible-test refuses in a text file
    "not_json_macos_gui_failed.txt": "the Tailscale app can't be asked from this session",
}


def load(name):
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def peer(label, suffix="t.ts.net", **more):
    number = sum(label.encode()) % 250
    fields = {"ID": f"n{label}", "DNSName": f"{label}.{suffix}.", "OS": "linux", "TailscaleIPs": [f"100.64.1.{number}"], "Online": True}
    return {**fields, "Created": "2026-01-01T00:00:00Z", **more}


def status_of(*peers, me=None, **more):
    document = {"BackendState": "Running", "Self": me or peer("me"), "MagicDNSSuffix": "t.ts.net", "Peer": dict(enumerate(peers)), **more}
    return parse_status(json.dumps(document))


def names(status):
    return [each.name for each in status.peers]


def test_every_fixture_is_in_one_of_the_tables():
    files = {path.name for path in FIXTURES.iterdir()}
    assert files == {f"{name}.json" for name in {**NODES, **FAULTS}} | set(UNREADABLE)


@pytest.mark.parametrize("name", NODES)
def test_a_status_gives_its_hosts(name):
    hosts, offline, left_out = NODES[name]
    status = parse_status(json.dumps(load(name)))
    assert names(status) == hosts.split() and status.fault is None
    assert [each.name for each in status.peers if not each.vars["online"]] == offline.split()
    assert len(status.left_out) == left_out and all(who and why for who, why in status.left_out)
    assert [each.vars["self"] for each in status.peers].count(True) == 1


@pytest.mark.parametrize("name", FAULTS)
def test_a_state_without_a_network_is_one_sentence(name):
    status = parse_status(json.dumps(load(name)))
    assert FAULTS[name] in (status.fault or "") and not status.peers


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_status_is_an_error_that_says_what_to_do(name):
    with pytest.raises(TailscaleError, match=".") as error:
        parse_status(read_status(path=str(FIXTURES / name)))
    assert UNREADABLE[name] in str(error.value)


@pytest.mark.parametrize("state", [*_tailscale.STATES, "SomethingNew"])
def test_every_backend_state_has_a_sentence(state):
    fault = status_of(BackendState=state, me={"DNSName": ""}).fault
    assert fault and ("`" in fault or ":" in fault)


def test_while_starting_with_a_network_known_there_are_hosts():
    assert names(status_of(peer("a"), BackendState="Starting")) == ["a", "me"]


@pytest.mark.parametrize("text", ["", "[]", "null", '{"BackendState": 7, "Self": {}}', '{"BackendState": "Running"}', "[" * 100_000])
def test_other_documents_are_refused(text):
    with pytest.raises(TailscaleError):
        parse_status(text)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"DNSName": "a.other.ts.net."}, "another tailnet"),
        ({"DNSName": "a.b.t.ts.net."}, "another tailnet"),
        ({"DNSName": "de-1.mullvad.ts.net."}, "Mullvad"),
        ({"DNSName": ""}, "no name"),
        ({"DNSName": "\u212aarl.t.ts.net."}, "no plain DNS name"),
        ({"DNSName": "a_b.t.ts.net."}, "no plain DNS name"),
        ({"DNSName": f"{'a' * 64}.t.ts.net."}, "no plain DNS name"),
        ({"DNSName": "all.t.ts.net."}, "reserves"),
        ({"DNSName": ["a"]}, "no name"),
        ({"ShareeNode": True}, "sharing"),
        ({"Expired": True}, "expired"),
        ({"OS": "windows"}, "Windows"),
        ({"OS": "tvOS"}, "a TV"),
        ({"OS": None}, "not known"),
        ({"TailscaleIPs": ["10.0.0.5", "-oProxyCommand=x", 7]}, "no Tailscale address"),
        ({"TailscaleIPs": ["fd7a:115c:a1e0::1%eth0"]}, "no Tailscale address"),
        ({"TailscaleIPs": None}, "no Tailscale address"),
    ],
)
def test_a_peer_that_is_no_place_for_jobs_is_left_out_with_the_reason(changes, why):
    status = status_of(peer("a", **changes), peer("b"))
    assert names(status) == ["b", "me"]
    assert why in status.left_out[0][1]


@pytest.mark.parametrize("same", [{"DNSName": "a.t.ts.net."}, {"TailscaleIPs": peer("a")["TailscaleIPs"]}])
def test_a_newcomer_can_not_take_over_a_name_or_an_address(same):
    status = status_of(peer("b", Created="2026-02-01T00:00:00Z", **same), peer("a"))
    assert [each.vars["id"] for each in status.peers] == ["na", "nme"]
    assert "belongs to a already" in status.left_out[0][1]


def test_this_machine_among_its_peers_is_one_host():
    status = status_of(peer("me"), peer("old", ID="nme"))
    assert names(status) == ["me"] and not status.left_out


def test_headscale_without_a_base_domain_has_bare_names():
    status = status_of(peer("a", DNSName="a"), peer("b", DNSName="b.x"), me=peer("me", DNSName="me"), MagicDNSSuffix="me")
    assert names(status) == ["a", "me"]


def test_the_variables_say_what_the_network_says():
    shown = peer("a", Tags=["tag:web", 3], UserID=5, KeyExpiry="2027-01-01T00:00:00Z", Relay="fra", CurAddr="192.0.2.1:4", OS="macOS")
    status = status_of(shown, peer("b", UserID=5, Active=True, Relay="fra"), User={"5": {"LoginName": "al\x1bice@example.com"}})
    first, second, _third = (each.vars for each in status.peers)
    assert (first["tags"], first["user"], first["path"], first["key_expiry"]) == (["tag:web"], None, "direct", "2027-01-01T00:00:00Z")
    assert (second["user"], second["path"], second["key_expiry"], second["expired"]) == ("alice@example.com", "derp", None, False)
    assert list(status.peers[0].groups()) == ["tailnet_online", "os_macos", "tag_web"]


def test_texts_make_groups_only_if_they_are_plain():
    groups = [group for each in parse_status(json.dumps(load("hostile"))).peers for group in each.groups()]
    assert set(groups) == {"tailnet_online", "tailnet_self", "os_linux", "tag_web", "tag_a_b"}


def test_notes_tell_what_will_surprise():
    assert "userspace" in " ".join(status_of(TUN=False).notes)
    assert "may be old" in " ".join(status_of(me=peer("me", Online=False)).notes)


ODD = [None, True, -1, 0, 2**70, 1e400, "", "x" * 70_000, "\ud800", "{{ 7*7 }}", "\x00\n", [], [[]], [None], {}, {"a": {"b": []}}]


def test_an_odd_peer_changes_no_other_peer():
    chance = random.Random(4)
    base = load("team")
    expected = {each.name: each for each in parse_status(json.dumps(base)).peers}
    for _time in range(300):
        document = copy.deepcopy(base)
        key = chance.choice(list(document["Peer"]))
        label = document["Peer"][key]["DNSName"].split(".")[0] if "tail1a2b3" in document["Peer"][key]["DNSName"] else None
        for field in chance.sample(list(document["Peer"][key]), 4):
            document["Peer"][key][field] = chance.choice(ODD)
        if chance.random() < 0.1:
            document["Peer"][key] = chance.choice(ODD)
        found = {each.name: each for each in parse_status(json.dumps(document)).peers}
        assert {name: each for name, each in found.items() if name != label} == {
            name: each for name, each in expected.items() if name != label
        }


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 'failed to connect to local tailscaled; it does not appear to be running' >&2; exit 1", "tailscaled does not run: start it"),
        ("echo 'Got error: dial unix: connect: permission denied, failed to connect to local' >&2; exit 1", "may not ask tailscaled"),
        ("echo 'The Tailscale GUI failed to start: oh'; exit 1", "can't be asked from this session"),
        ("exit 3", "try it by hand (it said: exit status 3)"),
        ("sleep 60", "is tailscaled stuck?"),
        ("yes", "more than 1 kB of output"),
    ],
)
def test_a_status_command_that_fails_says_what_to_do(script, sentence, monkeypatch):
    monkeypatch.setattr(_tailscale, "TIMEOUT", 0.4 if "sleep" in script else 10.0)
    monkeypatch.setattr(_tailscale, "CAP", 1024)
    with pytest.raises(TailscaleError) as error:
        read_status(["/bin/sh", "-c", script])
    assert sentence in str(error.value)


def test_without_tailscale_the_user_reads_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_tailscale, "MACOS_APP", str(tmp_path / "Tailscale"))
    with pytest.raises(TailscaleError, match="install Tailscale"):
        read_status()
    app = tmp_path / "Tailscale"
    app.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    app.chmod(0o755)
    assert read_status() == "status --json"


def test_a_status_is_read_from_a_command_or_a_file(tmp_path):
    assert read_status([sys.executable, "-c", "print('{}')"]) == "{}"
    with pytest.raises(TailscaleError, match="nowhere can't be read"):
        read_status(path=str(tmp_path / "nowhere"))
