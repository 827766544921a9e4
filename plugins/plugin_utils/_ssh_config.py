# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's ssh config says of a node: asked of `ssh -G`, never read by a parser of ours. This is private to the collection."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ._at_once import Outcome, run_all

NOBODY = "gummy-no-host-has-this-name"  # tells what the config says of every host


@dataclass(frozen=True)
class Route:
    """How ssh reaches a node: the destination, and the words before it."""

    destination: str
    words: tuple[str, ...] = ()

    def host_vars(self) -> dict[str, str]:
        """Ansible's connection variables; Ansible splits the words as a shell does."""
        return {"ansible_host": self.destination, **({"ansible_ssh_common_args": shlex.join(self.words)} if self.words else {})}


def routes(addresses: Mapping[str, str], config_file: str | None = None, timeout: float = 5.0) -> tuple[dict[str, Route], str | None]:
    """The route of every name (address by name), and a sentence if ssh could not be asked; a node it did not answer for goes by its address."""
    base = ("-F", config_file) if config_file else ()
    names = [NOBODY, *addresses] if addresses else []
    answers = run_all({name: ["ssh", *base, "-G", "--", name] for name in names}, timeout=timeout, at_once=2 * (os.cpu_count() or 1))
    default = answers.get(NOBODY, Outcome(None)).out
    found = {name: _route(name, address, answers[name], default.replace(NOBODY, name), base) for name, address in addresses.items()}
    return found, _complaint(answers.values())


def _route(name: str, address: str, answer: Outcome, default: str, base: tuple[str, ...]) -> Route:
    if answer.status != 0 or not default:
        return Route(address, base)
    if f"hostname {name}" not in answer.out.splitlines():
        return Route(name, base)  # the config says where this name leads
    if answer.out != default:
        return Route(name, (*base, "-o", f"HostName={address}"))  # a user, port or key for this name, and no address
    return Route(address, base)


def _complaint(outcomes: Iterable[Outcome]) -> str | None:
    failed = [outcome for outcome in outcomes if outcome.status != 0]
    if not failed:
        return None
    said = failed[0].trouble or (failed[0].err.strip().splitlines() or [f"exit status {failed[0].status}"])[-1]
    return f"`ssh -G` gave no answer for {len(failed)} names, which go by their addresses: {said}"
