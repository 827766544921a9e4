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
    Takes jobs, chooses the best node for each, syncs the project there, runs the agent detached and
    fetches patch, log and report.
  - >-
    What to do is given as options, which Ansible fills in once, as any argument, so loops, lookups,
    C(set_fact) and vault work; what they yield is data, and nothing in it is a template. Or it is
    given as C(gummy_*) variables, such as those of C(-e), which are read raw: no template in them
    is filled in. One with an open brace pair in the vars of a play, a group or a host is an error.
    Where both say the same, the option counts, and a note says so. Don't hand variables of C(-e) on
    as options: Ansible takes those for templates.
  - >-
    Options that a job of O(jobs) has too hold for all jobs that do not say it themselves. What is
    said of defaults holds where there is neither the option nor its C(gummy_*) variable.
  - >-
    The candidates are the hosts of the play, or those of O(nodes). It runs once for all of them, so
    in a play of several hosts the task wants C(run_once=true). With O(nodes) the natural play is
    one of C(hosts=localhost); there C(--limit) has to name localhost as well, as in
    C(--limit localhost:webservers), for else Ansible itself skips the play.
  - >-
    It fails if a job ended as O(fail_on) says. The result has RV(document) all the same. It is
    C(changed) only if something was sent, started or fetched, so a run that is called again under
    its name is C(ok).
  - >-
    The values of the variables that C(pass_env) of a job names are read from the environment of
    C(ansible-playbook) when the job starts; they go to the agent's environment on the node, and are
    in no argument, file, log or result.
  - >-
    C(delegate_to) localhost is fine, and any other is refused, for nodes are reached from the
    controller; so are C(become), C(async), C(serial) that makes several batches, and the strategies
    C(free) and C(host_pinned).
  - >-
    The playbooks C(distributed.gummy.run) and C(distributed.gummy.plan) are this action and
    M(distributed.gummy.show).
