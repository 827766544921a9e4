# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node says in words for people, where a program was expected to answer.

A login may print a sentence in place of a shell, or an address to be visited before it goes on. Who
logs in by hand reads that, so whoever uses us gets to read it as well.
"""

from __future__ import annotations

import re

from .reader import clean_line

# How many characters of such words are looked at, and how many of them people are told.
LOOKED_AT = 4096
TOLD = 300

# How long a login may say nothing more after words that ask a person for something, in seconds,
# until it is taken to wait for that person: words that only this is said in, and words that
# start-up files and banners may say as well.
SURE_SECONDS = 2.0
UNSURE_SECONDS = 8.0
# How long a login may have said any other words, and begun no command, in seconds, until it is
# taken to be none that runs commands. Start-up files that print something may be slow.
SHELL_SECONDS = 15.0

# Words after which nothing goes on until a person has done something: an address that is to be
# visited, as Tailscale SSH in check mode, Cloudflare, Teleport and cloud vendors' proxies print it.
SURE = re.compile(r"requires an additional check|To authenticate, visit|open the following URL")
UNSURE = re.compile(
    r"(?:authenticat|log ?in|sign ?in|approv|authori[sz]|verify|visit|browser)\w*"
    r"[^\x00]{0,200}?https?://\S",
    re.IGNORECASE,
)

# Lines that are ssh's own notes and say nothing of the node.
SSH_NOTES = re.compile(
    r"debug\d|Warning: Permanently|Pseudo-terminal|mux_client|ControlSocket|"
    r"Connection to \S+ closed|Shared connection to "
)


def asks_a_person(words: str, seconds: float = UNSURE_SECONDS) -> bool:
    """Whether these words ask a person to do something first, and are waited behind.

    seconds: how long nothing has begun.
    """
    words = words[-LOOKED_AT:]
    if seconds >= SURE_SECONDS and SURE.search(words):
        return True
    return seconds >= UNSURE_SECONDS and UNSURE.search(words) is not None


def told_words(text: str) -> str:
    """What these words tell a person, in one line; blank: nothing.

    Of a program's traceback its last line is told, and of words that are too long their end.
    """
    text = text[-LOOKED_AT:]
    lines = [clean_line(line.strip()) for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line and not SSH_NOTES.match(line)]
    is_traceback = any(
        "Traceback (most recent call last)" in line or line.startswith('File "') for line in lines
    )
    if is_traceback:
        lines = lines[-1:]

    # A comment's sign is there for terminals.
    line = " ".join(line.lstrip("# ") for line in lines).strip()
    if len(line) > TOLD:
        line = f"… {line[-TOLD:]}"
    return line
