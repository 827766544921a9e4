"""The status document of tailscale: which machines become hosts, and what the user reads when there
are none.
"""

from __future__ import annotations

import json
import pathlib
import sys

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet import status as tailscale
from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet.status import (
    Choice,
    TailscaleError,
    parse_status,
    read_status,
)

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "tailscale"
TEAM = (
    "ci-runner-1 exit-fra gpu-box raspberrypi raspberrypi-1 relay-1 router-hq v6only "
    "web-1 web-2 zos-bro-pc"
)
HOSTILE = (
    "2j0pwnx ab-ansible-host127-0-0-1 dupip2 etcshadow h19 hk loc lookuppipetouch-tmppwned meta "
    "nas nodot nulbyte oproxycommandtouch-tmppwned osinject "
    f"scriptalert1script tags txt-exe unknownuser victim web web-1 web-2 xn--80ak6aa92e {'x' * 63}"
)
STOPPED = "Tailscale is stopped on this machine: run `sudo tailscale up`"
LOGGED_OUT = "logged out of Tailscale: run `sudo tailscale up`"
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
# fixture: what this machine is called, what the user reads
FAULTS = {
    "logged_out": ("desk", LOGGED_OUT),
    "needs_machine_auth": ("pending", "waits for approval: an admin of the tailnet approves it"),
    "no_state": ("desk", "wait a moment, then look at `tailscale status`"),
    "stopped_cold": ("desk", STOPPED),
    "stopped_warm": ("desk", STOPPED),
}
UNREADABLE = {
    "truncated.json": (
        "no JSON document: it may be cut short; try `tailscale status --json` by hand"
    ),
    # the real one has a typographic apostrophe, which ansible-test refuses in a text file
    "not_json_macos_gui_failed.txt": "the Tailscale app can't be asked from this session",
}


def load(name):
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def peer(label, suffix="t.ts.net", **more):
    number = sum(label.encode()) % 250
    fields = {
        "ID": f"n{label}",
        "DNSName": f"{label}.{suffix}.",
        "OS": "linux",
        "TailscaleIPs": [f"100.64.1.{number}"],
        "Online": True,
    }
    return {**fields, "Created": "2026-01-01T00:00:00Z", **more}


# It never changes.
def status_of(*peers, me=None, choice=Choice(), **more):  # noqa: B008
    document = {
        "BackendState": "Running",
        "Self": me or peer("me"),
        "MagicDNSSuffix": "t.ts.net",
        "Peer": dict(enumerate(peers)),
        **more,
    }
    return parse_status(json.dumps(document), choice)


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
    assert [each.name for each in status.peers if not each.facts["online"]] == offline.split()
    assert len(status.left_out) == left_out and all(who and why for who, why in status.left_out)
    assert [each.facts["self"] for each in status.peers].count(True) == 1


@pytest.mark.parametrize("name", FAULTS)
def test_a_state_without_a_network_is_one_sentence_and_this_machine(name):
    status = parse_status(json.dumps(load(name)))
    machine, sentence = FAULTS[name]
    assert sentence in (status.fault or "") and names(status) == [machine]
    assert (
        status.peers[0].facts["self"],
        status.peers[0].facts["online"],
        status.peers[0].facts["ip"],
    ) == (True, False, None)
    assert (
        "tailnet_self" in status.peers[0].groups()
        and "tailnet_online" not in status.peers[0].groups()
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("desk.t.ts.net", "x"), "desk"),
        (("", "Joe's Mac.local"), "joe-s-mac"),
        (("all", "localhost", "-"), "own"),
        (("x" * 64, "_"), "own"),
    ],
)
def test_without_a_network_this_machine_has_a_plain_name(monkeypatch, given, name):
    monkeypatch.setattr(tailscale.platform, "node", lambda: "Own.example.com")
    assert names(tailscale.this_machine("why", Choice(), *given)) == [name]
    monkeypatch.setattr(tailscale.platform, "node", lambda: "-")
    assert names(tailscale.this_machine("why")) == ["this-machine"]
    assert tailscale.this_machine("why", Choice(include_self=False), "desk").left_out == (
        ("desk", "this machine, and include_self is false"),
    )


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_status_is_an_error_that_says_what_to_do(name):
    with pytest.raises(TailscaleError, match=".") as error:
        parse_status(read_status(path=str(FIXTURES / name)))
    assert UNREADABLE[name] in str(error.value)


@pytest.mark.parametrize("state", [*tailscale.STATES, "SomethingNew"])
def test_every_backend_state_has_a_sentence(state):
    fault = status_of(BackendState=state, me={"DNSName": ""}).fault
    assert fault and ("`" in fault or ":" in fault)


