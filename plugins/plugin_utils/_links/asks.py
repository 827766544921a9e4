# Copyright: (c) 2026, distributed.gummy contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs with one reply, as whoever asks a node program calls them: by a link or a session.

Each verb has its own types, so that mypy finds a misspelt key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Literal, overload

from .._node import wire

# Verbs that tell rows of which each stands for itself: one that is not valid is left out.
VERBS_OF_ROWS = frozenset({"list", "clean", "specialists", "board"})


class Asks(ABC):
    """Somebody who can ask a node program."""

    @abstractmethod
    def _replies(
        self, verb: str, request: Mapping[str, object], seconds: float
    ) -> Iterator[dict[str, Any]]:
        """The replies of a verb as they come, at least one. Raises LinkError."""

    @overload
    def call(
        self, verb: Literal["claim"], request: wire.ClaimRequest, seconds: float = ...
    ) -> wire.ClaimReply: ...

    @overload
    def call(
        self, verb: Literal["release"], request: wire.AttemptRequest, seconds: float = ...
    ) -> wire.ReleaseReply: ...

    @overload
    def call(
        self, verb: Literal["start"], request: wire.StartRequest, seconds: float = ...
    ) -> wire.StartReply: ...

    @overload
    def call(
        self, verb: Literal["fence", "cancel"], request: wire.AttemptRequest, seconds: float = ...
    ) -> wire.FenceReply: ...

    @overload
    def call(
        self, verb: Literal["ack"], request: wire.AckRequest, seconds: float = ...
    ) -> wire.AckReply: ...

    @overload
    def call(
        self, verb: Literal["harvest"], request: wire.AttemptRequest, seconds: float = ...
    ) -> wire.HarvestReply: ...

    @overload
    def call(
        self, verb: Literal["adopt"], request: wire.AdoptRequest, seconds: float = ...
    ) -> wire.AdoptReply: ...

    @overload
    def call(
        self, verb: Literal["foresee"], request: wire.ForeseeRequest, seconds: float = ...
    ) -> wire.ForeseeReply: ...

    @overload
    def call(
        self, verb: Literal["remake"], request: wire.MirrorRequest, seconds: float = ...
    ) -> wire.RemakeReply: ...

    @overload
    def call(
        self, verb: Literal["mirrored"], request: wire.MirrorRequest, seconds: float = ...
    ) -> wire.MirroredReply: ...

    def call(self, verb: str, request: Mapping[str, object], seconds: float = 30.0) -> Any:
        """The reply of a verb.

        Raises LinkError when there is none: the outcome is then unknown.
        """
        return list(self._replies(verb, request, seconds))[-1]
