"""Where acts wait for room that others hold on a budget: first come, first served, until their deadline.

The first in line asks again whenever something was given back here, and now and then for what was given back in other
processes. Nothing is kept here that a lost process would take along: who waits has written nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from aos.kernel.budget import AccountKey, Hold

BUDGET_WAIT_SECONDS: Final = 30.0
"""How long an act waits at most for room that others hold."""
_ELSEWHERE_SECONDS: Final = 0.1
"""How often the first in line asks for what other processes gave back."""


class _Line:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.given_back = asyncio.Event()
        self.waiting = 0


class Rooms:
    """The lines of one process, one for each account that somebody waits for."""

    def __init__(self) -> None:
        self._lines: dict[AccountKey, _Line] = {}

    def line_of(self, holds: Iterable[Hold]) -> AccountKey | None:
        """Return the first of the accounts for which others wait already, None where nobody does."""
        return next((hold.account for hold in holds if hold.account in self._lines), None)

    @contextmanager
    def joined(self, account: AccountKey) -> Iterator[asyncio.Lock]:
        """Stand in the line of an account; the lock is the turn, given in the order of arrival."""
        line = self._lines.setdefault(account, _Line())
        line.waiting += 1
        try:
            yield line.turn
        finally:
            line.waiting -= 1
            if line.waiting == 0:
                self._lines.pop(account, None)

    async def given_back(self, account: AccountKey) -> None:
        """Return when something was given back to an account here, or after a moment."""
        line = self._lines.get(account)
        if line is None:
            await asyncio.sleep(_ELSEWHERE_SECONDS)
            return
        line.given_back.clear()
        try:
            async with asyncio.timeout(_ELSEWHERE_SECONDS):
                await line.given_back.wait()
        except TimeoutError:
            pass

    def give_back(self, holds: Iterable[Hold]) -> None:
        """Tell who waits for these accounts that a hold was settled."""
        if self._lines:
            for hold in holds:
                line = self._lines.get(hold.account)
                if line is not None:
                    line.given_back.set()
