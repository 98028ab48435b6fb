"""Which addresses that are not public an operator opens to the organizations of a deployment.

An organization's own list of hosts says where it sends; what lies in the operator's network is not the organization's to
open. Both must say yes. An entry is a network or an address (`10.2.0.0/16`, `::1`), which stands for what a name resolves
to, or a host's name, with or without a port, which stands for whatever that name resolves to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

LOOPBACK: Final = ("127.0.0.0/8", "::1")
"""What is this machine itself."""
NONE: Final = "none"
"""The one word that opens nothing."""

Network: TypeAlias = IPv4Network | IPv6Network
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class PrivateHosts:
    """The operator's list, read; without entries nothing that is not public is reached."""

    networks: tuple[tuple[Network, int | None], ...] = ()
    """Networks with the one port that is open there, None for all."""
    names: frozenset[str] = frozenset()

    def opens(self, host: str, port: int, *, address: str) -> bool:
        """Say whether a connection to `host` at `port` may go to `address`, which the name stands for."""
        if not {host.lower(), f"{host.lower()}:{port}"}.isdisjoint(self.names):
            return True
        found = _plain(address)
        return any(found in network and open_at in (None, port) for network, open_at in self.networks)


CLOSED: Final = PrivateHosts()
"""What opens nothing."""


def read_private_hosts(entries: Sequence[str]) -> PrivateHosts:
    """Return the list that entries make; raise ValueError for one that is no host, address or network."""
    if tuple(entries) == (NONE,):
        return CLOSED
    networks: list[tuple[Network, int | None]] = []
    names: set[str] = set()
    for entry in entries:
        host, port = _split(entry.strip().lower())
        try:
            networks.append((ip_network(host), port))
        except ValueError as error:
            last = host.rpartition(".")[2]
            if "/" in host or ":" in host or not _NAME.fullmatch(host) or last.isdigit() or host == NONE:
                why = "give a network (`10.2.0.0/16`), an address, a host's name, or the one word `none`"
                raise ValueError(f"`{entry[:80]}` opens no host: {why}") from error
            names.add(host if port is None else f"{host}:{port}")
    return PrivateHosts(tuple(networks), frozenset(names))


def _split(entry: str) -> tuple[str, int | None]:
    """Return an entry's host and its port, None where it names none."""
    bracketed = re.fullmatch(r"\[([0-9a-f:.]+)\](?::([0-9]{1,5}))?", entry)
    plain = re.fullmatch(r"([^:]+):([0-9]{1,5})", entry)
    found = bracketed or plain
    if found is None or found[2] is None:
        return (found[1] if found else entry), None
    if not 0 < int(found[2]) <= _PORT_MAX:
        raise ValueError(f"`{entry[:80]}` names a port that is none")
    return found[1], int(found[2])


def _plain(address: str) -> IPv4Address | IPv6Address:
    found = ip_address(address.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
