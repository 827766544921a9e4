# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: best_node
short_description: The node that should take the next piece of work
version_added: 0.1.0
description:
  - >-
    Chooses the best of some nodes by their load, with the same rules the C(run) playbook places its
    jobs by.
  - >-
    The score is the weighted mean of what was measured, from V(0) (idle) to V(1) (full); lower is
    better. The share of slots taken is the least a score can be.
  - At equal score the node with more CPUs is taken, then the first by name.
    Without any load data the first by name is taken, and the reason says so.
  - It fails, with the reason for each node, when no node can take work now.
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
    description: Names of nodes that are not to be taken.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - distributed.gummy._nodes
author:
  - distributed.gummy contributors (@distributed)
"""

EXAMPLES = r"""
- name: Database work wants the idle CPU, API work the disk that does not wait
  ansible.builtin.assert:
    that:
      - (nodes | distributed.gummy.best_node(task_type='database')).host == 'node-1'
      - (nodes | distributed.gummy.best_node(task_type='api')).host == 'node-2'
  vars:
    nodes:
      - {name: node-1, cpu: 0.15, io_wait: 0.45}
      - {name: node-2, cpu: 0.65, io_wait: 0.12}

- name: Run a deploy step on the host of the inventory with the least load
  ansible.builtin.debug:
    msg: deploying on {{ inventory_hostname }}
  delegate_to: "{{ (groups.all | distributed.gummy.best_node(hostvars=hostvars)).host }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The chosen node.
  type: dict
  contains:
    host: {description: "Its name.", type: str}
    score: {description: "From 0 (idle) to 1 (full), null without load data.", type: float}
    reason: {description: "Why, for people.", type: str, sample: "score 0.18, cpu 12 %, mem 35 %"}
    cpu: {description: "From 0 to 1, null where not measured.", type: float}
    mem: {description: "The same for memory.", type: float}
    load_average: {description: "The same for the load average by CPU.", type: float}
    io_wait: {description: "The same for waiting for I/O.", type: float}
    parts: {description: "What each part adds to the score.", type: dict}
    cpus: {description: "Number of CPUs.", type: int}
    slots: {description: "How many jobs fit.", type: int}
    busy: {description: "Slots taken.", type: int}
    measured_at: {description: "When, in Unix seconds.", type: float}
    age: {description: "How many seconds ago that was, null where not known.", type: float}
    change: {description: "Always null here.", type: str}
    rejected: {description: "Always null here.", type: str}
    waits: {description: "Always false here.", type: bool}
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import BadValue
from ..plugin_utils._input.filters import rank_for_filter


def best_node(
    nodes: Any,
    hostvars: Any = None,
    task_type: str = "general",
    exclude: Any = (),
    weights: Any = None,
) -> dict[str, Any]:
    """The first usable node, as `Ranked.as_dict`."""
    try:
        ranked = rank_for_filter(nodes, hostvars, task_type, exclude, weights)
    except BadValue as exc:
        raise AnsibleFilterError(f"best_node - {exc}") from exc
    if not ranked or ranked[0].rejected:
        why = "; ".join(f"{entry.host}: {entry.rejected}" for entry in ranked) or "there is none"
        raise AnsibleFilterError(f"best_node - no node can take work now. {why}")
    return ranked[0].as_dict(time.time())


class FilterModule:
    """The filter, as Ansible loads it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"best_node": best_node}
