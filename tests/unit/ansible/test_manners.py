"""Keywords of a task that would not do what they say are refused with a sentence."""

from __future__ import annotations

import pytest
from ansible.playbook.task import Task
from ansible_collections.distributed.gummy.plugins.plugin_utils._ansible.manners import (
    check_manners,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._errors import InputError


def check(hosts, batch=None, failed=(), **keywords):
    task = Task()
    for name, value in keywords.items():
        setattr(task, name, value)
    live = [host for host in hosts if host not in failed]
    check_manners(
        task,
        {
            "ansible_play_hosts_all": hosts,
            "ansible_play_hosts": live,
            "ansible_play_batch": [host for host in batch or hosts if host not in failed],
        },
    )


@pytest.mark.parametrize(
    ("batch", "keywords", "sentence"),
    [
        (None, {}, "this play has 2 hosts.*add `run_once: true`"),
        (["a"], {"run_once": True}, "remove serial"),
        (["a"], {}, "remove serial"),
        (None, {"run_once": True, "delegate_to": "b"}, "delegate_to: b: the nodes are reached"),
        (None, {"run_once": True, "become": True}, "unset become"),
    ],
)
def test_what_can_not_be_is_refused(batch, keywords, sentence):
    with pytest.raises(InputError, match=sentence):
        check(["a", "b"], batch, **keywords)


def test_what_does_no_harm_is_fine():
    check(["a"])
    check(["a", "b"], run_once=True)
    check(["a", "b"], run_once=True, delegate_to="localhost", become=False)
    # serial: 100% is one batch.
    check(["a", "b"], ["b", "a"], run_once=True)
    # One of two is left.
    check(["a", "b"], failed=["b"])
