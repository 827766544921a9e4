# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh command that a person types to reach a node as its link does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Options that are for programs: without them a person is asked, sees more, and gets a terminal.
FOR_PROGRAMS = frozenset(
    {
        "batchmode",
        "clearallforwardings",
        "connectionattempts",
        "connecttimeout",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "forwardagent",
        "forwardx11",
        "forwardx11trusted",
        "kbdinteractiveauthentication",
        "loglevel",
        "numberofpasswordprompts",
        "passwordauthentication",
        "permitlocalcommand",
        "preferredauthentications",
        "remotecommand",
        "requesttty",
        "serveralivecountmax",
        "serveraliveinterval",
        "tunnel",
    }
)
FLAGS_FOR_PROGRAMS = frozenset({"-a", "-x", "-C", "-q", "-v", "-vv", "-vvv", "-tt"})


def typed_words(argv: Sequence[str]) -> list[str]:
    """What a person types of a link's ssh argv, which has neither host nor command yet."""
    return list(_typed(argv))


def _typed(argv: Sequence[str]) -> Iterator[str]:
    words = iter(argv)
    for word in words:
        if word in FLAGS_FOR_PROGRAMS:
            continue
        if word != "-o":
            yield word
            continue
        option = next(words, "")
        name = option.replace("=", " ").split(" ", 1)[0]
        if name.lower() not in FOR_PROGRAMS:
            yield word
            yield option
