# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters of placement have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Used as distributed.gummy._nodes."""

    DOCUMENTATION = r"""
options:
  _input:
    description:
      - >-
        The nodes. Either a list of host names, with O(hostvars); or C(hostvars) itself, or a
        mapping of the same shape; or a list of records with C(name) (or C(host)) and any of C(cpu),
        C(memory) (or C(mem)), C(load_average), C(io_wait), each from V(0) to V(1), C(cpus),
        C(slots), C(busy).
      - >-
        From host variables C(gummy_facts) and C(gummy_tailnet) are read, as the inventory plugin
        C(distributed.gummy.tailnet) sets them.
    type: raw
    required: true
  hostvars:
    description: The variables of the hosts, when O(_input) is a list of host names.
    type: dict
  weights:
    description:
      - What each part of the load counts; parts that are not named count nothing.
      - By default C(cpu) V(0.4), C(memory) V(0.3), C(load_average) V(0.3), C(io_wait) V(0).
    type: dict
"""
