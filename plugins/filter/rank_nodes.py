# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rank_nodes
short_description: All nodes, best first, with the parts of the score or the reason why not
version_added: 0.1.0
description:
  - >-
    Ranks nodes by their load, with the same rules the C(run) playbook places its jobs by. First
    come the usable nodes, best first, then those that wait for a free slot, then the rejected ones
    by name.
  - It takes and returns the same as P(distributed.gummy.best_node#filter), for every node.
positional: _input
options:
  task_type:
    description: >-
      The kind of work. Its part of the load counts one more (V(database), CPU; V(api), waiting for
      I/O; V(frontend), memory).
    type: str
    default: general
    choices: [general, database, api, frontend, testing, security]
  exclude:
    description: Names of nodes that are not to be taken; they are listed as rejected.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - distributed.gummy._nodes
author:
  - distributed.gummy contributors (@distributed)
"""

EXAMPLES = r"""
- name: Two nodes that can take work, best first
  ansible.builtin.assert:
    that:
      - ranked | map(attribute='host') == ['node-2', 'node-1', 'node-3']
      - ranked[0].reason == 'score 0.20, cpu 20 %'
      - ranked[2].rejected == 'no free slot (2 of 2 taken)'
  vars:
    ranked: "{{ nodes | distributed.gummy.rank_nodes }}"
    nodes:
      - {name: node-1, cpu: 0.60, slots: 2}
      - {name: node-2, cpu: 0.20, slots: 2}
      - {name: node-3, cpu: 0.05, slots: 2, busy: 2}

- name: Why each host of the inventory would get work, or not
  ansible.builtin.debug:
    msg: "{{ item.host }}: {{ item.reason }}"
  loop: "{{ groups.all | distributed.gummy.rank_nodes(hostvars=hostvars) }}"
  loop_control:
    label: "{{ item.host }}"
"""

RETURN = r"""
_value:
  description: >-
    Every node, best first. See P(distributed.gummy.best_node#filter) for the keys that are not
    listed here.
  type: list
  elements: dict
  contains:
    host: {description: "Its name.", type: str}
    score: {description: "From 0 (idle) to 1 (full), null without load data.", type: float}
    reason:
      description: "Why it has this place, for people."
      type: str
      sample: "score 0.18, cpu 12 %, mem 35 %"
    parts: {description: "What each part adds to the score.", type: dict}
    rejected:
      description: "Why it can not take work, or null."
      type: str
      sample: "not reachable: timed out"
    waits: {description: "Whether it only lacks a free slot.", type: bool}
    change:
      description: "What would have to change for it to be the first, null for the first."
      type: str
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import BadValue
from ..plugin_utils._input.filters import rank_for_filter


def rank_nodes(
    nodes: Any,
    hostvars: Any = None,
    task_type: str = "general",
    exclude: Any = (),
    weights: Any = None,
) -> list[dict[str, Any]]:
    """Every node, best first, as `Ranked.as_dict`."""
    try:
        return [
            entry.as_dict(time.time())
            for entry in rank_for_filter(nodes, hostvars, task_type, exclude, weights)
        ]
    except BadValue as exc:
        raise AnsibleFilterError(f"rank_nodes - {exc}") from exc


class FilterModule:
    """The filter, as Ansible loads it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rank_nodes": rank_nodes}
