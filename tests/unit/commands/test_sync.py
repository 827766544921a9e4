"""`sync`: a workspace is claimed on every node, filled, and given back."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands import sync as _sync
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._project.sync import (
    Changes,
    Sent,
    TransferError,
    workspace_key,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from ansible_collections.distributed.gummy.plugins.plugin_utils._show.report import sync_text
from played import PlayedLink, play_fleet

CLAIMED = {
    "claim": [{"state": "claimed", "generation": "7", "workspace": "/w/1"}],
    "release": [{"state": "released"}],
}
SENT = Sent(3, 12345, Changes(4, 1, ("a", "b/", "delete c")))


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(_sync, "look_for_secrets_once", lambda excluded, key, note: [])
    monkeypatch.setattr(_sync, "send_project", lambda *_args, **_more: SENT)
    (tmp_path / "project").mkdir()
    return str(tmp_path / "project")


def synced(project, links, check=False, **more):
    nodes = [Node(name, "measured", slots=4) for name in links]
    return _sync.sync(play_fleet(links, nodes, **more), project, print, check=check)


def test_every_node_gets_the_project_and_the_controller_is_left_out(project):
    link = PlayedLink("n", CLAIMED)
    document = synced(project, {"n": link}, fallback=Node("localhost", local=True))
    (row,) = document["nodes"]
    assert row.pop("seconds") >= 0
    assert list(row.items()) == [
        ("node", "n"),
        ("status", "success"),
        ("message", "3 files, 12.3 kB"),
        ("files", 3),
        ("bytes", 12345),
        ("changes", 4),
        ("deleted", 1),
        ("workspace", "/w/1/tree"),
    ]
    (claim, request), (release, released) = link.asked
    key = workspace_key(project, _sync.controller_id())
    assert (claim, request["key"], request["slots"]) == ("claim", key, 4)
    assert (release, released) == ("release", {"attempt": request["attempt"]})
    assert (document["kind"], document["status"]) == ("sync", "success")


def test_folders_that_go_along_are_named(project, tmp_path):
    main = tmp_path / "main"
    words = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(main)]
    subprocess.run(["git", "init", "-q", str(main)], check=True)
    subprocess.run([*words, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    subprocess.run([*words, "worktree", "add", "-q", f"{project}/tree"], check=True)
    document = synced(f"{project}/tree", {"n": PlayedLink("n", CLAIMED)})
    assert document["outside"] == [f"{main}/.git/worktrees/tree", f"{main}/.git"]
    lines = sync_text(document)
    assert f"taken along, as a part of its repository: {main}/.git" in lines
    assert synced(project, {"n": PlayedLink("n", CLAIMED)})["outside"] == []


def test_a_node_that_is_full_broken_or_silent_fails_the_sync_and_the_lease_is_given_back(
    project, monkeypatch
):
    def fail(*_args, **_more):
        raise TransferError("sync", "no space")

    monkeypatch.setattr(_sync, "send_project", fail)
    links = {
        "full": PlayedLink("full", {"claim": [{"state": "busy"}]}),
        "odd": PlayedLink("odd", {"claim": [{"state": "refused", "message": "a newer store"}]}),
        "silent": PlayedLink("silent", LinkError("timed out")),
        "broken": PlayedLink("broken", CLAIMED),
    }
    document = synced(project, links)
    assert [(row["node"], row["status"], row["message"]) for row in document["nodes"]] == [
        ("broken", "failed", "no space"),
        ("full", "failed", "every slot is taken: try again later"),
        ("odd", "failed", "a newer store"),
        ("silent", "failed", "timed out"),
    ]
    assert document["status"] == "failed" and links["broken"].asked[-1][0] == "release"


def test_without_nodes_or_a_project_nothing_is_synced(project):
    assert synced(project, {})["status"] == "failed"
    with pytest.raises(InputError, match="leaves nothing to sync"):
        _sync.sync(play_fleet({}), None, print)


def test_what_looks_secret_is_shown_before_it_goes(project, monkeypatch):
    lines = []
    monkeypatch.setattr(_sync, "look_for_secrets_once", lambda excluded, key, note: [".env"])
    document = _sync.sync(play_fleet({}), project, lines.append)
    assert document["secrets"] == [".env"] and lines[0].startswith("WARNING: these look like")


def test_a_check_asks_what_would_be_sent_and_claims_and_writes_nothing(
    project, monkeypatch, tmp_path
):
    asked = []

    def preview(link, excluded, key, slots):
        asked.append((link.name, key, slots))
        return SENT

    monkeypatch.setattr(_sync, "preview_project", preview)
    notes = []
    monkeypatch.setattr(_sync, "look_for_secrets_once", lambda _e, _k, note: notes.append(note))
    links = {"n": PlayedLink("n", {}), "m": PlayedLink("m", {})}
    document = synced(project, links, check=True)
    key = workspace_key(project, "0" * 16)
    assert sorted(asked) == [("m", key, 4), ("n", key, 4)] and notes == [False]
    assert links["n"].asked == [] and not (tmp_path / "state").exists()
    assert _sync.has_changed(document) and document["check"]
    assert sync_text(document)[1:] == [
        "✓  m  would send 3 files, 12.3 kB, delete 1",
        "✓  n  would send 3 files, 12.3 kB, delete 1",
        "to m, n:",
        "  a",
        "  b/",
        "  delete c",
        "  and 1 more",
    ]

    # Who has an identity is asked about the workspaces that this one has.
    known = _sync.controller_id()
    synced(project, {"n": PlayedLink("n", {})}, check=True)
    assert asked[-1][1] == workspace_key(project, known)


def test_a_sync_has_changed_something_if_rsync_says_so(project, monkeypatch):
    links = {"n": PlayedLink("n", CLAIMED)}
    assert _sync.has_changed(synced(project, links))
    nothing = Sent(0, 0, Changes(0, 0, ()))
    monkeypatch.setattr(_sync, "send_project", lambda *_args, **_more: nothing)
    assert not _sync.has_changed(synced(project, links))
    only_a_mode = Sent(0, 0, Changes(1, 0, ()))
    monkeypatch.setattr(_sync, "send_project", lambda *_args, **_more: only_a_mode)
    assert _sync.has_changed(synced(project, links))


def test_of_a_node_whose_load_is_not_known_the_slots_are_asked_first(project):
    link = PlayedLink("n", CLAIMED)
    fleet = play_fleet(
        {"n": link}, [Node("n")], measure=lambda name, link: Node(name, "measured", slots=7)
    )
    _sync.sync(fleet, project, print)
    assert link.asked[0][1]["slots"] == 7
