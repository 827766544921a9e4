"""`specialists` as a document: who is there, counted once."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._commands.specialists import (
    specialists,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._links.link import LinkError
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import KNOWN, ONE, told, view_fleet


def test_the_dashboard_counts_what_is_there_once_and_names_those_that_say_nothing():
    rows = [ONE, {**ONE, "name": "ui", "status": "dormant", "sessions": None}]
    nodes = [Node("a", **KNOWN), Node("bare"), Node("dead"), Node("off", "unreachable")]
    answers = {
        "a": told(*rows),
        "bare": told(reason="gummy is not there", store="t", cost_today=None),
        "dead": LinkError("no route"),
        "localhost": told(*rows),
    }
    view = specialists(view_fleet(nodes, answers, Node("localhost", local=True)))
    assert {
        row["name"]: (row["state"], row["reason"], row["same_as"], len(row["specialists"]))
        for row in view["nodes"]
    } == {
        "a": ("usable", None, None, 2),
        "bare": ("unusable", "gummy is not there", None, 0),
        "dead": ("no_answer", "no route", None, 0),
        "off": ("no_answer", "not reachable", None, 0),
        "localhost": ("usable", None, "a", 0),
    }
    assert view["totals"] == {
        "specialists": 2,
        "active": 1,
        "dormant": 1,
        "nodes": 5,
        "answered": 3,
        "sessions": 3,
        "cost_today": 0.5,
    }
    assert (
        view["nodes"][0]["score"] == pytest.approx(0.26)
        and view["nodes"][1]["score"] is None
        and view["status"] == "success"
    )
