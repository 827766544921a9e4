# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of the modules that says which nodes they are about."""

from __future__ import annotations


class ModuleDocFragment:
    """Used as distributed.gummy._candidates."""

    DOCUMENTATION = r"""
options:
  nodes:
    description:
      - >-
        Host pattern of the nodes: hosts of the whole inventory, as far as C(--limit) leaves them,
        so that the natural play is one of C(hosts=localhost).
      - Without it the nodes are the hosts of the play.
    type: list
    elements: str
    version_added: 0.1.0
"""
