"""OAuth as AOS speaks it: what a client's assertion must say, what an access token says, and whom either names.

Clients prove themselves by `private_key_jwt` (RFC 7523); access tokens are JWTs (RFC 9068). Signatures are checked elsewhere;
here is what the claims of a signed token must be, as a function of the database's time.

Rules a reader must not break:
- Nothing is read of a token that no signature has proved, but which key to try.
- An audience is compared with addresses that the operator gave, never with what a request said of itself.
- A claim of the wrong type is a missing one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from aos.kernel.errors import TokenRefused
from aos.kernel.json import Json

TOKEN_PATH: Final = "/oauth/token"
AUTHORIZATION_PATH: Final = "/oauth/authorize"
JWKS_PATH: Final = "/.well-known/jwks.json"
SERVER_METADATA_PATH: Final = "/.well-known/oauth-authorization-server"

CLIENT_CREDENTIALS: Final = "client_credentials"
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"
ALGORITHM: Final = "EdDSA"
"""What access tokens are signed with."""
ALGORITHMS: Final = (ALGORITHM, "Ed25519")
"""What assertions may be signed with: one algorithm by its two names (RFC 8037, RFC 9864), that of agents' keys."""
ACCESS_TYPE: Final = "at+jwt"

ACCESS_TOKEN_SECONDS: Final = 600
"""How long an access token counts."""
ASSERTION_SECONDS_MAX: Final = 3_600
"""How far ahead an assertion may expire: its `jti` is remembered until then, and what common clients set is an hour."""
SKEW_SECONDS: Final = 30
"""How far a client's clock may be from the database's."""
JTI_LENGTH_MAX: Final = 256
_TIME_MAX: Final = 253_402_300_800
"""The first second that no date has."""

_ORGANIZATION, _KEY = "aos_organization", "aos_key"
_RUN, _TASK, _CLAIM = "aos_run", "aos_task", "aos_claim"
_SPIFFE: Final = "spiffe://aos/"


@dataclass(frozen=True, slots=True)
class Jwt:
    """The header and the claims of a JSON Web Token."""

    header: Mapping[str, Json]
    claims: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ClientName:
    """An agent as a client names it: by id, by name, or by its whole identity; what is None was not said."""

    organization_id: UUID | None
    agent_id: UUID | None
    name: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """What of a client's assertion is kept: it counts once, and until `expires_at`."""

    jti: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """The claim of a task that an access token was exchanged for: with it the token ends."""

    run_id: UUID
    task_id: UUID
    claim_token: UUID


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token says: which agent, by which of its keys or under which claim, and until when."""

    organization_id: UUID
    agent_id: UUID
    expires_at: datetime
    key_id: UUID | None = None
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """What an access token is made of. `actors` are the ids of those who act, from the root down to the agent itself."""

    issuer: str
    audience: tuple[str, ...]
    access: Access
    actors: tuple[UUID, ...]
    now: datetime
    jti: str


def name_client(text: str) -> ClientName:
    """Return whom a client names itself as: an agent's id, name or SPIFFE ID."""
    organization, agent = _spiffe(text)
    if organization is not None:
        return ClientName(organization, None, agent)
    return ClientName(None, _uuid(text), text)


def subject_of(jwt: Jwt) -> str:
    """Return who an assertion says it is; raise TokenRefused where issuer and subject are not the same client."""
    if jwt.header.get("alg") not in ALGORITHMS:
        raise _client(f"the assertion is signed with `{str(jwt.header.get('alg'))[:20]}`: sign with {ALGORITHM}")
    subject = jwt.claims.get("sub")
    if not isinstance(subject, str) or not subject or not subject.isprintable() or jwt.claims.get("iss") != subject:
        raise _client("`iss` and `sub` of the assertion must both be the client: the agent's id or name")
    return subject


def key_named_by(jwt: Jwt) -> str | None:
    """Return the key that a token's header names, None where it names none."""
    kid = jwt.header.get("kid")
    return kid if isinstance(kid, str) and kid.isprintable() else None


def read_assertion(claims: Mapping[str, Json], addresses: Sequence[str], *, now: datetime) -> Assertion:
    """Return what is kept of an assertion whose signature was right; raise TokenRefused (RFC 7523, section 3)."""
    taken = [each for address in addresses for each in (address + TOKEN_PATH, address, address + "/")]
    if not set(_audience(claims)).intersection(taken):
        raise _client(f"`aud` of the assertion must be `{taken[0]}` or `{addresses[0]}`, as AOS_PUBLIC_URL says")
    expires = _time(claims, "exp")
    if expires is None:
        raise _client("`exp` of the assertion must be given, in seconds since 1970")
    if expires + timedelta(seconds=SKEW_SECONDS) <= now:
        raise _client("the assertion has expired")
    if expires > now + timedelta(seconds=ASSERTION_SECONDS_MAX + SKEW_SECONDS):
        raise _client(f"`exp` of the assertion may be at most {ASSERTION_SECONDS_MAX} seconds away")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if name in claims and (begins is None or begins > now + timedelta(seconds=SKEW_SECONDS)):
            raise _client(f"`{name}` of the assertion is no time, or lies ahead")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= JTI_LENGTH_MAX:
        raise _client(f"`jti` of the assertion must be given: 1 to {JTI_LENGTH_MAX} characters, another each time")
    return Assertion(jti, expires + timedelta(seconds=SKEW_SECONDS))


