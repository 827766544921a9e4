# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all actions of the collection have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: It is an action plugin; there is no module behind it.
    support: full
  async:
    description: It waits by itself and must not be put in the background.
    support: none
  become:
    description: Agents run as the login user.
    support: none
  bypass_host_loop:
    description: >-
      It runs once for all hosts of the play; if those are several, the task wants C(run_once=true).
    support: full
  connection:
    description: It reaches the hosts of the play itself, with their own connection settings.
    support: none
  delegation:
    description: To localhost, where it runs anyway; any other host is refused.
    support: partial
  diff_mode:
    description: It shows no differences; a job's changes come home as a patch.
    support: none
  platform:
    description: The controller and the nodes are Linux or macOS.
    platforms: posix
    support: full
author:
  - distributed.gummy contributors (@distributed-gummy)
"""
