"""One call of a run over played nodes: a real engine, a real record, and no machine but this."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from ansible_collections.distributed.gummy.plugins.plugin_utils._files.quarantines import (
    Quarantines,
)
from ansible_collections.distributed.gummy.plugins.plugin_utils._files.record import RunRecord
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._input.request import Request
from ansible_collections.distributed.gummy.plugins.plugin_utils._run.engine import Engine
from ansible_collections.distributed.gummy.plugins.plugin_utils._schedule.placement import Node
from played import play_fleet
from played_nodes import AT_MOST, wait_for

RUN = "r"
CONTROLLER = "me"


def make_request(jobs, **changes):
    """A request for these jobs: what a test does not name is as it is by default."""
    fields = {
        "run_id": RUN,
        "named": True,
        "jobs": tuple(jobs),
        "only": None,
        "adopt": False,
        "detach": False,
        "on_interrupt": "leave",
        "local_fallback": True,
        "each": None,
        "min_nodes": 1,
        "queue_timeout": None,
        "lost_after": 3600.0,
        "output_file": None,
        "progress": True,
        "config": Config(),
    }
    return Request(**{**fields, **changes})


def measured(name, cpu=0.1, slots=2):
    return Node(name, "measured", load={"cpu": cpu}, slots=slots)


class Call:
    """One call of a run, its engine in a thread of its own so that no test can hang in it.

    links: played, by the nodes' order. nodes: as the inventory knows them; measured ones by
    default, of which the first is the best. measure: plays the fleet's; changes: of the request.
    """

    def __init__(self, jobs, links, *, nodes=None, measure=None, exclusions=None, **changes):
        self.links = links
        if nodes is None:
            nodes = [measured(link.name, number / 10) for number, link in enumerate(links, 1)]

        # What people were told: (job, verb, node, text).
        self.lines = []
        # What a person was needed for: (need, job, node, agent).
        self.needs = []
        self.record = RunRecord(RUN)
        self.record.begin(
            {job.name: job.digest() for job in jobs},
            {job.name: job.content() for job in jobs},
            CONTROLLER,
        )
        self.fleet = play_fleet(
            {link.name: link for link in links},
            nodes,
            measure=measure,
            quarantines=Quarantines({link.name: link.name for link in links}),
        )
        self.engine = Engine(
            make_request(jobs, **changes),
            self.fleet,
            self.record,
            jobs=jobs,
            nodes=nodes,
            controller=CONTROLLER,
            exclusions=exclusions or {},
            report=lambda *words: self.lines.append(words),
            person_needed=lambda *words: self.needs.append(words),
        )
        self._rows = None
        self._error = None
        self._thread = None

    def start(self, found=()):
        """Let the engine drive, and return at once."""
        self._thread = threading.Thread(target=self._run, args=(found,), daemon=True)
        self._thread.start()

    def _run(self, found):
        try:
            self._rows = self.engine.run(found)
        # Whatever it is, `rows` raises it where the test can see it.
        except Exception as exc:  # noqa: BLE001
            self._error = exc

    def rows(self):
        """The jobs' rows, once the engine has returned; what it raises is raised here."""
        self._thread.join(AT_MOST)
        assert not self._thread.is_alive(), f"the run does not end: {self.lines}"
        if self._error is not None:
            raise self._error
        return self._rows

    def run(self, found=()):
        self.start(found)
        return self.rows()

    def journal(self, kind):
        """The entries of this kind, as they are on the disk."""
        text = Path(self.record.folder, "journal.jsonl").read_text(encoding="utf-8")
        entries = [json.loads(line) for line in text.splitlines()]
        return [entry for entry in entries if entry["kind"] == kind]

    def states(self, job="a"):
        """The states of the job's attempts in the journal, in their order."""
        return [entry["state"] for entry in self.journal("attempt") if entry["job"] == job]

    def wait_for_state(self, state, job="a"):
        """Wait until the journal has an attempt of the job in this state; returns its id."""
        wait_for(lambda: state in self.states(job), f"{state} in {self.states(job)}")
        entries = self.journal("attempt")
        return next(entry["attempt"] for entry in entries if entry["state"] == state)

    def close(self):
        """End every thread that the call began."""
        for link in self.links:
            link.close()
        if self._thread is not None:
            self._thread.join(AT_MOST)
        self.record.close()
