# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of checks of the controller, as node_checks.py is that of a node."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from .._schedule.placement import DISK_RESERVE
from .controller_facts import ControllerFacts, Folder
from .node_checks import judge_key
from .verdicts import (
    Check,
    Verdict,
    bad,
    good,
    unknown,
    version_numbers,
    why_not_git,
    why_not_rsync,
)

# The oldest versions, as the README says.
OLDEST_ANSIBLE = (2, 19)
OLDEST_PYTHON = (3, 11)
# The command in a sentence about Tailscale that only needs to be typed.
SUDO = re.compile(r"`(sudo [^`]{1,100})`")
# Problems that are told in one sentence.
PROBLEMS_MOST = 3


def _inventory(facts: ControllerFacts) -> Verdict:
    if facts.nodes:
        return good(f"the play has {facts.nodes} nodes", nodes=facts.nodes)
    return bad(
        "no node is among the hosts of this play: a broken or missing -i leaves localhost alone",
        f"{facts.command.replace('ansible-playbook', 'ansible-inventory', 1)} --graph",
    )


def _config(facts: ControllerFacts) -> Verdict:
    problems = facts.config_problems
    if not problems:
        return good("the config file is good", path=facts.config_path)
    return bad(
        _some(problems), f'"${{EDITOR:-vi}}" {shlex.quote(facts.config_path)}', count=len(problems)
    )


def _config_names(facts: ControllerFacts) -> Verdict:
    names = facts.unknown_names
    if not names or not facts.nodes:
        return good("the config file names no node that the play lacks")
    return bad(
        f"the config file speaks of nodes that are not in this play: {', '.join(names[:10])}",
        f'"${{EDITOR:-vi}}" {shlex.quote(facts.config_path)}',
        count=len(names),
    )


def _settings(facts: ControllerFacts) -> Verdict:
    problems = facts.setting_problems
    if not problems:
        return good("the settings of the hosts are good")
    return bad(
        _some(problems),
        f"{facts.command.replace('ansible-playbook', 'ansible-inventory', 1)} --list",
        count=len(problems),
    )


def _some(problems: Sequence[str]) -> str:
    more = len(problems) - PROBLEMS_MOST
    text = "; ".join(problems[:PROBLEMS_MOST])
    return f"{text}; and {more} more" if more > 0 else text


def _ansible(facts: ControllerFacts) -> Verdict:
    numbers = version_numbers(facts.ansible)
    if numbers is None:
        return unknown("it does not tell its version")
    if numbers < OLDEST_ANSIBLE:
        return bad(
            f"ansible-core {facts.ansible} is too old: 2.19 is the oldest",
            "python3 -m pip install --upgrade ansible-core",
        )
    return good(f"ansible-core {facts.ansible}", version=facts.ansible)


def _python(facts: ControllerFacts) -> Verdict:
    numbers = version_numbers(facts.python)
    if numbers is not None and numbers < OLDEST_PYTHON:
        return bad(
            f"Python {facts.python} is too old: 3.11 is the oldest",
            "install Python 3.11 or newer, and ansible-core with it",
        )
    return good(f"Python {facts.python}", version=facts.python)


def _ssh(facts: ControllerFacts) -> Verdict:
    answer = facts.answer("ssh")
    if not answer.path:
        return bad("ssh is not installed", _install(facts, "openssh-client", "openssh"))
    return good(answer.first_line, path=answer.path)


def _ssh_config(facts: ControllerFacts) -> Verdict:
    answer = facts.answer("ssh_config")
    if not answer.path or answer.status is None:
        return unknown("ssh can't be asked")
    if answer.status:
        return bad(
            f"ssh can't read its config: {answer.last_error}",
            f"ssh -G {shlex.quote('any-name')}",
            said=answer.last_error,
        )
    return good("ssh reads its config")


def _rsync(facts: ControllerFacts) -> Verdict:
    answer = facts.answer("rsync")
    if not answer.path:
        return bad("rsync is not installed", _install(facts, "rsync", "rsync"))
    reason = why_not_rsync(answer.first_line)
    if reason is not None:
        return bad(
            f"rsync {reason}",
            _install(facts, "rsync", "rsync"),
            path=answer.path,
            said=answer.first_line,
        )
    return good(answer.first_line, path=answer.path)


def _git(facts: ControllerFacts) -> Verdict:
    answer = facts.answer("git")
    if not answer.path:
        return bad("git is not installed", _install(facts, "git", "git"))
    reason = why_not_git(answer.first_line)
    if reason is not None:
        return bad(f"git {reason}", _install(facts, "git", "git"), path=answer.path)
    return good(answer.first_line, path=answer.path)


