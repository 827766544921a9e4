"""What ssh says when it fails gets a kind, and one line for a person."""

from __future__ import annotations

import pytest
from ansible_collections.distributed.gummy.plugins.plugin_utils._links import ssh_failures

CHANGED = (
    "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\n"
    "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n"
    "Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.\r\n"
    "Host key verification failed.\r\n"
)


CROWDED = (
    "mux_client_request_session: session request failed: Session open refused by peer\r\n"
    "ControlSocket /tmp/gummy-0/1 already exists, disabling multiplexing\r\n"
    "u@n: Permission denied (publickey,password).\r\n"
)


@pytest.mark.parametrize(
    ("errors", "kind", "start"),
    [
        (CHANGED, "host_key", "its host key has changed"),
        (
            "No ED25519 host key is known for n and you have requested strict checking.\r\n",
            "host_key",
            "its host key is not known",
        ),
        (CROWDED, "unreachable", "its sshd allows no more sessions"),
        ("u@n: Permission denied (publickey,password).\r\n", "login", "it asks for a password"),
        (
            (
                "Received disconnect from 10.0.0.9 port 22:2: Too many authentication failures\r\n"
                "Disconnected from 10.0.0.9\r\n"
            ),
            "login",
            "it refuses the login",
        ),
        (
            "ssh: connect to host 10.0.0.9 port 22: Connection refused\r\n",
            "unreachable",
            "connection refused",
        ),
        (
            "ssh: Could not resolve hostname nowhere: Name or service not known\r\n",
            "unreachable",
            "its name is not known",
        ),
        (
            (
                "kex_exchange_identification: Connection closed by remote host\r\n"
                "Connection closed by ::1 port 22\r\n"
            ),
            "unreachable",
            "Connection closed",
        ),
        (
            (
                "Timeout, server n not responding.\r\n"
                "Warning: Permanently added 'n' (ED25519) to the list\r\n"
            ),
            "unreachable",
            "timed out",
        ),
        ("debug1: Reading configuration data\r\n", "unreachable", "ssh ended without a message"),
    ],
)
def test_what_ssh_says_has_a_kind_and_one_line(errors, kind, start):
    found, reason = ssh_failures.why_ssh_failed(errors)
    assert (found, reason[: len(start)]) == (kind, start)
    assert "\n" not in reason
