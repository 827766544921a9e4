# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clean_nodes
short_description: Take away what is old on the nodes, and of this controller's runs
version_added: 0.1.0
description:
  - >-
    Takes away attempts that a controller has acknowledged and runs of this controller, where they
    are old or too much (C(keep) in the config file), programs that nobody uses, and workspaces if
    the disk is needed.
  - What runs, and what no controller has acknowledged, stays.
options: {}
extends_documentation_fragment:
  - distributed.gummy._attributes
  - distributed.gummy._candidates
attributes:
  check_mode:
    description: It says what would go, and takes nothing away.
    support: full
"""

EXAMPLES = r"""
- name: Free what is old
  distributed.gummy.clean_nodes:
  run_once: true
  timeout: 0
  register: cleaned

- name: Show what went
  distributed.gummy.show:
    of: cleaned
  run_once: true
"""

RETURN = r"""
document:
  description: >-
    What went, or would go. Texts in it may be a stranger's, so don't template them.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(clean).
      type: str
      returned: always
    status:
      description: V(success).
      type: str
      returned: always
    check:
      description: Whether nothing was taken away, as in check mode.
      type: bool
      returned: always
    bytes:
      description: How much that is, on all nodes and of the runs.
      type: int
      returned: always
    nodes:
      description: >-
        Each store once, with C(node), C(bytes) and C(removed), a list of C(what) (V(attempt),
        V(workspace), V(program)), C(name), C(bytes) and C(why).
      type: list
      elements: dict
      returned: always
    runs:
      description: This controller's runs, each with C(name), C(bytes) and C(why).
      type: list
      elements: dict
      returned: always
    no_answer:
      description: Reasons by the names of nodes that gave no answer.
      type: dict
      returned: always
output_file:
  description: Where M(distributed.gummy.show) writes the document, if C(gummy_output_file) is set.
  returned: success
  type: str
"""