def _install(facts: ControllerFacts, package: str, brew_package: str) -> str:
    if facts.macos:
        return f"brew install {brew_package}"
    sudo = "" if facts.is_root else "sudo "
    return f"{sudo}apt-get install -y {package}  # or as your system installs it"


def _tailscale(facts: ControllerFacts) -> Verdict:
    faults = [f"{each.source}: {each.fault}" for each in facts.tailnets if each.fault]
    if faults:
        command = SUDO.search(" ".join(faults))
        return bad(_some(faults), command.group(1) if command else "tailscale status")
    if not facts.tailnets:
        return good("no source of the inventory is a tailnet")
    return good("Tailscale knows its network")


def _tailscale_key(facts: ControllerFacts) -> Verdict:
    for tailnet in facts.tailnets:
        verdict = judge_key(tailnet.own, facts.now, "")
        if verdict.status == "failed":
            return verdict
    return good("no Tailscale key of this machine is about to expire")


def _dw(facts: ControllerFacts) -> Verdict:
    sources = [each.source for each in facts.tailnets if "dw" in each.load_sources]
    if facts.dw:
        return good("dw is there", path=facts.dw)
    if not sources:
        return good("dw is not installed, and nobody asks for it")
    return bad(
        "dw is not installed, and the inventory asks it for the load",
        f"take dw out of load_sources in {sources[0]}, or install it "
        "(https://github.com/WillyV3/distributed)",
    )


def _state(facts: ControllerFacts) -> Verdict:
    return _folder(facts, facts.state, "XDG_STATE_HOME")


def _cache(facts: ControllerFacts) -> Verdict:
    return _folder(facts, facts.cache, "XDG_CACHE_HOME")


def _folder(facts: ControllerFacts, folder: Folder, variable: str) -> Verdict:
    details = {"path": folder.path, "about": folder.about}
    if folder.trouble is None:
        return good(f"{folder.path} can be used", **details)
    about = shlex.quote(folder.about)
    sudo = "" if facts.is_root else "sudo "
    remedy = f'{sudo}chown -R "$(id -un)" {about} && chmod u+rwx {about}'
    if folder.trouble == "is no folder":
        remedy = f"mv {about} {about}.old  # or set {variable}"
    return bad(f"{folder.about} {folder.trouble}", remedy, **details)


def _disk(facts: ControllerFacts) -> Verdict:
    free = facts.state.free
    if free is None:
        return unknown("it can't be looked at")
    if free < DISK_RESERVE:
        return bad(
            f"the disk of {facts.state.about} is full: {free / 1e9:.1f} GB are free",
            f"{facts.command} distributed.gummy.clean",
            free=free,
        )
    return good(f"{free / 1e9:.1f} GB are free", free=free)


CHECKS: Sequence[Check[ControllerFacts]] = (
    Check("inventory", "critical", "Jobs go to the hosts of the play.", _inventory),
    Check("config", "critical", "No other command begins with such a config file.", _config),
    Check("settings", "critical", "No other command begins with such settings.", _settings),
    Check("ansible", "critical", "Older ones lack what the collection uses.", _ansible),
    Check("python", "critical", "Older ones lack what the collection uses.", _python),
    Check("ssh", "critical", "Nodes are reached by OpenSSH's client.", _ssh),
    Check("ssh_config", "critical", "ssh reaches nobody with such a config.", _ssh_config),
    Check("rsync", "critical", "Projects and harvests travel by rsync.", _rsync),
    Check("git", "critical", "Projects are read, and patches are made, by git.", _git),
    Check("tailscale", "critical", "Without it the inventory has no nodes.", _tailscale),
    Check(
        "state", "critical", "The record of each run lies there, without which none begins.", _state
    ),
    Check("disk", "critical", "The records of runs and their harvests lie there.", _disk),
    Check(
        "tailscale_key",
        "warning",
        "With an expired key this machine is out of the tailnet until somebody logs it in again.",
        _tailscale_key,
    ),
    Check("dw", "warning", "Without an answer of dw the nodes' load is not known.", _dw),
    Check(
        "cache",
        "warning",
        "Each command measures and asks anew what it could have read there.",
        _cache,
    ),
    Check(
        "config_names",
        "info",
        "What is said of them counts for nobody: they may be misspelt, or left out by --limit.",
        _config_names,
    ),
)
