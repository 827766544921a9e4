# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_jobs
short_description: Which node each of several jobs should go to
version_added: 0.1.0
description:
  - >-
    Spreads jobs over nodes as the C(run) playbook would place them now, each counted as load on its
    node before the next one is placed.
  - Jobs for which no slot is left wait. Nothing is started and nothing is changed.
positional: _input, jobs
options:
  jobs:
    description:
      - >-
        The jobs, in order. A text is a job of that name. A mapping may have C(name) (C(job-1),
        C(job-2), ... by default), C(task_type) (else read from C(prompt), if there is one), C(node)
        (the only node that may take it), C(nodes) (a list of such), C(exclude) (a list of those
        that may not) and C(priority) (higher numbers first).
    type: list
    elements: raw
    required: true
  preferences:
    description: >-
      Task types to lists of nodes that are their first choice while they have a free slot.
    type: dict
extends_documentation_fragment:
  - distributed.gummy._nodes
author:
  - distributed.gummy contributors (@distributed)
"""

EXAMPLES = r"""
- name: Three steps on two nodes, of which one is busier
  ansible.builtin.assert:
    that:
      - plan | map(attribute='node') == ['node-1', 'node-2', 'node-1']
      - plan[2].why == 'score 0.50, cpu 10 %, 1 of 2 slots taken'
  vars:
    plan: "{{ nodes | distributed.gummy.plan_jobs(['build', 'lint',
      {'name': 'migrate', 'task_type': 'database'}]) }}"
    nodes:
      - {name: node-1, cpu: 0.10, slots: 2}
      - {name: node-2, cpu: 0.40, slots: 2}

- name: Run each step on the host it should go to
  ansible.builtin.debug:
    msg: "{{ item.name }} on {{ item.node }}"
  loop: "{{ groups.all | distributed.gummy.plan_jobs(['web', 'docs'], hostvars=hostvars) }}"
  loop_control:
    label: "{{ item.name }}"
  when: not item.waits
"""

RETURN = r"""
_value:
  description: A row for each job, in order.
  type: list
  elements: dict
  contains:
    name: {description: "The job's name.", type: str}
    task_type: {description: "The kind of work it was placed as.", type: str}
    node: {description: "The node it should go to; null where it waits or can not run.", type: str}
    waits: {description: "Whether it only lacks a free slot.", type: bool}
    why: {description: "Why, for people.", type: str, sample: "score 0.18, cpu 12 %, mem 35 %"}
    ranking:
      description: All nodes as they stood for this job. See P(distributed.gummy.rank_nodes#filter).
      type: list
      elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import BadValue
from ..plugin_utils._input.filters import plan_for_filter


def plan_jobs(
    nodes: Any, jobs: Any, hostvars: Any = None, weights: Any = None, preferences: Any = None
) -> Sequence[Mapping[str, object]]:
    """Rows as `plan_work` gives them."""
    try:
        return plan_for_filter(nodes, jobs, hostvars, weights, preferences)
    except BadValue as exc:
        raise AnsibleFilterError(f"plan_jobs - {exc}") from exc


class FilterModule:
    """The filter, as Ansible loads it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_jobs": plan_jobs}
