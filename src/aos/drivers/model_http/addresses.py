"""Where a request may go: the URL taken apart, the list of permitted hosts, and the addresses that a name stands for.

- A host must stand in the list, by itself or with its port. A pattern (`*.example.com`, `*`) lets in public addresses only;
  a private one needs the host itself in the list, and in the operator's list of private hosts too: two keys, of two people.
- A name is resolved once for each connection, and the connection goes to an address that was looked at here: what the name
  stands for a moment later is of no consequence.
- One address that is not permitted refuses the whole answer: a name that mixes public and private addresses is not trusted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from aos.kernel.errors import UpstreamFailed
from aos.kernel.private_hosts import CLOSED, PrivateHosts

PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_.-]{1,253}")
_TARGET: Final = re.compile(r"[!-~]*")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Server:
    """One server: where connections may be shared."""

    secure: bool
    host: str
    port: int

    def __str__(self) -> str:
        """Return it as an error names it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart: the server, and the bytes that name the rest in a request."""

    server: Server
    target: bytes
    authority: bytes


class Listed(Enum):
    """How a host stands in a list of permitted hosts."""

    NOT = "not"
    PUBLIC = "public"
    """By a pattern: public addresses only."""
    ANY = "any"
    """By its own name: any address that is public or that the operator opens."""
    OWN = "own"
    """By AOS itself, which serves there: neither list is asked."""


@lru_cache(maxsize=1024)
def locate(url: str) -> Place:
    """Take a URL apart; raise UpstreamFailed where it is not one that can be asked."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(f"`{url}` is no URL") from None
    if parts.scheme not in PORTS or parts.username is not None or not (_HOST.fullmatch(host) or _is_v6(host)):
        raise _refused(f"`{url}` is no URL that can be asked: write it as `https://host/path`, the host in ASCII")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.fullmatch(target):
        raise _refused(f"`{url}` has characters that must be percent-encoded")
    usual = PORTS[parts.scheme]
    authority = f"[{host}]" if ":" in host else host
    authority += f":{port}" if port not in (None, usual) else ""
    return Place(Server(parts.scheme == "https", host, port or usual), target.encode(), authority.encode())


@lru_cache(maxsize=4096)
def listed(server: Server, permitted: tuple[str, ...]) -> Listed:
    """Say how `server` stands in a list of hosts."""
    found = Listed.NOT
    for entry in permitted:
        name = entry.lower()
        if name in (server.host, str(server)):
            return Listed.ANY
        if name == "*" or (name.startswith("*.") and server.host.endswith(name[1:])):
            found = Listed.PUBLIC
    return found


def check_listed(server: Server, permitted: tuple[str, ...]) -> Listed:
    """Return how `server` stands in the list; raise UpstreamFailed where it does not."""
    found = listed(server, permitted)
    if found is Listed.NOT:
        raise _refused(
            f"`{server.host}` is not among the permitted hosts: have `{server}` added to `organization.hosts`"
        )
    return found


class ListedAddresses:
    """Implements `Addresses` by the rules of this module; `private` is what the operator opens."""

    def __init__(self, private: PrivateHosts = CLOSED) -> None:
        self._private = private

    async def permitted(self, host: str, port: int, *, permitted: tuple[str, ...]) -> list[str]:
        """Return the addresses of a permitted host, resolved now; see `Addresses`."""
        if not (_HOST.fullmatch(host) or _is_v6(host)):
            raise _refused(f"`{host[:80]}` is no host that can be asked")
        server = Server(secure=False, host=host, port=port)
        return await resolve(server, check_listed(server, permitted), private=self._private)


async def resolve(server: Server, how: Listed, *, private: PrivateHosts) -> list[str]:
    """Return the addresses of a server, in the order of the resolver; raise UpstreamFailed where there are none.

    One that is private, loopback, link-local, reserved or of many refuses them all, unless the host is listed by its own name
    and `private` opens it.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refused(f"the name `{server.host}` cannot be resolved: {error}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        if how is Listed.OWN or is_public(address):
            continue
        if how is Listed.PUBLIC:
            detail = (
                f"`{server.host}` stands for `{address}`, which is no public address: list the host by its own name"
            )
            raise _refused(detail)
        if not private.opens(server.host, server.port, address=address):
            detail = f"`{server.host}` stands for an address that is not public, and the operator has not opened it"
            raise _refused(f"{detail}: `{server}` must stand in AOS_PRIVATE_HOSTS too")
    return addresses


def is_public(address: str) -> bool:
    """Say whether an address is one of the public network, also the one inside a mapped or translated address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _is_v6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


def _refused(detail: str) -> UpstreamFailed:
    return UpstreamFailed(detail, sent=False)
