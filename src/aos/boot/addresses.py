"""Under which addresses this installation is reached: from its own machine, and by clients."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from aos.boot.config import Config
from aos.kernel.private_hosts import LOOPBACK

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def url_of(config: Config) -> str:
    """Return the address under which this installation is reached from its own machine."""
    return _url(_EVERYWHERE.get(config.host, config.host), config.port)


def addresses_of(config: Config) -> tuple[str, ...]:
    """Return the addresses that clients may mean this installation by, the issuer of access tokens first.

    Without AOS_PUBLIC_URL they are those of this machine: what a request says of its host is not believed.
    """
    if config.public_url:
        return config.public_url
    own = url_of(config)
    names = _LOOPBACK if config.host in (*_EVERYWHERE, *_LOOPBACK) else ()
    return tuple(dict.fromkeys((own, *(_url(name, config.port) for name in names))))


def private_hosts_of(config: Config) -> tuple[str, ...]:
    """Return what AOS may reach for organizations though it is not public.

    Where nothing is said it is this machine, if AOS and its database are reached from this machine alone: whoever can sign in
    then is on it already. Served to others, AOS reaches nothing that is not public unless its operator says so.
    """
    if config.private_hosts:
        return config.private_hosts
    reached = {config.host, *(urlsplit(each).hostname or "" for each in config.public_url)}
    return LOOPBACK if reached | _database_hosts(config) <= set(_LOOPBACK) else ()


def _database_hosts(config: Config) -> set[str]:
    """Return the hosts of the database, none where it is our own or behind a socket of this machine."""
    given = conninfo_to_dict(config.database_url or "")
    named = str(given.get("hostaddr") or given.get("host") or "").split(",")
    return {each for each in named if each and not each.startswith(("/", "@"))}


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
