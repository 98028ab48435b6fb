"""`POST /oauth/token`, and what tells OAuth clients of it: `/.well-known/oauth-authorization-server` and `jwks.json`.

Requests are form-encoded, answers JSON, errors in OAuth's own form (RFC 6749, section 5.2). A parameter that is sent twice,
or in the address, is refused; one that is not known is left alone, as the specification asks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from aos.data_plane.addresses import base_url, issuer_of
from aos.data_plane.binding import Services
from aos.data_plane.http import Receive, Response, Scope, headers_of, json_response, problem, read_body
from aos.kernel.errors import AosError, InvalidRequest, MethodNotAllowed, TokenRefused, Unavailable
from aos.kernel.jwk import public_jwk
from aos.kernel.limits import TOKEN_BODY_BYTES_MAX
from aos.kernel.oauth import (
    ACCESS_TOKEN_TYPE,
    ALGORITHM,
    ALGORITHMS,
    AUTHORIZATION_PATH,
    JWKS_PATH,
    SERVER_METADATA_PATH,
    TOKEN_PATH,
)
from aos.operations.oauth import GRANTS, IssuedToken, TokenRequest

log = logging.getLogger("aos.data_plane")

FIELDS_MAX: Final = 32
JWKS_AGE_SECONDS: Final = 300
"""How long the keys may be kept: the next one is among them long before it signs."""
_NO_BROWSER: Final = "unsupported_response_type"
_FORM: Final = "application/x-www-form-urlencoded"
_REPEATABLE: Final = "resource"
_READ: Final = (
    "grant_type", "client_id", "client_assertion", "client_assertion_type", "scope", "subject_token",
    "subject_token_type", "requested_token_type", "actor_token",
)  # fmt: skip
_UNCACHED: Final = {"cache-control": "no-store", "pragma": "no-cache"}
_UNSAID: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What may not stand in an error's description (RFC 6749, appendix A.8)."""


def is_oauth_path(path: str) -> bool:
    """Say whether a path is answered here."""
    return path in (TOKEN_PATH, AUTHORIZATION_PATH, JWKS_PATH, SERVER_METADATA_PATH)


async def oauth_door(services: Services, scope: Scope, receive: Receive) -> Response:
    """Answer one request; every error is OAuth's at the token endpoint, a problem elsewhere."""
    path = scope["path"]
    try:
        if path == TOKEN_PATH:
            return await _token(services, scope, receive)
        if path == AUTHORIZATION_PATH:  # common clients do not read metadata that names none
            raise TokenRefused("nobody signs in by a browser here: agents do by their keys", code=_NO_BROWSER)
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{scope['method']} is not possible here, use GET")
        return await (_jwks(services, scope) if path == JWKS_PATH else _metadata(services, scope))
    except AosError as error:
        return _refused(error, scope)
    except Exception:
        log.exception("request failed", extra={"path": path})
        return _refused(AosError("something broke inside; it is logged"), scope)


async def _token(services: Services, scope: Scope, receive: Receive) -> Response:
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['method']} is not possible here, use POST")
    headers = headers_of(scope)
    if scope["query_string"]:
        raise TokenRefused("send parameters in the body: what stands in an address is written to logs")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise TokenRefused(f"the body is `{kind[:80]}`, send `{_FORM}`")
    form = _read_form(await read_body(scope, receive, at_most=TOKEN_BODY_BYTES_MAX))
    if headers.get("authorization", "").lower().startswith("basic"):
        raise TokenRefused("clients prove themselves by `client_assertion` alone", code="invalid_client")
    addresses = services.oauth.tokens.addresses
    given: dict[str, Any] = {name: form[name][0] for name in _READ if name in form}
    resources = (*form.get(_REPEATABLE, ()), *form.get("audience", ()))
    asked = TokenRequest(issuer_of(base_url(scope, headers), addresses), resources=resources, **given)
    return json_response(200, _issued(await services.oauth.issue(asked)), headers=_UNCACHED)


def _read_form(body: bytes) -> dict[str, tuple[str, ...]]:
    """Return the parameters that have a value; raise TokenRefused for one that comes twice (RFC 6749, section 3.2)."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError as error:  # undecodable text, and too many fields
        raise TokenRefused(f"the body is not well-formed `{_FORM}` of at most {FIELDS_MAX} parameters") from error
    found: dict[str, tuple[str, ...]] = {}
    names: set[str] = set()
    for name, value in pairs:
        if name in names and name != _REPEATABLE:
            raise TokenRefused(f"`{name[:40]}` is given twice")
        names.add(name)
        if value:
            found[name] = (*found.get(name, ()), value)
    return found


def _issued(token: IssuedToken) -> dict[str, object]:
    """Return the answer (RFC 6749, section 5.1; RFC 8693, section 2.2.1)."""
    document: dict[str, object] = {
        "access_token": token.access_token,
        "token_type": "Bearer",
        "expires_in": token.expires_in_seconds,
    }
    if token.exchanged:
        document["issued_token_type"] = ACCESS_TOKEN_TYPE
    return document


async def _metadata(services: Services, scope: Scope) -> Response:
    """Return what clients must know of this authorization server (RFC 8414, section 2)."""
    issuer = issuer_of(base_url(scope, headers_of(scope)), services.oauth.tokens.addresses)
    document = {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZATION_PATH,
        "token_endpoint": issuer + TOKEN_PATH,
        "jwks_uri": issuer + JWKS_PATH,
        "response_types_supported": [],
        "grant_types_supported": list(GRANTS),
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
    }
    return json_response(200, document, headers={"cache-control": f"public, max-age={JWKS_AGE_SECONDS}"})


async def _jwks(services: Services, scope: Scope) -> Response:
    """Return the public keys that access tokens are checked by (RFC 7517, RFC 8037)."""
    keys = await services.oauth.tokens.public_keys(_organization(scope))
    items = [{**public_jwk(public), "use": "sig", "alg": ALGORITHM, "kid": str(id)} for id, public in keys]
    return json_response(200, {"keys": items}, headers={"cache-control": f"public, max-age={JWKS_AGE_SECONDS}"})


def _organization(scope: Scope) -> UUID | None:
    for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
        if name == "organization":
            try:
                return UUID(value)
            except ValueError as error:
                raise InvalidRequest(f"`{value[:60]}` is not the id of an organization") from error
    return None


def _refused(error: AosError, scope: Scope) -> Response:
    more: dict[str, str] = {}
    if error.status == 405:
        more["allow"] = "POST" if scope["path"] == TOKEN_PATH else "GET, HEAD"
    if scope["path"] not in (TOKEN_PATH, AUTHORIZATION_PATH):
        return problem(error, scope["path"], headers=_encoded(more))
    if error.retryable:
        more["retry-after"] = "1"
    code = _code(error)
    status = 401 if code == "invalid_client" else error.status
    if status == 401:
        more["www-authenticate"] = _scheme(headers_of(scope))
    document = {"error": code, "error_description": _UNSAID.sub("'", error.detail)}
    return json_response(status, document, headers={**_UNCACHED, **more})


def _code(error: AosError) -> str:
    if isinstance(error, TokenRefused):
        return error.code
    if isinstance(error, Unavailable):
        return "temporarily_unavailable"
    return "invalid_request" if error.status < 500 else "server_error"


def _scheme(headers: Mapping[str, str]) -> str:
    """Return the challenge of the scheme that a client tried (RFC 6749, section 5.2)."""
    tried = headers.get("authorization", "").partition(" ")[0].lower()
    return 'Basic realm="aos"' if tried == "basic" else 'Bearer realm="aos"'


def _encoded(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in headers.items())
