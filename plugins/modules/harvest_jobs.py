# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: harvest_jobs
short_description: Bring home what ended jobs left on the nodes
version_added: 0.1.0
description:
  - >-
    Fetches what has ended into the folder of its run and acknowledges it; nothing is placed or
    started. A harvest that could not be made is tried again; a branch that was asked for is made if
    this controller's own record of the run says of what and where.
  - >-
    An attempt that this controller has no record of is told by the node alone (C(told)): its
    harvest is kept as C(told-by/NODE/JOB) in the run's folder.
  - >-
    Attempts are found on the nodes from any controller that has the same login there, any time
    later.
  - It fails if a harvest could not be brought home; the attempt's C(message) says why.
  - It has changed something if a harvest was fetched, or a branch made of one.
options:
  harvest_limit:
    description:
      - How much of one harvest is let in, as V(500MB), V(2GB) or a number of bytes.
      - >-
        Without it C(gummy_harvest_limit) counts, if that is set, then C(harvest_limit) in the
        config file.
    type: str
extends_documentation_fragment:
  - distributed.gummy._attempts
  - distributed.gummy._attributes
  - distributed.gummy._candidates
attributes:
  check_mode:
    description: It says which harvests would be fetched, and fetches and acknowledges none.
    support: full
  diff_mode:
    description: >-
      It shows the patches that it brings. In check mode they are read on the nodes, but for those
      that are still to be made.
    support: full
seealso:
  - module: distributed.gummy.run_jobs
"""

EXAMPLES = r"""
- name: Fetch what has ended of the run release-42
  distributed.gummy.harvest_jobs:
    run_id: release-42
    harvest_limit: 500MB
  run_once: true
  timeout: 0
  register: harvested

- name: Show where it is
  distributed.gummy.show:
    of: harvested
  run_once: true
"""

RETURN = r"""
document:
  description: >-
    What was fetched. Texts in it may be a stranger's, so don't template them.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(harvest).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if a harvest could not be brought home.
      type: str
      returned: always
    check:
      description: Whether nothing was fetched, as in check mode.
      type: bool
      returned: always
    attempts:
      description: >-
        The attempts, each with C(attempt), C(node), C(run_id), C(job), C(state) (V(running),
        V(dead), V(ended), or V(void): it never began), C(ended) (how), C(told) (whether this
        controller's own record does not know it),
        C(fetched) (whether this fetched it or made its branch, or would), C(folder) (where it is,
        or would be; null if it could not be fetched) and C(message).
      type: list
      elements: dict
      returned: always
    no_answer:
      description: Reasons by the names of nodes that gave no answer.
      type: dict
      returned: always
diff:
  description: The patches, one entry for each job that has one.
  returned: in diff mode, if there are any
  type: list
  elements: dict
output_file:
  description: Where M(distributed.gummy.show) writes the document, if C(gummy_output_file) is set.
  returned: success
  type: str
"""
