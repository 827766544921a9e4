# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Read what the nodes, their jobs and their specialists do
version_added: 0.1.0
description:
  - >-
    Asks all nodes at once, over the links that jobs take too, and changes nothing: a node that
    never saw a job gets the node program and an empty store. Nodes that the inventory has found
    unreachable are not asked again.
options:
  gather:
    description:
      - What is read.
      - >-
        V(status) are each node's load, slots and agents, or why no job would go there, and the
        attempts that run or ended today. A node whose load the inventory does not know is measured.
      - >-
        V(specialists) are those in each node's workspaces and home, and in O(specialist_paths),
        which of them are active, and what today cost. A specialist is active while a process holds
        its session in its arguments, or works in its project; its C(meta.yaml) is no evidence.
      - >-
        V(watch) is the board of the fleet, all of it in one exchange with each node. Its loads, the
        attempts that run or ended today with what they wrote last, jobs that wait, specialists, and
        tasks of gummy that somebody started by hand.
      - >-
        V(logs) are those of the attempts that O(job) or O(run_id) name, from any controller that
        has the same login there, any time later.
      - >-
        V(doctor) is what of the controller and the nodes keeps jobs from being done, and what mends
        it. It asks nodes that are said to be unreachable too, and puts nothing on them. Gathered
        alone, it also tells what is wrong with a config file or with settings of hosts, where all
        else fails.
      - >-
        V(status), V(specialists) and V(watch) have C(status) V(failed) if no node but the
        controller answers, and not if some are away. M(distributed.gummy.show) fails then.
    type: list
    elements: str
    choices: [status, specialists, watch, logs, doctor]
    default: [status]
  live:
    description:
      - >-
        Whether the board is drawn again and again in the terminal in which C(ansible-playbook) was
        called, until somebody types C(q) or Ctrl-C there. The result is the last board. Without a
        terminal, and with another callback than C(default), it is read once.
      - Only with O(gather=watch) and nothing else.
    type: bool
    default: false
  specialist_paths:
    description:
      - Folders of projects on the nodes whose specialists are read too, such as C(~/code/*).
      - Without it, the variable C(gummy_specialist_paths) counts.
    type: list
    elements: str
  follow:
    description:
      - >-
        Show the logs as they are written, until the attempts have ended; those of the same job or
        run that begin meanwhile too. A connection that breaks off is made anew, and the log goes on
        where it was. By default what C(gummy_follow) says.
    type: bool
  raw:
    description:
      - >-
        Show the events that agents print as they are, instead of what a person wants to read of
        them. By default what C(gummy_raw) says. The document has them as they are in any case.
    type: bool
  lines:
    description:
      - >-
        How many of the last lines of each log are shown; of a log that is followed, how many of
        those that were there before. By default what C(gummy_lines) says, else all.
    type: int
extends_documentation_fragment:
  - distributed.gummy._attempts
  - distributed.gummy._attributes
  - distributed.gummy._candidates
attributes:
  check_mode:
    description: It does the same.
    support: full
"""

EXAMPLES = r"""
- name: Ask what all nodes do, and which specialists they have
  distributed.gummy.fleet_info:
    gather: [status, specialists]
  run_once: true
  timeout: 0
  register: fleet

- name: Name the nodes that a job could go to now
  ansible.builtin.debug:
    msg: "{{ fleet.status.nodes | selectattr('usable') | map(attribute='name') }}"
  run_once: true

- name: Look for what keeps jobs from being done
  distributed.gummy.fleet_info:
    gather: [doctor]
  run_once: true
  timeout: 0
  register: looked

- name: Name what is broken, with what mends it
  ansible.builtin.debug:
    msg: >-
      {{ item.key }}:
      {{ item.value.checks | dict2items | selectattr('value.status', 'eq', 'failed') }}
  loop: "{{ looked.doctor.machines | dict2items }}"
  run_once: true

- name: Read the logs of the run release-42
  distributed.gummy.fleet_info:
    gather: [logs]
    run_id: release-42
  run_once: true
  timeout: 0
  register: read

- name: Show them
  distributed.gummy.show:
    of: read
  run_once: true
"""

RETURN = r"""
status:
  description: >-
    The nodes, and the attempts that run or ended today. "Today" is the day of the controller; times
    are seconds since 1970 by the clock of the node that says them.
  returned: if it is gathered
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(status).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if no node but the controller answers.
      type: str
      returned: always
    message:
      description: Why it failed; else null.
      type: str
      returned: always
    nodes:
      description: >-
        One entry for each candidate, the controller (C(local)) last if it is one. What is not known
        is null.
      type: list
      elements: dict
      returned: always
      contains:
        name:
          description: Its name in the inventory.
          type: str
        local:
          description: Whether it is the controller itself.
          type: bool
        state:
          description: V(measured), V(unknown) (its load) or V(unreachable).
          type: str
        reason:
          description: Why it is in that state, or why no job would go there now.
          type: str
        score:
          description: 0 (idle) to 1 (full).
          type: float
        usable:
          description: Whether a job could go there now.
          type: bool
        load:
          description: C(cpu), C(memory), C(load_average), C(io_wait), each 0 to 1.
          type: dict
        cpus:
          description: Number of CPUs.
          type: int
        slots:
          description: C(total) and C(busy).
          type: dict
        agents:
          description: The agents that can be used there beside V(shell).
          type: list
          elements: str
        agent_details:
          description: >-
            What the node says of its agents, each with C(name), C(version) (null: nothing says it)
            and C(logged_in) (V(yes), V(no) or V(unknown), found out without asking anybody).
          type: list
          elements: dict
        measured_at:
          description: Time of the measurement, by the controller's clock.
          type: float
        age:
          description: Seconds since the measurement.
          type: float
    attempts:
      description: >-
        Running ones first, each with C(attempt), C(node), C(run_id), C(job), C(status)
        (V(running), V(dead): its supervisor died, V(success), V(unproven), V(failed),
        V(cancelled)), C(class), C(message), C(agent), C(project), C(controller), C(begun_at),
        C(ended_at), C(seconds), C(cost_usd), C(tokens), C(quota_kind) (of class V(quota): V(reset),
        V(credit) or V(busy)), C(quiet) (for how many seconds a running one has shown no sign of
        life) and C(waits) (what it waits for).
      type: list
      elements: dict
      returned: always
    foreign:
      description: >-
        Tasks of gummy that somebody started by hand, each with C(node), C(pid), C(words) and
        C(seconds).
      type: list
      elements: dict
      returned: always
    left_out:
      description: Machines of the tailnet that are no candidates, with C(name) and C(reason).
      type: list
      elements: dict
      returned: always
    totals:
      description: C(nodes), C(answered), C(running) and C(ended_today).
      type: dict
      returned: always
    cost:
      description: >-
        What attempts have cost of which this controller heard today that they ended, as C(cost) of
        M(distributed.gummy.run_jobs) has it for a run.
      type: dict
      returned: always
    cost_days:
      description: >-
        What each of the last seven days cost on which something has ended, the newest first: its
        C(name), such as V(2026-11-29), C(cost_usd), C(tokens), C(attempts) and C(unpriced).
      type: list
      elements: dict
      returned: always
specialists:
  description: >-
    The specialists in each node's workspaces and home, and in the projects that were named.
  returned: if it is gathered
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(specialists).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if no node but the controller answers.
      type: str
      returned: always
    message:
      description: Why it failed; else null.
      type: str
      returned: always
    nodes:
      description: >-
        One entry for each candidate, the controller (C(local)) last if it is one. What is not known
        is null.
      type: list
      elements: dict
      returned: always
      contains:
        name:
          description: Its name in the inventory.
          type: str
        local:
          description: Whether it is the controller itself.
          type: bool
        state:
          description: >-
            V(usable), V(unusable) (gummy is not there, or can't be used) or V(no_answer).
          type: str
        reason:
          description: Why it is in that state, or why no job would go there now.
          type: str
        score:
          description: 0 (idle) to 1 (full).
          type: float
        load:
          description: C(cpu), C(memory), C(load_average), C(io_wait), each 0 to 1.
          type: dict
        slots:
          description: C(total) and C(busy).
          type: dict
        same_as:
          description: >-
            Another name of the same store; what is there counts under that name.
          type: str
        evidence:
          description: >-
            How active specialists are found there, V(argv_and_cwd), or V(argv) on macOS, which does
            not see a session before its first end.
          type: str
        cost_today:
          description: >-
            US dollars of the results of today, of gummy's logs and of other attempts; null if none
            says a cost.
          type: float
        more:
          description: Whether it has more specialists than are read (1000).
          type: bool
        specialists:
          description: >-
            Each with C(name), C(status) (V(active), V(dormant)), C(seen_by) (V(session): a process
            names its session; V(cwd): one works in the project, and which of the project's
            specialists it belongs to can't be told; null), C(where) (V(workspace), V(project): one
            of O(specialist_paths), V(home)), C(workspace), C(project) (its path on the controller
            that sent it; of V(project) that on the node), C(sessions), C(last_active), C(idle) (how
            many seconds ago that was), C(works) (for how many seconds an active one works),
            C(session_id), C(cost_usd) (what its session has cost; null where nobody knows it: gummy
            keeps no costs, what we run of it does) and C(reason) (why something of it is not
            known).
          type: list
          elements: dict
    totals:
      description: >-
        C(nodes), C(answered), C(specialists), C(active), C(dormant), C(sessions) and
        C(cost_today).
      type: dict
      returned: always
watch:
  description: The board of the fleet at one moment.
  returned: if it is gathered
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(watch).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if no node but the controller answers.
      type: str
      returned: always
    message:
      description: Why it failed; else null.
      type: str
      returned: always
    at:
      description: When it was so, in seconds since 1970 by the controller's clock.
      type: float
      returned: always
    nodes:
      description: >-
        One entry for each candidate, the controller (C(local)) last if it is one, with C(name),
        C(local), C(state) (V(asked): it has not answered yet, V(seen), V(no_answer)), C(reason),
        C(silent) (for how many seconds it has given no answer, if it has before), C(same_as),
        C(load), C(slots), C(cost_today) and C(specialists), as the document V(specialists) has
        them.
      type: list
      elements: dict
      returned: always
    attempts:
      description: >-
        As those of V(status), each with C(line) too, what a running one wrote last.
      type: list
      elements: dict
      returned: always
    foreign:
      description: >-
        Tasks of gummy that somebody started by hand, each with C(node), C(pid), C(words) and
        C(seconds).
      type: list
      elements: dict
      returned: always
    waiting:
      description: >-
        Jobs that wait, of the runs that this controller drives, each with C(run_id), C(job) and
        C(reason); another controller's run that waits for a slot has C(job) null.
      type: list
      elements: dict
      returned: always
    totals:
      description: >-
        C(nodes), C(answered), C(running), C(waiting), C(foreign), C(ended_today), C(specialists),
        C(active) and C(cost_today).
      type: dict
      returned: always
    cost:
      description: What today cost, as in the document V(status).
      type: dict
      returned: always
    cost_days:
      description: What the last days cost, as in the document V(status).
      type: list
      elements: dict
      returned: always
logs:
  description: The logs of the attempts that were asked for.
  returned: if it is gathered
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(logs).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if a log could not be read.
      type: str
      returned: always
    check:
      description: Always false.
      type: bool
      returned: always
    attempts:
      description: >-
        The attempts, each with C(attempt), C(node), C(run_id), C(job), C(state) (V(running),
        V(dead), V(ended), or V(void): it never began), C(ended) (how), C(told) (whether this
        controller's own record does not know it) and
        C(log), its last part if all of them together are more than 32 MB. Without a C(log) the
        C(message) says why.
      type: list
      elements: dict
      returned: always
    no_answer:
      description: Reasons by the names of nodes that gave no answer.
      type: dict
      returned: always
    followed:
      description: Whether they were shown while they were written; then each C(log) is its end.
      type: bool
      returned: always
    raw:
      description: Whether people see agents' events as they are.
      type: bool
      returned: always
    lines:
      description: How many of the last lines people see of each; null for all.
      type: int
      returned: always
doctor:
  description: What was found on the controller and on the nodes.
  returned: if it is gathered
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(doctor).
      type: str
      returned: always
    status:
      description: V(success), or V(failed) if something is broken.
      type: str
      returned: always
    message:
      description: What is broken; else null.
      type: str
      returned: always
    overall:
      description: >-
        V(ok); V(warning) if something should be mended; V(broken) if a check of the category
        V(critical) failed.
      type: str
      returned: always
    seconds:
      description: How long it took.
      type: float
      returned: always
    machines:
      description: >-
        By name, the controller C(localhost) first, each with C(checks), by the id of the check.
        A check has C(category) (how grave it is if it fails, V(critical), V(warning) or V(info)),
        C(status) (V(ok), V(failed), or V(unknown) if it can't be seen), C(summary) (what was
        found), C(details) (what it was seen by, and of a finding C(why) it matters), C(remedy) (a
        command to be typed on the controller, or a sentence, or null) and C(seconds).
      type: dict
      returned: always
document:
  description: >-
    What M(distributed.gummy.show) shows. That is what was gathered; if it is more than one thing,
    it has the kind V(info), C(status), C(message), and C(documents), a list of them.
  returned: success
  type: dict
output_file:
  description: Where M(distributed.gummy.show) writes the document, if C(gummy_output_file) is set.
  returned: success
  type: str
"""
