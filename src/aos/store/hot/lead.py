"""The lead: what one of many processes shall do is done by the one whose session holds an advisory lock.

The lock is the session's, so it ends with the process, however that ends. A process that is stopped, or cut off from the
server, says nothing, and the server ends its session after LEAD_SECONDS (`idle_session_timeout`, PostgreSQL 14). For a
moment there may be two: what the lead does must come to the same when it is done twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from aos.kernel.errors import Unavailable
from aos.store.hot.database import Database, Row, execute, unavailable
from aos.store.hot.machine import MACHINE_STATEMENTS

LEAD_SECONDS: Final = 10


class Lead:
    """One process's claim to be the one; it holds a connection of its own from the first try on."""

    def __init__(self, database: Database, name: str, *, idle_seconds: int = LEAD_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._database = database
        self._name = name
        self._session: AsyncConnection[DictRow] | None = None
        self._leads = False

    async def read(self, statement: str, params: Mapping[str, object]) -> list[Row] | None:
        """Run a listed statement that only reads, in the session that leads; None where another process leads.

        It must be called well within LEAD_SECONDS to keep the lead. Raises Unavailable where the session was lost.
        """
        try:
            if not await self._holds():
                return None
            return await self._run(statement, params)
        except psycopg.OperationalError as error:
            await self.close()
            raise unavailable(error) from error

    async def close(self) -> None:
        """Give the lead up."""
        session, self._session, self._leads = self._session, None, False
        if session is not None:
            with contextlib.suppress(psycopg.Error):
                await session.close()

    async def _holds(self) -> bool:
        if self._session is None:
            self._session = await self._database.session()
        if not self._leads:
            (row,) = await self._run("take_lead", {"name": self._name, "idle_seconds": self._idle_seconds})
            self._leads = bool(row["leads"])
        return self._leads

    async def _run(self, statement: str, params: Mapping[str, object]) -> list[Row]:
        if statement not in MACHINE_STATEMENTS:
            raise KeyError(f"`{statement}` is not a statement of the machine role")
        if self._session is None:
            raise Unavailable("the session that leads was closed")
        cursor = await execute(self._session, statement, params)
        return await cursor.fetchall()
