"""Whether an address may be spoken to at all, by the list of hosts that an organization permits.

It is what people are told early, and keeps nothing away by itself: the driver that connects looks at the list again, and at
the address that the name stands for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}


def is_permitted(url: str, hosts: Iterable[str]) -> bool:
    """Say whether a URL's host stands in a list: by itself, with its port, or by a pattern (`*.example.com`, `*`)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return False
    if parts.scheme not in _PORTS or not host:
        return False
    named = {each.lower() for each in hosts}
    written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return bool(named & {host, written, "*"}) or any(
        each.startswith("*.") and host.endswith(each[1:]) for each in named
    )
