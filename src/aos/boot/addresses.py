"""Under which addresses this installation is reached: from its own machine, and by clients."""

from __future__ import annotations

from typing import Final

from aos.boot.config import Config

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


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