options:
  notify:
    description:
      - >-
        Whom the run tells that it has ended, and that it needs a person (a login, an account out of
        credits, a job that is lost, a budget that is used up). By default what the config file
        says.
      - >-
        A command as a list, which gets the message as JSON on its stdin, or an address that begins
        with C(https://), which gets it by POST; C(http://) of this machine alone. Or a mapping of
        C(to), which is one of these, and C(include), a list of what is told only where it is asked
        for, V(prompts), V(paths) and V(log).
      - It has ten seconds, and what becomes of it changes nothing of the run.
      - No variable says this, so C(gummy_notify) is an error.
    type: raw
  stage:
    description:
      - V(check) reads and checks all input and starts nothing.
      - V(plan) says where each job would go and why, and changes nothing; check mode does the same.
      - V(run) runs the jobs.
    type: str
    choices: [check, plan, run]
    default: run
  name:
    description:
      - >-
        Name of the job within its run; job-1, job-2, ... by default.
    type: str
  id:
    description:
      - >-
        Identity of the job for resuming, where its text may have been edited.
    type: str
  prompt:
    description:
      - >-
        What the agent is asked to do.
    type: str
  command:
    description:
      - >-
        Command of the agent shell.
    type: str
  project:
    description:
      - >-
        Directory the job works on; by default the one the command was typed in; none: no project.
    type: path
  task_type:
    description:
      - >-
        Kind of work, for placement; auto reads it from the prompt. By default V(auto).
    type: str
    choices: [auto, general, database, api, frontend, testing, security]
  agent:
    description:
      - >-
        Program that does the job: gummy, claude, codex, opencode, qwen, gemini, shell for a
        command, or one of the config's own; a list is an order: the first one that a free node can
        run. By default V(gummy).
    type: list
    elements: str
  specialist:
    description:
      - >-
        Specialist of gummy that the job is for; the prompt has to lead gummy there.
    type: str
    choices:
      - database-expert
      - api-developer
      - testing-specialist
      - security-specialist
      - frontend-specialist
      - general-specialist
  node:
    description:
      - >-
        The only node that may take the job; local: here.
    type: str
  timeout:
    description:
      - >-
        Longest time the agent may take. By default V(4h).
    type: str
  stall:
    description:
      - >-
        How long the job may show no sign of life (no CPU, no new process, no output, no bytes
        moved) before it is ended, a minute or more; without it, as long as timeout.
    type: str
  setup:
    description:
      - >-
        Command run in the workspace before the agent, such as one that installs what the project
        needs; what it makes and git does not ignore is lost at the next sync.
    type: str
  setup_if:
    description:
      - >-
        Globs of files, such as lock files; setup is skipped while they and the command are as they
        were when it last succeeded in the workspace; a list.
    type: list
    elements: str
  setup_timeout:
    description:
      - >-
        Longest time that setup may take; timeout begins after it. By default V(0.5h).
    type: str
  verify:
    description:
      - >-
        Command run on the node after the agent; part of success.
    type: str
  expect_changes:
    description:
      - >-
        Whether a success must change files: true (else it failed), false (no matter), auto (no
        matter, but of all agents but shell it is said). By default V(auto).
    type: str
    choices: [auto, 'true', 'false']
  budget_usd:
    description:
      - >-
        Dollars that the job may cost in one call of the run; its agent is held to them while it
        works, so that the job ends failed (budget).
    type: float
  pass_env:
    description:
      - >-
        Names of variables that the agent gets with the values they have here; no argument, file,
        log or result holds those, but another job of the same login can read them.
    type: list
    elements: str
  accept_unproven:
    description:
      - >-
        Take a success without evidence as success. By default V(false).
    type: bool
  artifacts:
    description:
      - >-
        Globs of files to bring home whether git ignores them or not, as C(dist/*.whl); a list.
    type: list
    elements: str
  deliver:
    description:
      - >-
        What is made of the changes: a patch, a branch of the project too, or none. By default
        V(patch).
    type: str
    choices: [patch, branch, none]
  attempts:
    description:
      - >-
        How many nodes may try the job. By default V(3).
    type: int
  priority:
    description:
      - >-
        Jobs with a higher number are placed first, others in the order of the list. By default
        V(0).
    type: int
  jobs:
    description:
      - >-
        The jobs of a batch, a list.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - >-
            Name of the job within its run; job-1, job-2, ... by default.
        type: str
      id:
        description:
          - >-
            Identity of the job for resuming, where its text may have been edited.
        type: str
      prompt:
        description:
          - >-
            What the agent is asked to do.
        type: str
      command:
        description:
          - >-
            Command of the agent shell.
        type: str
      project:
        description:
          - >-
            Directory the job works on; by default the one the command was typed in; none: no
            project.
        type: path
      task_type:
        description:
          - >-
            Kind of work, for placement; auto reads it from the prompt. By default V(auto).
        type: str
        choices: [auto, general, database, api, frontend, testing, security]
      agent:
        description:
          - >-
            Program that does the job: gummy, claude, codex, opencode, qwen, gemini, shell for a
            command, or one of the config's own; a list is an order: the first one that a free node
            can run. By default V(gummy).
        type: list
        elements: str
      specialist:
        description:
          - >-
            Specialist of gummy that the job is for; the prompt has to lead gummy there.
        type: str
        choices:
          - database-expert
          - api-developer
          - testing-specialist
          - security-specialist
          - frontend-specialist
          - general-specialist
      node:
        description:
          - >-
            The only node that may take the job; local: here.
        type: str
      nodes:
        description:
          - >-
            Host pattern of the nodes that may take the job.
        type: list
        elements: str
      timeout:
        description:
          - >-
            Longest time the agent may take. By default V(4h).
        type: str
      stall:
        description:
          - >-
            How long the job may show no sign of life (no CPU, no new process, no output, no bytes
            moved) before it is ended, a minute or more; without it, as long as timeout.
        type: str
      setup:
        description:
          - >-
            Command run in the workspace before the agent, such as one that installs what the
            project needs; what it makes and git does not ignore is lost at the next sync.
        type: str
      setup_if:
        description:
          - >-
            Globs of files, such as lock files; setup is skipped while they and the command are as
            they were when it last succeeded in the workspace; a list.
        type: list
        elements: str
      setup_timeout:
        description:
          - >-
            Longest time that setup may take; timeout begins after it. By default V(0.5h).
        type: str
      verify:
        description:
          - >-
            Command run on the node after the agent; part of success.
        type: str
      expect_changes:
        description:
          - >-
            Whether a success must change files: true (else it failed), false (no matter), auto (no
            matter, but of all agents but shell it is said). By default V(auto).
        type: str
        choices: [auto, 'true', 'false']
      budget_usd:
        description:
          - >-
            Dollars that the job may cost in one call of the run; its agent is held to them while it
            works, so that the job ends failed (budget).
        type: float
      pass_env:
        description:
          - >-
            Names of variables that the agent gets with the values they have here; no argument,
            file, log or result holds those, but another job of the same login can read them.
        type: list
        elements: str
      accept_unproven:
        description:
          - >-
            Take a success without evidence as success. By default V(false).
        type: bool
      artifacts:
        description:
          - >-
            Globs of files to bring home whether git ignores them or not, as C(dist/*.whl); a list.
        type: list
        elements: str
      deliver:
        description:
          - >-
            What is made of the changes: a patch, a branch of the project too, or none. By default
            V(patch).
        type: str
        choices: [patch, branch, none]
      attempts:
        description:
          - >-
            How many nodes may try the job. By default V(3).
        type: int
      priority:
        description:
          - >-
            Jobs with a higher number are placed first, others in the order of the list. By default
            V(0).
        type: int
  run_id:
    description:
      - >-
        Name of the run; the same name again resumes it.
    type: str
  only:
    description:
      - >-
        failed: of a run that ended, do the failed jobs anew and nothing else.
    type: str
    choices: [failed]
  each:
    description:
      - >-
        Do every job once on each node, or on one node of each operating system.
    type: str
    choices: [node, os]
  min_nodes:
    description:
      - >-
        With each: on how many nodes, or systems, every job must have run; those out of reach are
        skipped. By default V(1).
    type: int
  adopt:
    description:
      - >-
        Take a run over whose record is gone or another controller's, from what the nodes know of
        it. By default V(false).
    type: bool
  detach:
    description:
      - >-
        Return when the free slots are used; call the run again for the rest. By default V(false).
    type: bool
  on_interrupt:
    description:
      - >-
        What happens to the jobs when ansible-playbook is interrupted. By default V(leave).
    type: str
    choices: [leave, cancel]
  local_fallback:
    description:
      - >-
        Work on the controller when no node can. By default V(true).
    type: bool
  lost_after:
    description:
      - >-
        How long a silent node keeps its job. By default V(1h).
    type: str
  queue_timeout:
    description:
      - >-
        How long jobs may wait for a free slot; without it, as long as it takes.
    type: str
  run_budget_usd:
    description:
      - >-
        Dollars that all calls of the run may cost together; then nothing more begins, what runs
        goes on to its end. By default what the config says.
    type: float
  unpriced:
    description:
      - >-
        Whether jobs may have a budget whose agents can't be held to one: refuse, or allow, and then
        what they cost is not counted. By default V(refuse).
    type: str
    choices: [refuse, allow]
  load_weights:
    description:
      - >-
        What each part of the load counts, instead of what the config says.
    type: dict
  host_preferences:
    description:
      - >-
        Task types to nodes that are their first choice, instead of what the config says.
    type: dict
  fail_on:
    description:
      - >-
        Ends of jobs that make the run fail; an empty list: none does. By default all of them.
    type: list
    elements: str
    choices: [failed, lost, unproven, cancelled]
  nodes:
    description:
      - >-
        Host pattern of the candidates: hosts of the play or, as an option of run_jobs, hosts of the
        whole inventory, as far as --limit leaves them.
    type: list
    elements: str
  refresh:
    description:
      - >-
        Ask the nodes anew, instead of taking what they said in the last half minute. By default
        V(false).
    type: bool
  output_file:
    description:
      - >-
        File for what is shown: .json for a script, .md or .html for people and, of run, .xml for
        JUnit.
    type: str
  progress:
    description:
      - >-
        Show a line per event on stderr; without it nothing but errors is printed there. By default
        V(true).
    type: bool
  ascii:
    description:
      - >-
        Show panels and summaries in ASCII alone, for terminals that have nothing else. By default
        V(false).
    type: bool
  verbose:
    description:
      - >-
        Show on stderr what agents say and which tools they use while they work, each line with its
        job's name; so does -v. By default V(false).
    type: bool
  harvest_limit:
    description:
      - >-
        How much of one harvest comes home, such as 500MB or 10GB; what is larger stays on its node.
        By default what the config says, else 2GB.
    type: str
extends_documentation_fragment:
  - distributed.gummy._attributes
attributes:
  check_mode:
    description: It plans instead of running.
    support: full
"""

EXAMPLES = r"""
- name: Test and lint on the best nodes of the inventory
  distributed.gummy.run_jobs:
    nodes: all
    agent: shell
    jobs:
      - name: test
        command: make test
        timeout: 30m
      - name: lint
        command: make lint

- name: A prompt from a file, which is not a template
  distributed.gummy.run_jobs:
    nodes: all
    prompt: "{{ lookup('ansible.builtin.file', 'prompt.md') }}"
    verify: make test
    deliver: branch

- name: A job for each part of the project; the play goes on whatever becomes of them
  distributed.gummy.run_jobs:
    nodes: all
    agent: claude
    jobs: "{{ prompts | ansible.builtin.dict2items(key_name='name', value_name='prompt') }}"
    fail_on: []
  vars:
    prompts:
      api: Write tests for the API
      database: Write tests for the queries of the database
  register: tests

- name: Run the jobs of the gummy_ variables on the best of the play's hosts
  distributed.gummy.run_jobs:
    fail_on: []
  timeout: 0
  run_once: true
  register: gummy_shown

- name: Show how they ended, and fail if one of them did not succeed
  distributed.gummy.show:
    of: gummy_shown
  run_once: true
"""

RETURN = r"""
document:
  description: >-
    The run as in its C(run.json), or the plan. C(docs/documents.schema.json) of the collection
    describes it in full.
  returned: when the input is good, also if jobs failed
  type: dict
  contains:
    schema_version:
      description: Version of the document's form.
      type: int
      returned: always
    kind:
      description: V(run) or V(plan).
      type: str
      returned: always
    status:
      description: >-
        V(success) if every job succeeded (or was skipped, while others ran), V(unfinished) if
        every other one still runs or waits (detached, or left alone), else V(failed); V(plan).
      type: str
      returned: always
    jobs:
      description: >-
        A row for each job. C(ranking) has every node as it stood for the job (the first 25):
        P(distributed.gummy.rank_nodes#filter) says what its keys mean. C(node) says where the job
        went or would go, C(why) says why. In a plan, C(before) is there for a job that an earlier
        call of the run has done or begun, and says how that left it.
      type: list
      elements: dict
      returned: always
    message:
      description: Which jobs ran on fewer nodes than O(min_nodes) asks for.
      type: str
      returned: for a run
    changed:
      description: Whether this call sent, started or fetched anything.
      type: bool
      returned: for a run
    run_id:
      description: The run's name; the same name again goes on with it.
      type: str
      returned: for a run
    uid:
      description: What tells it from other runs of that name.
      type: str
      returned: for a run
    folder:
      description: Its folder on this controller.
      type: str
      returned: for a run
    command:
      description: How ansible-playbook is called for other commands of the collection.
      type: str
      returned: for a run
    begun_at:
      description: When this call began, in seconds since 1970.
      type: float
      returned: for a run
    seconds:
      description: How long it took.
      type: float
      returned: for a run
    work_seconds:
      description: How long its agents worked, one after the other.
      type: float
      returned: for a run
    times_as_fast:
      description: How many times as fast it was; null if fewer than two agents ended in it.
      type: float
      returned: for a run
    cost:
      description: >-
        What all calls of the run have cost, with C(cost_usd) (null: no price is known), C(tokens),
        C(attempts), C(unpriced) and, each with the same of every C(name), C(by_job), C(by_node),
        C(by_agent), C(by_account), C(by_project) and C(by_day). What a job has cost in all of its
        attempts stands there; its own C(cost_usd) is that of the last one.
      type: dict
      returned: for a run
    today_usd:
      description: What all runs of this controller have cost today.
      type: float
      returned: for a run
    controller:
      description: This controller's identity.
      type: str
      returned: for a run
    secrets:
      description: Projects with the paths in them that look like secrets and went to the nodes.
      type: dict
      returned: for a run
    conflicts:
      description: Files that several jobs changed, and an order in which the patches apply.
      type: list
      elements: dict
      returned: for a run
    nodes:
      description: The nodes that the run could use, by name, each with C(os) and C(slots).
      type: dict
      returned: for a run
    left_out:
      description: Machines that the inventory saw and made no host of, with C(name) and C(reason).
      type: list
      elements: dict
      returned: for a plan
    settings:
      description: >-
        Where each setting came from, first those that somebody gave: each with C(name), C(source)
        (V(option of the task), V(extra var), V(play), V(group all), V(config file) or V(default)),
        C(file) (of the config file, its path), C(value) (null where it is a job's text) and
        C(instead_of) (what the config file says as well, which does not count).
      type: list
      elements: dict
      returned: for a plan
    config:
      description: The user's config file, its C(path) and whether it C(exists).
      type: dict
      returned: for a plan
    notes:
      description: Sentences for people.
      type: list
      elements: str
      returned: for a plan
msg:
  description: >-
    What is wrong with the input, or which jobs failed and why, as in
    V(1 of 5 jobs did not succeed: lint failed (agent\): exit status 4).
  returned: when it fails
  type: str
output_file:
  description: Where M(distributed.gummy.show) writes the document, if O(output_file) says it.
  returned: when the input is good
  type: str
"""
