# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet
short_description: Ask all nodes of the play about themselves, their jobs and their specialists
version_added: 0.1.0
description:
  - >-
    Asks all nodes at once, over the links that jobs take too. Nodes that the inventory has found
    unreachable are not asked again. Nothing is placed or started; a node that never saw a job gets
    the node program and an empty store.
  - >-
    V(logs), V(cancel) and V(harvest) find attempts on the nodes by C(gummy_job) (an id, a unique
    prefix of one, or C(RUN/name)) or C(gummy_run_id), from any controller that has the same login
    there, any time later.
options:
  verb:
    description:
      - >-
        V(status) tells each node's load, slots and agents, or why no job would go there, and the
        attempts that run or ended today. A node whose load the inventory does not know is measured.
      - >-
        V(specialists) tells the specialists in each node's workspaces and home, which of them are
        active, and what today cost. A specialist is active while a process holds its session in its
        arguments, or works in its project; its C(meta.yaml) is no evidence.
      - Both fail if no node but the controller answers, and not if some are away.
      - V(logs) shows the logs of the attempts.
      - >-
        V(cancel) ends the process trees of what runs, and makes the harvest of what they left.
        Given a run, an C(ansible-playbook) of this controller that drives it begins nothing more.
        It fails if something still runs, or a node gave no answer.
      - >-
        V(harvest) fetches what has ended into the folder of its run and acknowledges it; nothing is
        placed or started. A harvest that could not be made is tried again; a branch that was asked
        for is made if this controller's own record of the run says of what and where. An attempt
        that it has no record of is told by the node alone (C(told)): its harvest is kept as
        C(told-by/NODE/JOB) in the run's folder. C(gummy_harvest_limit) says how much of one comes.
      - >-
        V(clean) takes away attempts that a controller has acknowledged and runs of this controller,
        where they are old or too much (C(keep) in the config file), programs that nobody uses, and
        workspaces if the disk is needed. In check mode it says what would go.
    type: str
    choices: [status, specialists, logs, cancel, harvest, clean]
    required: true
extends_documentation_fragment:
  - distributed.gummy._attributes
attributes:
  check_mode:
    description: Says what would be taken away, and takes nothing.
    details: With V(clean); the other verbs act as without check mode.
    support: partial
"""

EXAMPLES = r"""
- name: Ask what all nodes do
  distributed.gummy.fleet:
    verb: status
  timeout: 0
  register: gummy_shown

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
  description: >-
    What was asked for. Texts in it may be a stranger's: don't template them. "Today" is the day of
    the controller; times are seconds since 1970 by the clock of the node that says them.
  returned: success
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(status), V(specialists), V(logs), V(cancel), V(harvest) or V(clean).
      type: str
      returned: always
    status:
      description: V(success) or V(failed).
      type: str
      returned: always
    message:
      description: Why it failed.
      type: str
      returned: with status and specialists; null otherwise
    nodes:
      description: >-
        One entry for each candidate, the controller (C(local)) last if it is one. What is not known
        is null.
      type: list
      elements: dict
      returned: with status and specialists
      contains:
        name:
          description: Its name in the inventory.
          type: str
        local:
          description: Whether it is the controller itself.
          type: bool
        state:
          description: >-
            With status V(measured), V(unknown) (its load) or V(unreachable); with specialists
            V(usable), V(unusable) (gummy is not there, or can't be used) or V(no_answer).
          type: str
        reason:
          description: Why it is in that state, or why no job would go there now.
          type: str
        score:
          description: 0 (idle) to 1 (full).
          type: float
        usable:
          description: Whether a job could go there now. With status.
          type: bool
        load:
          description: C(cpu), C(memory), C(load_average), C(io_wait), each 0 to 1. With status.
          type: dict
        cpus:
          description: Number of CPUs. With status.
          type: int
        slots:
          description: C(total) and C(busy). With status.
          type: dict
        agents:
          description: The agents that can be used there beside V(shell). With status.
          type: list
          elements: str
        measured_at:
          description: Time of the measurement, by the controller's clock. With status.
          type: float
        age:
          description: Seconds since the measurement. With status.
          type: float
        same_as:
          description: >-
            Another name of the same store; what is there counts under that name. With specialists.
          type: str
        evidence:
          description: >-
            How active specialists are found there, V(argv_and_cwd), or V(argv) on macOS, which does
            not see a session before its first end. With specialists.
          type: str
        cost_today:
          description: >-
            US dollars of the results of today, of gummy's logs and of other attempts; null if none
            says a cost. With specialists.
          type: float
        more:
          description: Whether it has more specialists than are read (1000). With specialists.
          type: bool
        specialists:
          description: >-
            Each with C(name), C(status) (V(active), V(dormant)), C(seen_by) (V(session): a process
            names its session; V(cwd): one works in the project, and which of the project's
            specialists it belongs to can't be told; null), C(where) (V(workspace), V(home)),
            C(workspace), C(project) (its path on the controller that sent it), C(sessions),
            C(last_active), C(session_id), C(cost_usd) (null: gummy stores none) and C(reason) (why
            something of it is not known). With specialists.
          type: list
          elements: dict
    check:
      description: Whether nothing was taken away.
      type: bool
      returned: with clean
    bytes:
      description: What went, or would go, on all nodes and of the runs.
      type: int
      returned: with clean
    runs:
      description: >-
        This controller's runs that went, or would go, each with C(name), C(bytes) and C(why). Each
        of C(nodes) has C(node), C(removed) and C(bytes).
      type: list
      elements: dict
      returned: with clean
    left_out:
      description: Machines of the tailnet that are no candidates, with C(name) and C(reason).
      type: list
      elements: dict
      returned: with status
    totals:
      description: >-
        C(nodes), C(answered), and with status C(running) and C(ended_today), with specialists
        C(active), C(dormant), C(sessions) and C(cost_today).
      type: dict
      returned: with status and specialists
    attempts:
      description: >-
        The attempts. With status those that run or ended today, running ones first, each with
        C(attempt), C(node), C(run_id), C(job), C(status) (V(running), V(dead): its supervisor died,
        V(success), V(unproven), V(failed), V(cancelled)), C(class), C(message), C(agent),
        C(project), C(controller), C(begun_at), C(ended_at), C(seconds) and C(cost_usd); otherwise
        with C(node), C(state) (V(running), V(dead), V(ended), or V(void): it never began), C(ended)
        (how), C(told) and C(folder).
      type: list
      elements: dict
      returned: with status, logs, cancel and harvest
    no_answer:
      description: Reasons by the names of nodes that gave no answer.
      type: dict
      returned: with logs, cancel, harvest and clean
"""
