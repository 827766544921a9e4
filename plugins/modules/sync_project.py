# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_project
short_description: Send a project to the workspaces of all nodes
version_added: 0.1.0
description:
  - >-
    Mirrors a directory into its workspace on every host of the play, without what C(sync_exclude)
    and git's ignore rules leave out.
  - >-
    In a git project the tracked, changed and untracked files go, and the repository: also if it is
    a worktree or a shallow clone, or shares objects with another one. Submodules go as plain
    content.
  - A specialist's session files on a node are neither overwritten nor deleted.
  - >-
    It has changed something if a file, folder or link was sent, changed or deleted on a node, and
    fails if a node does not have the project afterwards.
options:
  project:
    description:
      - Path of the directory.
      - >-
        Without it C(gummy_project) counts, if that is set, else it is the directory that the
        command was typed in.
    type: str
extends_documentation_fragment:
  - distributed.gummy._attributes
  - distributed.gummy._candidates
attributes:
  check_mode:
    description: >-
      It says what would be sent to each node and deleted there, by a dry run of rsync against the
      workspace that the node would give; no workspace is claimed or made.
    support: full
"""

EXAMPLES = r"""
- name: Send the project to every node
  distributed.gummy.sync_project:
    project: .
  run_once: true
  timeout: 0
  register: synced

- name: Show what was sent
  distributed.gummy.show:
    of: synced
  run_once: true
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
    check:
      description: Whether nothing was sent, as in check mode.
      type: bool
      returned: always
    project:
      description: The directory's real path.
      type: str
      returned: always
    excluded:
      description: What of it stays at home, for people.
      type: str
      returned: always
    nodes:
      description: >-
        One entry for each node, with C(node), C(status) (V(success), V(failed)) and C(message); of
        a success with C(files) and C(bytes) that were or would be sent, C(changes) (how many files,
        folders and links in all), C(deleted) (how many of them), and C(workspace) and C(seconds),
        or in check mode C(paths): the first thousand, one that would be deleted behind C(delete).
      type: list
      elements: dict
      returned: always
output_file:
  description: Where M(distributed.gummy.show) writes the document, if C(gummy_output_file) is set.
  returned: success
  type: str
"""
