# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cancel_jobs
short_description: End jobs that run on the nodes
version_added: 0.1.0
description:
  - >-
    Ends the process trees of what runs, and has their nodes make the harvest of what they left.
    Given a run, an C(ansible-playbook) of this controller that drives it begins nothing more.
  - >-
    Attempts are found on the nodes from any controller that has the same login there, any time
    later.
  - It fails if something still runs, or a node gave no answer.
  - It has changed something if a job was ended. A job that has ended before is none.
extends_documentation_fragment:
  - distributed.gummy._attempts
  - distributed.gummy._attributes
  - distributed.gummy._candidates
attributes:
  check_mode:
    description: It says which jobs would be ended, and ends none.
    support: full
seealso:
  - module: distributed.gummy.harvest_jobs
"""

EXAMPLES = r"""
- name: End the run release-42
  distributed.gummy.cancel_jobs:
    run_id: release-42
  run_once: true
  timeout: 0
  register: cancelled

- name: Show what became of its jobs
  distributed.gummy.show:
    of: cancelled
  run_once: true
"""

RETURN = r"""
document:
  description: >-
    What became of the jobs. Texts in it may be a stranger's, so don't template them.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(cancel).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if something still runs or a node gave no answer.
      type: str
      returned: always
    check:
      description: Whether nothing was ended, as in check mode.
      type: bool
      returned: always
    stopped:
      description: Whether an C(ansible-playbook) of this controller begins nothing more of the run.
      type: bool
      returned: always
    attempts:
      description: >-
        The attempts, each with C(attempt), C(node), C(run_id), C(job), C(state) (V(running),
        V(dead), V(ended), or V(void): it never began), C(ended) (how), C(told) (whether this
        controller's own record does not know it), and C(cancelled)
        (whether this ended it, or asked it to end, or would).
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
