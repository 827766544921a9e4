"""What the inventory left out reaches the actions as rows of a name and a reason."""

from __future__ import annotations

from ansible_collections.distributed.gummy.plugins.plugin_utils._tailnet import left_out, status


def test_a_row_is_a_name_and_why():
    name, reason = left_out.Omitted("phone", "a phone or tablet, no place for jobs")
    assert (name, reason) == left_out.Omitted("phone", "a phone or tablet, no place for jobs")


def test_this_machine_alone_is_left_out_by_its_name_and_with_the_reason():
    found = status.this_machine("no network", status.Choice(include_self=False), "web.t.ts.net")
    assert (found.peers, found.fault) == ((), "no network")
    assert found.left_out == (left_out.Omitted("web", "this machine, and include_self is false"),)
