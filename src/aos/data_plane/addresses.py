"""Under which address a caller reaches this server, and where whoever is not signed in is told to ask for a token."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from aos.data_plane.http import Scope, Send, bearer_of, headers_of

METADATA_PATH: Final = "/.well-known/oauth-protected-resource"
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_BARE: Final = (b"www-authenticate", b"Bearer")


def base_url(scope: Scope, headers: Mapping[str, str]) -> str:
    """Return the address under which the caller reaches this server: what it wrote itself, or a proxy said, of the host.

    It is for addresses that the caller is sent back to; what is trusted is compared with `issuer_of`.
    """
    scheme = headers.get("x-forwarded-proto", scope["scheme"])
    host = headers.get("x-forwarded-host", headers.get("host", ""))
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        server = scope.get("server") or ("127.0.0.1", 80)
        return f"http://{server[0]}:{server[1]}"
    return f"{scheme}://{host}"


def issuer_of(base: str, addresses: tuple[str, ...]) -> str:
    """Return the issuer of tokens for a caller: the address it used where that is one the operator gave, else the first."""
    return base if base in addresses or not addresses else addresses[0]


def challenge(base: str, headers: Mapping[str, str], *, path: str = "") -> str:
    """Return what a 401 says (RFC 6750, section 3; RFC 9728, section 5.1)."""
    wrong = ', error="invalid_token"' if bearer_of(headers) else ""
    return f'Bearer resource_metadata="{base}{METADATA_PATH}{path}"{wrong}'


def challenging(scope: Scope, send: Send) -> Send:
    """Return a `send` that completes the challenge of every 401 that a door answers."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message.get("status") == 401 and _BARE in (found := list(message["headers"])):
            headers = headers_of(scope)
            said = challenge(base_url(scope, headers), headers).encode("latin-1")
            message["headers"] = [(_BARE[0], said) if each == _BARE else each for each in found]
        await send(message)

    return sending
