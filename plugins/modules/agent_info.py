# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_info
short_description: Which nodes lack an agent, and what would install it there
version_added: 0.1.0
description:
  - >-
    Asks all nodes of the play at once whether they have the agent, as a job would find it, and what
    they could install it with. It installs nothing; the role P(distributed.gummy.agent#role) does.
  - >-
    A node is asked anew each time. The controller is none: what is installed there its user says.
  - It fails if no node answers, or none is among the hosts of the play.
options:
  agent:
    description:
      - The agent, such as V(gummy), V(claude) or V(codex).
      - Without it C(gummy_agent) counts, if that is set, then V(gummy).
    type: str
  install_way:
    description:
      - How it may be installed.
      - Without it C(gummy_install_way) counts, if that is set, then V(auto).
      - V(command) is the command of C(agents.NAME.install) in the config file.
      - V(brew) is the formula of Homebrew, for gummy.
      - V(source) is what C(agents.gummy.source) in the config file pins, built with Go.
      - V(npm) is the package of npm, for all but gummy, put into C(~/.local) of the login.
      - V(auto) takes the first of them that there is, in this order.
    type: str
    choices: [auto, command, brew, source, npm]
extends_documentation_fragment:
  - distributed.gummy._attributes
  - distributed.gummy._candidates
attributes:
  check_mode:
    description: It only looks.
    support: full
seealso:
  - module: distributed.gummy.fleet_info
"""

EXAMPLES = r"""
- name: See which nodes lack claude
  distributed.gummy.agent_info:
    agent: claude
  run_once: true
  timeout: 0
  register: found

- name: Show what would install it
  distributed.gummy.show:
    of: found
  run_once: true
"""

RETURN = r"""
document:
  description: >-
    What was found. Texts in it may be a stranger's, so don't template them.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(install).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if no node answers.
      type: str
      returned: always
    message:
      description: Why it failed.
      type: str
      returned: always
    agent:
      description: The agent.
      type: str
      returned: always
    nodes:
      description: >-
        The nodes, each with C(name), C(state) (V(usable), V(missing): it can be installed,
        V(unusable): it is there and something else is wrong, V(refused): it can't be installed
        there, V(no_answer)), C(reasons) (with what to do about them), C(path) (of the agent),
        C(way), C(commands) (argument lists), C(source) (C(url) and C(commit) of what git gets
        before), C(folder) (for it, and in which the commands run), C(lines) (the same for people)
        and C(search) (the PATH with which it is run).
      type: list
      elements: dict
      returned: always
nodes:
  description: The same nodes by their names.
  returned: success
  type: dict
output_file:
  description: Where M(distributed.gummy.show) writes the document, if C(gummy_output_file) is set.
  returned: success
  type: str
"""
