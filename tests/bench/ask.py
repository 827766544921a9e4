"""Our side of the row `specialists`, without Ansible's start: `ask.py SSH_CONFIG SOCKETS ANSWER NODE...` asks all nodes.

The answer is a file: the seconds that it took, and the dashboard's totals. The dashboard is the playbook's own code; only the links are made
here, with the words that Ansible's ssh plugin would be given.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / ".collections"))
from ansible_collections.distributed.gummy.plugins.plugin_utils import _views
from ansible_collections.distributed.gummy.plugins.plugin_utils._config import Config
from ansible_collections.distributed.gummy.plugins.plugin_utils._connect import PLAIN_SESSION, SOCKET, SSH_FIRST
from ansible_collections.distributed.gummy.plugins.plugin_utils._fleet import Fleet
from ansible_collections.distributed.gummy.plugins.plugin_utils._link import Link
from ansible_collections.distributed.gummy.plugins.plugin_utils._placement import Node
from ansible_collections.distributed.gummy.plugins.plugin_utils._program import build


def main() -> None:
    config, sockets, answer, *names = sys.argv[1:]

    def link(name: str) -> Link:
        first = SSH_FIRST.replace(SOCKET, f"{sockets}/{name}").split()
        return Link(name, name, ["ssh", *PLAIN_SESSION, "-F", config, *first], build())

    def measure(name: str, link: Link) -> Node:
        raise NotImplementedError

    fleet = Fleet(tuple(names), tuple(map(Node, names)), None, link, measure, Config())
    begun = time.monotonic()
    dashboard = _views.specialists(fleet)
    pathlib.Path(answer).write_text(json.dumps({"wall": time.monotonic() - begun, **dashboard["totals"]}), encoding="utf-8")


if __name__ == "__main__":
    main()
