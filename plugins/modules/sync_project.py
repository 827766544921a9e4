# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_project
short_description: Send a project to the workspaces of all nodes of the play
version_added: 0.1.0
description:
  - >-
    Mirrors the directory C(gummy_project), by default the one the command was typed in, into its
    workspace on every host of the play, without what C(sync_exclude) and git's ignore rules leave
    out.
  - >-
    In a git project the tracked, changed and untracked files go, and the repository: also if it is
    a worktree or a shallow clone, or shares objects with another one. Submodules go as plain
    content.
  - A specialist's session files on a node are neither overwritten nor deleted.
options: {}
extends_documentation_fragment:
  - distributed.gummy._attributes
attributes:
  check_mode:
    description: Use M(distributed.gummy.run_jobs) in check mode to see what would be left out.
    support: none
"""

EXAMPLES = r"""
- name: Send the project to every node
  distributed.gummy.sync_project:
  timeout: 0
  register: gummy_shown

- name: Show what was sent
  distributed.gummy.show:
    of: gummy_shown
"""

RETURN = r"""
document:
  description: What was sent to each node, what was left out, and how long it took.
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
    outside:
      description: >-
        Folders outside of the project that went along as parts of its repository, as a work tree's
        main repository is.
      type: list
      elements: str
      returned: always
    secrets:
      description: >-
        Files that go to the nodes and look like secrets by their names; told once for each project.
      type: list
      elements: str
      returned: always
    status:
      description: V(success) if every node has the project, else V(failed).
      type: str
      returned: always
"""
