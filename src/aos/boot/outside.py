"""The tools of one process of AOS that need no code, and the connections that they keep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aos.drivers.model_http import ListedAddresses
from aos.drivers.smtp_mailer import SmtpMailer
from aos.drivers.sql_reader import PostgresReader
from aos.kernel.ports import ModelTransport, ToolCaller
from aos.kernel.private_hosts import PrivateHosts
from aos.kernel.tools import ToolTransport
from aos.operations.facts import FactsCache
from aos.operations.outside_tools import EmailTools, HttpTools, SqlTools


@asynccontextmanager
async def open_outside(
    facts: FactsCache, transport: ModelTransport, private: PrivateHosts
) -> AsyncIterator[Mapping[ToolTransport, ToolCaller]]:
    """Return who calls each form of such tools, until the end; `private` is what the operator opens."""
    addresses = ListedAddresses(private)
    reader = PostgresReader(addresses)
    try:
        yield {
            ToolTransport.HTTP: HttpTools(facts, transport),
            ToolTransport.SQL: SqlTools(facts, reader),
            ToolTransport.EMAIL: EmailTools(facts, SmtpMailer(addresses)),
        }
    finally:
        await reader.close()