def test_while_starting_with_a_network_known_there_are_hosts():
    assert names(status_of(peer("a"), BackendState="Starting")) == ["a", "me"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"BackendState": 7, "Self": {}}',
        '{"BackendState": "Running"}',
        "[" * 100_000,
    ],
)
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
        ({"DNSName": "a.other\n* ssh-ed25519 AAAA."}, "no plain DNS name"),
        ({"DNSName": "all.t.ts.net."}, "reserves"),
        ({"DNSName": ["a"]}, "no name"),
        ({"ShareeNode": True}, "sharing"),
        ({"Expired": True}, "expired"),
        ({"OS": "windows"}, "Windows"),
        ({"OS": "tvOS"}, "a TV"),
        ({"OS": None}, "not known"),
        ({"TailscaleIPs": ["10.0.0.5", "-oProxyCommand=x", 7]}, "no Tailscale address"),
        (
            {
                "TailscaleIPs": [
                    "fd7a:115c:a1e0::1%eth0",
                    "::100.64.0.1",
                    "100.63.255.255",
                    "100.128.0.0",
                    "fd7a:115c:a1e1::",
                ]
            },
            "no Tailscale address",
        ),
        ({"TailscaleIPs": None}, "no Tailscale address"),
    ],
)
def test_a_peer_that_is_no_place_for_jobs_is_left_out_with_the_reason(changes, why):
    status = status_of(peer("a", **changes), peer("b"))
    assert names(status) == ["b", "me"]
    assert why in status.left_out[0][1]


@pytest.mark.parametrize(
    "same", [{"DNSName": "a.t.ts.net."}, {"TailscaleIPs": peer("a")["TailscaleIPs"]}]
)
def test_a_newcomer_can_not_take_over_a_name_or_an_address(same):
    status = status_of(peer("b", Created="2026-02-01T00:00:00Z", **same), peer("a"))
    assert [each.facts["id"] for each in status.peers] == ["na", "nme"]
    assert "belongs to a already" in status.left_out[0][1]


WANTED = [
    peer("web", Tags=["tag:Web"], UserID=2),
    peer("mac", OS="macOS", UserID=1),
    peer("pc", OS="windows", UserID=1),
    peer("odd", OS="", UserID=1),
    peer("files", suffix="other.ts.net", UserID=3),
    peer("dead", Expired=True),
]


@pytest.mark.parametrize(
    ("choice", "hosts", "why"),
    [
        (Choice(), "mac me web", {}),
        (
            Choice(os=frozenset({"windows", "linux"})),
            "me pc web",
            {"mac": "macos, is not among os", "odd": "not known, is not among os"},
        ),
        (Choice(tags=frozenset({"tag:web"})), "me web", {"mac": "none of its tags"}),
        (
            Choice(users=frozenset({"alice@example.com"})),
            "mac me",
            {"web": "its user is not among users"},
        ),
        (
            Choice(exclude=("M?C", "w*.t.ts.net", "me")),
            "",
            {"mac": "exclude names it", "me": "exclude names it"},
        ),
        (
            Choice(include=("files.*", "PC", "odd", "dead")),
            "files mac me odd pc web",
            {"dead": "its key has expired"},
        ),
        (
            Choice(include=("*",), exclude=("pc",), tags=frozenset()),
            "files mac me odd web",
            {"pc": "exclude names it"},
        ),
        (Choice(include_self=False), "mac web", {"me": "include_self is false"}),
    ],
)
def test_the_user_chooses_otherwise_and_reads_why(choice, hosts, why):
    users = {
        str(number): {"LoginName": f"{name}@example.com"}
        for number, name in enumerate(("Alice", "bob", "carol"), 1)
    }
    status = status_of(*WANTED, User=users, choice=choice)
    assert names(status) == hosts.split()
    told = {who.split(".")[0]: reason for who, reason in status.left_out}
    assert (
        all(reason in told[name] for name, reason in why.items())
        and len(told) + len(status.peers) == len(WANTED) + 1
    )


def test_a_machine_that_is_shared_in_can_not_take_the_name_of_one_of_ours():
    theirs = peer("gpu", suffix="other.ts.net", Created="2020-01-01T00:00:00Z")
    ours = peer("gpu", TailscaleIPs=["100.64.3.3"])
    status = status_of(theirs, ours, choice=Choice(include=("gpu*",)))
    assert [each.facts["dns_name"] for each in status.peers] == ["gpu.t.ts.net", "me.t.ts.net"]


def test_this_machine_among_its_peers_is_one_host():
    status = status_of(peer("me"), peer("old", ID="nme"))
    assert names(status) == ["me"] and not status.left_out


def test_headscale_without_a_base_domain_has_bare_names():
    status = status_of(
        peer("a", DNSName="a"),
        peer("b", DNSName="b.x"),
        me=peer("me", DNSName="me"),
        MagicDNSSuffix="me",
    )
    assert names(status) == ["a", "me"]


