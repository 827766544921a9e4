# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: show
short_description: Show the document of an earlier task, and let the exit status tell the truth
version_added: 0.1.0
description:
  - >-
    Prints the document of another module of this collection for people, and writes it to
    C(gummy_output_file) if that is set.
  - >-
    Fails if not every job of the document succeeded (of a run, if a job ended as C(gummy_fail_on)
    says), if there is nothing to see because no node answers, and if the variable has no document
    of this collection.
  - >-
    In the playbooks of the collection it is tagged C(always), so that C(--tags) and
    C(--start-at-task) that leave out the task before it are no success.
options:
  of:
    description: >-
      Name of the variable that the earlier task registered. The document is read from it raw, so
      that nothing in it meets a template.
    type: str
    required: true
extends_documentation_fragment:
  - distributed.gummy._attributes
attributes:
  check_mode:
    description: It shows the same, and writes no file.
    support: full
"""

EXAMPLES = r"""
- name: Show the result of the task before
  distributed.gummy.show:
    of: gummy_shown
  run_once: true
"""

RETURN = r"""
msg:
  description: Why it fails.
  returned: when it fails
  type: str
shown:
  description: What people are shown, in lines.
  returned: >-
    with the default callback and C(result_format=yaml), which writes it as a block of text. Else
    that callback prints the lines themselves, in Ansible's colours, and any other one has the
    document in the result of the task that made it.
  type: str
"""
