# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet
short_description: Ask all nodes of the play about jobs
version_added: 0.1.0
description:
  - >-
    Finds attempts on the nodes by C(gummy_job) (an id, a unique prefix of one, or C(RUN/name)) or C(gummy_run_id), from any controller that
    has the same login there, any time later.
options:
  verb:
    description:
      - V(logs) shows the logs of the attempts.
      - V(harvest) fetches what has ended into the folder of its run and acknowledges it; nothing is placed or started.
    type: str
    choices: [logs, harvest]
    required: true
extends_documentation_fragment:
  - distributed.gummy._attributes
attributes:
  check_mode:
    description: It acts as without check mode.
    support: none
"""

EXAMPLES = r"""
- name: Fetch what has ended of the run release-42
  distributed.gummy.fleet:
    verb: harvest
  vars:
    gummy_run_id: release-42
  timeout: 0
  register: gummy_shown
"""

RETURN = r"""
document:
  description: The attempts with node, state and folder, and the nodes that gave no answer.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: Which document it is.
      type: str
      returned: always
    status:
      description: V(success) or V(failed).
      type: str
      returned: always
"""
