# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between the controller and one node."""

from __future__ import annotations


class LinkError(Exception):
    """The node could not be asked, or its reply is not valid: the outcome of the call is unknown.

    kind is one of:
        unreachable: there is no connection.
        timeout: the call took longer than it was given.
        login: the node refuses the login, or waits for a person before it goes on.
        host_key: the node's host key is not known, or has changed.
        settings: the connection settings, or the login shell, can't be used.
        no_command: the login answers, and runs no command.
        state: our folder on the node can't be written.
        python: the node has no Python that is new enough.
        reply: there was no reply, or a strange one.
    """

    def __init__(self, message: str, kind: str = "unreachable") -> None:
        super().__init__(message)
        self.kind = kind


class InvalidReply(LinkError):
    """The node answered, and not as `_node/wire.py` says: nobody asks the same once more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "reply")
