"""Answers kept for a while, for requests that are the same to the byte: one organization's never answer another's.

They are kept in the memory of one process, bounded in bytes, the longest unused forgotten first. What is answered from here passed
the gate like any other request, and costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aos.kernel.dialects.values import Dialect
from aos.kernel.ports import Ticker
from aos.operations.model_answers import Said

CACHE_BYTES_MAX: Final = 32 * 1024 * 1024
CACHED_ANSWER_BYTES_MAX: Final = 1024 * 1024
"""Larger answers are not kept."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What makes two requests the same: who asks for whom, in which dialect, and the body's digest.

    The epoch is part of it, so that no answer outlives a change of the models or purposes that it was chosen among.
    """

    organization_id: UUID
    epoch: int
    dialect: Dialect
    digest: str


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer with the model that gave it, until when it counts."""

    said: Said
    model: str
    until: float


class ModelCache:
    """The answers that one process keeps."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._kept: OrderedDict[CacheKey, Cached] = OrderedDict()
        self._bytes = 0

    def find(self, key: CacheKey) -> Cached | None:
        """Return the answer to a request, None where there is none that still counts."""
        cached = self._kept.get(key)
        if cached is None:
            return None
        if cached.until <= self._ticker.seconds():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return cached

    def keep(self, key: CacheKey, said: Said, model: str, *, seconds: int) -> None:
        """Keep an answer for so many seconds, unless it is too large."""
        if len(said.body) > CACHED_ANSWER_BYTES_MAX:
            return
        self._drop(key)
        self._kept[key] = Cached(said, model, self._ticker.seconds() + seconds)
        self._bytes += len(said.body)
        while self._bytes > CACHE_BYTES_MAX:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: CacheKey) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._bytes -= len(dropped.said.body)
