"""A control plane for tests: Django's own WSGI application over a fresh database, and a client that speaks HTTP to it.

def test_something(plane): plane.post("/agents", {"name": "finance", "type": "functional"})
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from aos.control_plane.binding import Services
from aos.control_plane.settings import WEB
from aos.control_plane.wsgi import build_application
from aos.drivers.clock import MonotonicTicker
from aos.drivers.crypto import StandardCrypto
from aos.drivers.ids import StandardIds
from aos.drivers.key_file import KeyFile
from aos.kernel.people import Actor
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.integrate import integrate_all
from aos.operations.organizations import create_organization
from aos.operations.people import create_link, exchange_link
from aos.store.cold.connection import configure, disconnect
from aos.store.cold.machine import configure_machine, disconnect_machine
from aos.store.django_settings import DjangoConfig, set_up_django
from aos.store.hot.database import Database, DatabaseConfig
from tests.databases import Database as TestDatabase

ADMIN = "maria@larkspur.example"

# Once for the whole test process, before anything migrates: settings do not change while a process runs. The same value
# as the control plane's process has, so that a test may import that as well.
set_up_django(DjangoConfig(root_urlconf="aos.boot.urls", allowed_hosts=("*",), web=WEB))


@dataclass
class Plane:
    """One organization with its administrator signed in; `as_person` signs somebody else in."""

    database: TestDatabase
    drivers: Drivers
    actor: Actor
    token: str = field(repr=False)
    client: httpx.Client

    def request(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Any:
        """Send one request; `body` is sent as JSON unless it is bytes."""
        sent = {
            "Authorization": f"Bearer {token or self.token}",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return self.client.request(method, path, content=content, headers=sent)

    def get(self, path: str, **more: Any) -> Any:
        """Read."""
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        """Write."""
        return self.request("POST", path, body, **more)

    def patch(self, path: str, body: Any, **more: Any) -> Any:
        """Change."""
        return self.request("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> Any:
        """Retire."""
        return self.request("DELETE", path, **more)

    def as_person(self, email: str, *roles: str) -> str:
        """Invite a person with roles and return a personal token of theirs."""
        link = self.post("/people", {"email": email, "roles": list(roles)}).json()["link"]
        token: str = self.post("/people/link", {"link": link}).json()["token"]
        return token

    def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        """Read straight from the tables, across organizations."""
        with psycopg.connect(self.database.test) as connection:
            return connection.execute(query, params).fetchall()

    def run(self, statement: str, *params: Any) -> None:
        """Write straight into the tables, for what REST does not make."""
        with psycopg.connect(self.database.owner) as connection:
            connection.execute(statement, params)

    def epoch(self) -> int:
        """Return the organization's epoch."""
        return int(self.rows("select epoch from organization where id = %s", self.actor.organization_id)[0][0])

    def records(self) -> int:
        """Return how many ledger records the organization has."""
        return int(
            self.rows("select count(*) from record where organization_id = %s", self.actor.organization_id)[0][0]
        )

    def integrate(self) -> None:
        """Give every waiting record its place in the log."""

        async def work() -> None:
            database = Database(DatabaseConfig(self.database.app, self.database.machine))
            await database.open()
            try:
                await integrate_all(database, FactsCache(database, self.drivers), self.drivers)
            finally:
                await database.close()

        asyncio.run(work())


def sign_in(drivers: Drivers, actor: Actor) -> str:
    """Return a personal token of a person."""
    link = create_link(drivers, actor.person_id, issuer_id=actor.organization_id, label="test")
    _, token, _ = exchange_link(drivers, link, label="test")
    return token


@pytest.fixture
def plane(database: TestDatabase, tmp_path: Path) -> Iterator[Plane]:
    """A control plane with one organization, Larkspur."""
    configure(database.app)
    configure_machine(database.machine)
    permitted = (("mcp-server-time",),)
    drivers = Drivers(
        StandardIds(), MonotonicTicker(), StandardCrypto(), KeyFile(tmp_path / "keys"), mcp_commands=permitted
    )
    actor = create_organization(
        drivers, "Larkspur", currency="EUR", timezone="Europe/Berlin", admin_email=ADMIN, admin_name="Maria"
    )
    transport = httpx.WSGITransport(build_application(Services(drivers)), raise_app_exceptions=False)
    try:
        with httpx.Client(transport=transport, base_url="http://aos.test") as client:
            yield Plane(database, drivers, actor, sign_in(drivers, actor), client)
    finally:
        disconnect()
        disconnect_machine()