def test_the_variables_say_what_the_network_says():
    shown = peer(
        "a",
        Tags=["tag:web", 3],
        UserID=5,
        KeyExpiry="2027-01-01T00:00:00Z",
        Relay="fra",
        CurAddr="192.0.2.1:4",
        OS="macOS",
    )
    status = status_of(
        shown,
        peer("b", UserID=5, Active=True, Relay="fra"),
        User={"5": {"LoginName": "al\x1bice@example.com"}},
    )
    first, second, _third = (each.facts for each in status.peers)
    assert (first["tags"], first["user"], first["path"], first["key_expiry"]) == (
        ["tag:web"],
        None,
        "direct",
        "2027-01-01T00:00:00Z",
    )
    assert (second["user"], second["path"], second["key_expiry"], second["expired"]) == (
        "alice@example.com",
        "derp",
        None,
        False,
    )
    assert list(status.peers[0].groups()) == ["tailnet_online", "os_macos", "tag_web"]


def test_texts_make_groups_only_if_they_are_plain():
    groups = [
        group for each in parse_status(json.dumps(load("hostile"))).peers for group in each.groups()
    ]
    assert set(groups) == {"tailnet_online", "tailnet_self", "os_linux", "tag_web", "tag_a_b"}


def test_notes_tell_what_will_surprise():
    assert status_of(TUN=False).userspace and not status_of(TUN=True).userspace
    assert "may be old" in " ".join(status_of(me=peer("me", Online=False)).notes)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            (
                "echo 'failed to connect to local tailscaled; "
                "it does not appear to be running' >&2; exit 1"
            ),
            "tailscaled does not run: start it",
        ),
        (
            (
                "echo 'Got error: dial unix: connect: "
                "permission denied, failed to connect to local' >&2; exit 1"
            ),
            "may not ask tailscaled",
        ),
        (
            "echo 'The Tailscale GUI failed to start: oh'; exit 1",
            "can't be asked from this session",
        ),
        ("exit 3", "try it by hand (it said: exit status 3)"),
        ("sleep 60", "is tailscaled stuck?"),
        ("yes", "more than 1 kB of output"),
    ],
)
def test_a_status_command_that_fails_says_what_to_do(script, sentence, monkeypatch):
    monkeypatch.setattr(tailscale, "TIMEOUT", 0.4 if "sleep" in script else 10.0)
    monkeypatch.setattr(tailscale, "CAP", 1024)
    with pytest.raises(TailscaleError) as error:
        read_status(["/bin/sh", "-c", script])
    assert sentence in str(error.value)


def test_without_tailscale_the_user_reads_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tailscale, "ELSEWHERE", (str(tmp_path / "Tailscale"),))
    with pytest.raises(TailscaleError, match="install Tailscale"):
        read_status()
    app = tmp_path / "Tailscale"
    app.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    app.chmod(0o755)
    assert read_status() == "status --json"
    assert read_status(socket="/run/other.sock") == "--socket=/run/other.sock status --json"


def test_a_status_is_read_from_a_command_or_a_file(tmp_path):
    assert read_status([sys.executable, "-c", "print('{}')"]) == "{}"
    with pytest.raises(TailscaleError, match="nowhere can't be read"):
        read_status(path=str(tmp_path / "nowhere"))


def test_this_machine_without_a_network_is_in_no_group_of_those_that_are_offline():
    (me,) = parse_status(json.dumps(load("logged_out"))).peers
    assert set(me.groups()) & {"tailnet_online", "tailnet_offline"} == set()
    assert "tailnet_self" in me.groups()


OWN_PREFIX = {"TailscaleIPs": ["10.55.0.1"]}


def test_the_peers_of_a_network_with_a_prefix_of_its_own_have_the_addresses_routed_to_them_alone():
    routed = peer(
        "a",
        TailscaleIPs=[],
        AllowedIPs=["10.55.0.2/32", "192.168.7.0/24", "192.168.9.9/32"],
        PrimaryRoutes=["192.168.7.0/24", "192.168.9.9/32"],
    )
    told = peer("b", TailscaleIPs=["10.55.0.3", "127.0.0.1", "169.254.1.1", "224.0.0.1", "x"])
    status = status_of(routed, told, me=peer("me", **OWN_PREFIX))
    assert {each.name: each.facts["ips"] for each in status.peers} == {
        "me": ["10.55.0.1"],
        "a": ["10.55.0.2"],
        "b": ["10.55.0.3"],
    }
    # In a network of Tailscale's own ranges nobody may bring another address along.
    assert names(status_of(routed, told)) == names(status_of())


def test_a_self_without_a_name_leaves_the_others_where_they_are():
    me = peer("x", DNSName="", HostName="Ann's Mac")
    status = status_of(peer("a"), peer("b"), me=me)
    assert status.fault is None and names(status) == ["a", "ann-s-mac", "b"]
    taken = status_of(peer("ann-s-mac", HostName="other"), me=me)
    assert "ann-s-mac" in names(taken) and len(names(taken)) == 2
    assert "neither a name" in (status_of(me=me).fault or "")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_before_the_status_is_read_over(tmp_path, encoding):
    file = tmp_path / "status.json"
    file.write_text('{"BackendState": "Running"}', encoding=encoding)
    assert read_status(path=str(file)) == '{"BackendState": "Running"}'
    assert parse_status("\ufeff" + json.dumps(load("headscale"))).peers
