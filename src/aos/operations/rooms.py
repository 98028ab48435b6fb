"""Where acts wait for room that others hold on a budget, or for their turn at a model: first come, first served, for a while.

The first in line asks again whenever something was given back here, and now and then for what was given back in other
processes. Nothing is kept here that a lost process would take along: who waits has written nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from aos.kernel.acts import Permit
from aos.kernel.budget import AccountKey, NoRoom, NoTurn, TurnKey

BUDGET_WAIT_SECONDS: Final = 30.0
"""How long an act waits at most for room that others hold."""
TURN_WAIT_SECONDS: Final = 10.0
"""How long a model's act waits at most for its turn where as many are under way as may be."""
_ELSEWHERE_SECONDS: Final = 0.1
"""How often the first in line asks for what other processes gave back."""

LineKey: TypeAlias = AccountKey | TurnKey
"""What one line waits for."""


def missing_of(result: object) -> LineKey | None:
    """Return what an act that was not granted waits for."""
    if isinstance(result, NoRoom):
        return result.account
    return result.turn if isinstance(result, NoTurn) else None


class _Line:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.given_back = asyncio.Event()
        self.waiting = 0


class Rooms:
    """The lines of one process, one for each account and each model that somebody waits for."""

    def __init__(self) -> None:
        self._lines: dict[LineKey, _Line] = {}
        self.turn_wait_seconds = TURN_WAIT_SECONDS

    def wait_seconds(self, line: LineKey) -> float:
        """Return how long an act waits at most in a line."""
        return BUDGET_WAIT_SECONDS if isinstance(line, AccountKey) else self.turn_wait_seconds

    def line_of(self, permit: Permit) -> LineKey | None:
        """Return the first of what an act needs for which others wait already, None where nobody does."""
        return next((key for key in _needs(permit) if key in self._lines), None) if self._lines else None

    @contextmanager
    def joined(self, key: LineKey) -> Iterator[asyncio.Lock]:
        """Stand in a line; the lock is the place at its head, given in the order of arrival."""
        line = self._lines.setdefault(key, _Line())
        line.waiting += 1
        try:
            yield line.turn
        finally:
            line.waiting -= 1
            if line.waiting == 0:
                self._lines.pop(key, None)

    def asks(self, key: LineKey) -> None:
        """Say that the first in line asks now: what is given back from here on is news to it."""
        self._lines[key].given_back.clear()

    async def given_back(self, key: LineKey) -> None:
        """Return when something of what a line waits for was given back here since it asked, or after a moment."""
        line = self._lines.get(key)
        if line is None:
            await asyncio.sleep(_ELSEWHERE_SECONDS)
            return
        try:
            async with asyncio.timeout(_ELSEWHERE_SECONDS):
                await line.given_back.wait()
        except TimeoutError:
            pass

    def give_back(self, permit: Permit) -> None:
        """Tell who waits for what an act needed that it is concluded."""
        if self._lines:
            for key in _needs(permit):
                line = self._lines.get(key)
                if line is not None:
                    line.given_back.set()


def _needs(permit: Permit) -> Iterator[LineKey]:
    if permit.turn is not None:
        yield permit.turn
    yield from (hold.account for hold in permit.holds)
