# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_jobs
short_description: >-
  Place jobs for AI coding agents on the nodes of the play and bring their changes home
version_added: 0.1.0
description:
  - >-
    Takes the jobs of the C(gummy_*) variables, chooses the best node for each, syncs the project
    there, runs the agent detached and fetches patch, log and report.
  - >-
    The candidates are the hosts of the play. It runs once for all of them, and reads prompts and
    commands raw: never as a task argument, never through a template.
  - >-
    The values of the variables that C(pass_env) of a job names are read from the environment of
    C(ansible-playbook) when the job starts; they go to the agent's environment on the node, and are
    in no argument, file, log or result.
  - >-
    The playbooks C(distributed.gummy.run) and C(distributed.gummy.plan) are this action and
    M(distributed.gummy.show).
options:
  stage:
    description:
      - V(check) reads and checks all input and starts nothing.
      - V(plan) says where each job would go and why, and changes nothing; check mode does the same.
      - V(run) runs the jobs.
    type: str
    choices: [check, plan, run]
    default: run
extends_documentation_fragment:
  - distributed.gummy._attributes
attributes:
  check_mode:
    description: It plans instead of running.
    support: full
"""

EXAMPLES = r"""
- name: Run the jobs of the gummy_ variables on the best of the play's hosts
  distributed.gummy.run_jobs:
  timeout: 0
  register: gummy_shown

- name: Show how they ended, and fail if one of them is not good
  distributed.gummy.show:
    of: gummy_shown
"""

RETURN = r"""
document:
  description: The run as in its C(run.json), or the plan.
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
      description: >-
        V(success) if every job is good (or skipped, while enough others ran), V(unfinished) if
        every other one still runs or waits (detached, or left alone), else V(failed); V(plan).
      type: str
      returned: always
    message:
      description: Which jobs ran on fewer nodes than C(gummy_min_nodes) asks for.
      type: str
      returned: for a run
    jobs:
      description: >-
        A row for each job. C(ranking) has every node as it stood for the job (the first 25):
        P(distributed.gummy.rank_nodes#filter) says what its keys mean. C(node) says where the job
        went or would go, C(why) says why.
      type: list
      elements: dict
      returned: always
output_file:
  description: Where M(distributed.gummy.show) writes the document, if C(gummy_output_file) is set.
  returned: success
  type: str
"""
