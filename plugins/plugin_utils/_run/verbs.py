# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a job's walk, each carried out on its node: claim, sync, start, fetch, and what is
needed beside them. (Placing is the scheduler's, and waiting is in watch.py.)

Each function here runs in a thread of the engine's pool. It is given all that it needs, touches
nothing that changes, and returns what became of it. What a reply means is read in replies.py.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .._errors import InputError
from .._files.record import RunRecord
from .._input.config import default_path
from .._input.pass_env import values_for
from .._input.request import Job, Request
from .._links.link import Link, LinkError
from .._node import wire
from .._project.branch import head
from .._project.bring_home import bring_home
from .._project.harvest_files import HarvestLimit
from .._project.sync import Exclusions, TransferError, Turn, seconds_in_a_run, send_project
from .._project.unreadable import why_unreadable
from .._schedule import messages as ev
from . import replies, requests
from .patience import Patience
from .replies import Answer

# How long a node may take to answer, in seconds.
CLAIM_SECONDS = 60.0
START_SECONDS = 90.0
PROOF_SECONDS = 60.0
COURTESY_SECONDS = 20.0


@dataclass
class Links:
    """The link of each node, made when it is first needed, by whichever thread needs it."""

    make_link: Callable[[str], Link]
    _links: dict[str, Link] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def to(self, node: str) -> Link:
        """Raises LinkError for settings that lead nowhere."""
        with self._one_at_a_time:
            link = self._links.get(node)
            if link is None:
                link = self._links[node] = self.make_link(node)
            return link

    def open_to(self, node: str) -> Link | None:
        """The link, if it is there and connected."""
        with self._one_at_a_time:
            link = self._links.get(node)
        if link is not None and link.connected:
            return link
        return None

    def close(self) -> None:
        """End all sessions; nothing is asked any more."""
        with self._one_at_a_time:
            links = list(self._links.values())
        # All are told before the first one is waited for.
        for link in links:
            link.session.hang_up()
        for link in links:
            link.session.close()


@dataclass
class Turns:
    """For each node and project the lock of its syncs: the first one pays for all that wait."""

    _locks: dict[tuple[str, str], threading.Lock] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def of(self, node: str, project: str) -> threading.Lock:
        with self._one_at_a_time:
            return self._locks.setdefault((node, project), threading.Lock())


@dataclass(frozen=True)
class Verbs:
    """What holds for all commands of a run."""

    request: Request

    # The run's folder takes the harvests. Nothing is written to its journal here.
    record: RunRecord

    # This controller's identity.
    controller: str

    links: Links

    # Project -> what of it stays at home.
    exclusions: Mapping[str, Exclusions]

    # How long claims are waited for.
    patience: Patience

    # Takes what is to be told before a step returns; may be called by any thread.
    tell: Callable[[Answer], None]

    turns: Turns = field(default_factory=Turns)

    def claim(self, command: ev.Claim, job: Job, slots: int) -> Answer:
        """A slot and a workspace. slots: how many we believe the node has.

        A claim that was late, and was withdrawn meanwhile, tells of its node alone.
        """
        request = requests.claim_request(
            job,
            command.attempt,
            run_id=self.request.run_id,
            controller=self.controller,
            slots=slots,
        )
        try:
            link = self.links.to(command.node)
        except LinkError as exc:
            return replies.not_reached(command.attempt, exc)
        if link.is_local:
            return self._ask_for_claim(link, request)

        self.patience.begin(
            command.attempt,
            command.node,
            is_connected=link.is_warm(),
            last_step=lambda: link.last_step,
        )
        try:
            answer = self._ask_for_claim(link, request)
        except Exception as exc:
            if self.patience.end(command.attempt, is_answered=False):
                return replies.no_contact(command.node, exc)
            raise
        is_answered = not isinstance(answer.event, ev.Failed)
        if self.patience.end(command.attempt, is_answered=is_answered):
            return self._after_late_claim(command, answer)
        return answer

    def _ask_for_claim(self, link: Link, request: wire.ClaimRequest) -> Answer:
        try:
            reply = link.session.call("claim", request, CLAIM_SECONDS)
        except LinkError as exc:
            return replies.not_reached(request["attempt"], exc)
        return replies.after_claim(request["attempt"], reply)

    def _after_late_claim(self, command: ev.Claim, answer: Answer) -> Answer:
        """Its job is elsewhere: what it was given is given back."""
        if isinstance(answer.event, ev.Failed):
            failed = answer.event
            return Answer(ev.LinkDown(command.node, failed.message, lasting=failed.lasting))
        if isinstance(answer.event, ev.Claimed):
            self.release(ev.Release(command.attempt, command.node))
        return Answer(ev.LinkUp(command.node))

    def sync(self, command: ev.Sync, job: Job, generation: int) -> Answer:
        """The project goes to the workspace. generation: of the claim."""
        if job.project is None:
            return Answer(ev.Synced(command.attempt), command.attempt)

        # A branch begins at the commit that the node is going to see.
        base = None
        if job.deliver == "branch":
            base = head(job.project)

        excluded = self.exclusions[job.project]
        begun = time.monotonic()
        try:
            link = self.links.to(command.node)
            turn = Turn(
                self.turns.of(command.node, job.project),
                lambda: self._renew_claim(link, job, command.attempt),
            )
            sent = send_project(link, excluded, command.attempt, generation, turn)
        except LinkError as exc:
            return replies.not_reached(command.attempt, exc)
        except TransferError as exc:
            if exc.is_stalled:
                return self._after_stalled_sync(command, link, time.monotonic() - begun)
            why = _why_it_is_ours(exc, excluded)
            if why:
                return self._refused_here(command.attempt, why)
            return replies.after_failed_sync(command.attempt, exc)
        except InputError as exc:
            # The list of what belongs can't be made any more.
            return self._refused_here(command.attempt, str(exc))
        return replies.after_sync(
            command.attempt,
            sent,
            seconds=time.monotonic() - begun,
            excluded=excluded.describe(),
            base=base,
        )

    def _refused_here(self, attempt: str, why: str) -> Answer:
        """What is wrong with the project is so on every node."""
        return Answer(ev.Refused(attempt, "input", "input", why, certain=True), attempt)

    def _renew_claim(self, link: Link, job: Job, attempt: str) -> None:
        """A claim that is asked for again is the same one, for two minutes more."""
        request = requests.claim_request(
            job, attempt, run_id=self.request.run_id, controller=self.controller, slots=1
        )
        # What is not heard shows when the sync begins.
        with contextlib.suppress(LinkError):
            link.session.call("claim", request, CLAIM_SECONDS)

    def _after_stalled_sync(self, command: ev.Sync, link: Link, seconds: float) -> Answer:
        """No byte moved any more: the job goes elsewhere, and the node is asked for a while."""
        self.tell(replies.late(command.attempt, seconds))
        try:
            link.session.call("release", {"attempt": command.attempt}, CLAIM_SECONDS)
        except Exception as exc:  # noqa: BLE001
            return replies.no_contact(command.node, exc)
        return Answer(ev.LinkUp(command.node))

    def start(
        self, command: ev.Start, job: Job, generation: int, base: str | None, key: str | None
    ) -> Answer:
        """The agent.

        generation: of the claim; base: the commit that a branch is to begin at; key: what the end
        is to be signed with.
        """
        try:
            values = values_for(job)
        except InputError as exc:
            refused = ev.Refused(command.attempt, "input", "input", str(exc), certain=True)
            return Answer(refused, command.attempt)

        request: wire.StartRequest = {
            "attempt": command.attempt,
            "generation": generation,
            "spec": requests.job_spec(
                job,
                self.request,
                controller=self.controller,
                base=base,
                with_contents=self._asks_for_contents(job),
                not_harvested=self._not_harvested(job),
            ),
            "env": values,
        }
        if key is not None:
            request["key"] = key
        try:
            reply = self.links.to(command.node).session.call("start", request, START_SECONDS)
        except LinkError as exc:
            return replies.not_known(command.attempt, exc)
        return replies.after_start(command.attempt, reply, agent=job.agent, now=time.time())

    def _asks_for_contents(self, job: Job) -> bool:
        if job.project is None:
            return False
        return self.exclusions[job.project].attribute_files.ask_for_contents()

    def _not_harvested(self, job: Job) -> list[str]:
        if job.project is None:
            return []
        return self.exclusions[job.project].not_harvested()

    def prove(self, command: ev.Fence | ev.Cancel, store: str | None) -> Answer:
        """What is certain about an attempt. store: the one that has it, if that is known."""
        request: wire.AttemptRequest = {"attempt": command.attempt}
        verb = "cancel" if isinstance(command, ev.Cancel) else "fence"
        try:
            session = self.links.to(command.node).session
            if verb == "cancel":
                reply = session.call("cancel", request, PROOF_SECONDS)
            else:
                reply = session.call("fence", request, PROOF_SECONDS)
        except LinkError as exc:
            return replies.not_known(command.attempt, exc)
        return replies.after_proof(command.attempt, reply, store=store, now=time.time())

    def fetch(
        self,
        command: ev.Fetch,
        job: Job,
        result: Mapping[str, object],
        files: Mapping[str, str] | None,
        base: str | None = None,
    ) -> Answer:
        """The harvest comes home.

        result: how the attempt ended; files: the harvest, if it came; base: as for `start`.
        """
        failure = result.get("class")
        limit = HarvestLimit(self.request.harvest_limit or self.request.config.harvest_limit)
        try:
            home = bring_home(
                self.record,
                self.links.to(command.node),
                command.attempt,
                job.name,
                result=result,
                files=files,
                wish=requests.branch_wish(job, None if failure is None else str(failure), base),
                project=job.project,
                limit=limit,
                seconds=seconds_in_a_run(limit),
            )
        except LinkError as exc:
            return replies.not_reached(command.attempt, exc)
        except TransferError as exc:
            return replies.after_failed_fetch(command.attempt, exc)
        return replies.after_fetch(command.attempt, home)

    def release(self, command: ev.Release) -> None:
        """A courtesy to others who wait for the slot: the lease ends by itself."""
        link = self.links.open_to(command.node)
        if link is None:
            return
        with contextlib.suppress(LinkError):
            link.session.call("release", {"attempt": command.attempt}, COURTESY_SECONDS)

    def acknowledge(self, node: str, attempts: list[str]) -> None:
        """The harvests of these attempts are at home. What is not heard, resume says again."""
        request: wire.AckRequest = {"attempts": attempts, "controller": self.controller}
        with contextlib.suppress(LinkError):
            self.links.to(node).session.call("ack", request, COURTESY_SECONDS)


def _why_it_is_ours(error: TransferError, excluded: Exclusions) -> str:
    """What this user can't read any more, though it could when the run began; blank: nothing."""
    if error.failure != "sync":
        return ""
    try:
        return why_unreadable(excluded, default_path())
    except InputError:
        return ""
