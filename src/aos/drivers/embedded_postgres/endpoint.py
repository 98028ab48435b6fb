"""How to reach a running embedded Postgres: its private socket, or its port on the loopback address."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from aos.drivers.embedded_postgres.initialise import SUPERUSER
from aos.drivers.embedded_postgres.ports import LOOPBACK

_CONNECT_TIMEOUT_SECONDS = 5
_ALL_SLOTS_TAKEN = ("too many clients", "connection slots are reserved")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and superuser's password; the socket is the faster way and open to nobody else."""

    sockets: Path
    port: int
    password: str = field(repr=False)

    def dsn(self, database: str = "postgres", *, user: str, password: str, over_tcp: bool = False) -> str:
        """Return a connection URI of libpq for a role; every part is quoted."""
        host = LOOPBACK if over_tcp else str(self.sockets)
        query = urlencode({"host": host, "port": self.port}, quote_via=quote)
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database, safe='')}?{query}"

    def superuser_dsn(self, database: str = "postgres", *, over_tcp: bool = False) -> str:
        """Return a connection URI for the superuser, who makes the roles that AOS itself works with."""
        return self.dsn(database, user=SUPERUSER, password=self.password, over_tcp=over_tcp)

    def answers(self) -> bool:
        """Say whether the server takes a connection of the superuser's, or only lacks a free slot for it."""
        try:
            psycopg.connect(self.superuser_dsn(), connect_timeout=_CONNECT_TIMEOUT_SECONDS).close()
        except psycopg.OperationalError as error:
            return any(saying in str(error) for saying in _ALL_SLOTS_TAKEN)
        return True