def access_jwt(issued: Issued, *, key_id: UUID) -> Jwt:
    """Return the access token to be signed (RFC 9068, sections 2.1 and 2.2), with who acts for whom (RFC 8693, section 4.1)."""
    access = issued.access
    claims: dict[str, Json] = {
        "iss": issued.issuer,
        "sub": str(access.agent_id),
        "client_id": str(access.agent_id),
        "aud": issued.audience[0] if len(issued.audience) == 1 else list(issued.audience),
        "iat": int(issued.now.timestamp()),
        "exp": int(access.expires_at.timestamp()),
        "jti": issued.jti,
        _ORGANIZATION: str(access.organization_id),
    }
    if access.key_id is not None:
        claims[_KEY] = str(access.key_id)
    if access.held is not None:
        claims |= {
            "sub": str(issued.actors[0]),
            "act": _act(issued.actors[1:]),
            _RUN: str(access.held.run_id),
            _TASK: str(access.held.task_id),
            _CLAIM: str(access.held.claim_token),
        }
    return Jwt({"typ": ACCESS_TYPE, "kid": str(key_id)}, claims)


def organization_of(jwt: Jwt) -> UUID | None:
    """Return the organization that an access token names, and whose keys it is checked by."""
    return _uuid(jwt.claims.get(_ORGANIZATION))


def read_access(jwt: Jwt, addresses: Sequence[str], *, now: datetime) -> Access | None:
    """Return what an access token whose signature was right says; None where it is none for here and now (RFC 9068, section 4)."""
    claims = jwt.claims
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if jwt.header.get("typ") not in (ACCESS_TYPE, f"application/{ACCESS_TYPE}") or claims.get("iss") not in addresses:
        return None
    if not any(names_server(each, addresses) for each in _audience(claims)):
        return None
    if (
        expires is None
        or issued is None
        or expires <= now
        or expires - issued > timedelta(seconds=ACCESS_TOKEN_SECONDS)
    ):
        return None
    organization_id, agent_id = organization_of(jwt), _uuid(claims.get("client_id"))
    key_id, held = _uuid(claims.get(_KEY)), _held(claims)
    if organization_id is None or agent_id is None or (key_id is None) == (held is None):
        return None
    return Access(organization_id, agent_id, expires, key_id, held)


def counts_for(retired_at: datetime | None, *, now: datetime) -> bool:
    """Say whether what a signing key signed may still count: one that was retired, until its last token has expired."""
    return retired_at is None or now < retired_at + timedelta(seconds=ACCESS_TOKEN_SECONDS + SKEW_SECONDS)


def names_server(uri: str, addresses: Sequence[str]) -> bool:
    """Say whether a resource (RFC 8707) is this server or something below it."""
    if "#" in uri or "?" in uri:
        return False
    return any(uri == address or uri.startswith(f"{address}/") for address in addresses)


def _act(actors: Sequence[UUID]) -> Json:
    """Return who acts: the last one outermost, those before it within."""
    act: dict[str, Json] = {}
    for actor in actors:
        act = {"sub": str(actor), **({"act": act} if act else {})}
    return act


def _held(claims: Mapping[str, Json]) -> Held | None:
    run_id, task_id, claim = (_uuid(claims.get(name)) for name in (_RUN, _TASK, _CLAIM))
    return None if run_id is None or task_id is None or claim is None else Held(run_id, task_id, claim)


def _audience(claims: Mapping[str, Json]) -> tuple[str, ...]:
    found = claims.get("aud")
    many = found if isinstance(found, list) else [found]
    return tuple(each for each in many if isinstance(each, str))


def _time(claims: Mapping[str, Json], name: str) -> datetime | None:
    """Return a NumericDate (RFC 7519, section 2)."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _TIME_MAX:
        return None
    return datetime.fromtimestamp(value, UTC)


def _spiffe(text: str) -> tuple[UUID | None, str]:
    parts = text.removeprefix(_SPIFFE).split("/")
    if text.startswith(_SPIFFE) and len(parts) == 3 and parts[1] == "agent":
        return _uuid(parts[0]), parts[2]
    return None, text


def _uuid(text: object) -> UUID | None:
    if not isinstance(text, str) or len(text) != 36:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def _client(detail: str) -> TokenRefused:
    return TokenRefused(detail, code="invalid_client")
