"""Agents' keys: Ed25519 public keys, each proved once by a signature, and API keys of which only the hash is kept.

Whoever brings a key signs the challenge of `registration_challenge` with it; or AOS makes the pair and hands the private
half out in its answer, once, keeping none of it. A key that was revoked never counts again, for any agent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import Conflict, FieldError, Forbidden, InvalidRequest, NotFound
from aos.kernel.json import Json
from aos.kernel.jwk import base64url, thumbprint_of
from aos.kernel.ledger.record import RecordKind
from aos.kernel.people import Actor, Permission
from aos.operations.pages import Page, PageQuery, list_page, parse_uuid
from aos.operations.registry_records import Edit, reading
from aos.operations.tokens import SECRET_BYTES, TokenKind, new_token, token_hash
from aos.store.cold.connection import run_sql
from aos.store.cold.machine import read_machine

API_KEY_DAYS_MAX: Final = 3650
PREFIX_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
PREFIX_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class GivenKey:
    """A public key that its holder brings, with the signature that proves it."""

    jwk: Json
    proof: str


@dataclass(frozen=True, slots=True)
class MadeKey:
    """Asks AOS to make the pair."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """One public key of an agent."""

    id: UUID
    thumbprint: str
    public_key: bytes
    proved_at: datetime
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddedKey:
    """A key just added; `private` holds its 32 private bytes where AOS made the pair."""

    id: UUID
    thumbprint: str
    public: bytes
    private: bytes | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key of an agent, without the key."""

    id: UUID
    label: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None


def registration_challenge(organization_id: UUID, name: str, thumbprint: str) -> bytes:
    """Return the exact bytes that a key's holder signs (Ed25519, detached) to bring the key for the agent `name`."""
    return f"aos-agent-registration:{organization_id}:{name}:{thumbprint}".encode()


def add_key(edit: Edit, agent: str, agent_id: UUID, *, offer: GivenKey | MadeKey) -> AddedKey:
    """File a public key for an agent, given with its proof or made here; not recorded yet: the caller does that.

    Raises InvalidRequest where the key or its proof is wrong, Conflict where the organization knows the key already, or an agent
    of the same name in another organization holds it: an assertion that names it would be of both.
    """
    edit.require(Permission.AGENT_REGISTER)
    private: bytes | None = None
    if isinstance(offer, GivenKey):
        public = _read_jwk(offer.jwk)
        _check_proof(edit, agent, public, proof=offer.proof)
        _check_elsewhere(edit, agent, thumbprint_of(public))
    else:
        private, public = edit.drivers.crypto.new_signing_key()
    key = AddedKey(edit.drivers.ids.new(), thumbprint_of(public), public, private)
    params = {
        "organization_id": edit.organization_id,
        "id": key.id,
        "agent_id": agent_id,
        "public_key": public,
        "thumbprint": key.thumbprint,
    }
    if not run_sql("insert_agent_key", params):
        raise Conflict(f"the key `{key.thumbprint}` is an agent's already: a key belongs to one agent, for good")
    return key


def add_agent_key(edit: Edit, agent: str, *, offer: GivenKey | MadeKey) -> AddedKey:
    """Add a public key to an agent, by name or id, and record it."""
    name, entry = edit.registry.get("agent", agent)
    if entry.retired:
        raise Conflict(f"agent `{name}` is retired: it gets no more keys")
    key = add_key(edit, name, entry.id, offer=offer)
    edit.record(RecordKind.KEY_CHANGED, "agent.key.added", subject=f"key:{key.id}", digest=_digest(key.public))
    return key


def revoke_agent_key(edit: Edit, agent: str, key: str) -> None:
    """Revoke one of an agent's public keys; raise NotFound."""
    edit.require(Permission.AGENT_REGISTER)
    name, entry = edit.registry.get("agent", agent)
    params = {"organization_id": edit.organization_id, "agent_id": entry.id, "id": parse_uuid(key)}
    if params["id"] is None or not run_sql("revoke_agent_key", params):
        raise NotFound(f"agent `{name}` has no key `{key[:80]}` that counts")
    edit.record(RecordKind.KEY_CHANGED, "agent.key.revoked", subject=f"key:{key}")


def list_agent_keys(actor: Actor, agent_id: UUID, query: PageQuery) -> Page[AgentKey]:
    """Return a page of an agent's public keys, revoked ones included."""
    with reading(actor, Permission.AGENT_READ):
        return list_page(
            "list_agent_keys", actor.organization_id, query, read=lambda row: AgentKey(**row), agent_id=agent_id
        )


def _require_owner(edit: Edit, name: str) -> None:
    """Raise Forbidden unless the actor answers for the agent, in every version there is, or administers people."""
    specs = [*edit.registry.manifest.agents, *edit.registry.known().agents]
    owners = {spec.owner for spec in specs if spec.name == name}
    if owners != {edit.actor.email} and not edit.actor.may(Permission.PEOPLE_WRITE):
        others = ", ".join(f"`{owner}`" for owner in sorted(owners)) or "somebody else"
        raise Forbidden(
            f"agent `{name}` answers to {others}: only they, or who administers people, make API keys for it"
        )


def create_api_key(edit: Edit, agent: str, *, label: str, expires_days: int | None) -> tuple[ApiKey, str]:
    """Make an API key for an agent and return it with its text, which is shown once: `aos_<prefix>_<43 characters>`.

    Whoever holds it acts as the agent: it is made by the agent's owner, or by who administers people. Raises Forbidden.
    """
    edit.require(Permission.AGENT_REGISTER)
    name, entry = edit.registry.get("agent", agent)
    _require_owner(edit, name)
    if entry.retired:
        raise Conflict(f"agent `{name}` is retired: it gets no more keys")
    prefix = "".join(
        PREFIX_ALPHABET[byte % len(PREFIX_ALPHABET)] for byte in edit.drivers.ids.random_bytes(PREFIX_LENGTH)
    )
    text = new_token(TokenKind.API_KEY, edit.drivers.ids.random_bytes(SECRET_BYTES), prefix=f"{prefix}_")
    id = edit.drivers.ids.new()
    params: dict[str, Any] = {
        "organization_id": edit.organization_id,
        "id": id,
        "agent_id": entry.id,
        "label": label,
        "prefix": prefix,
        "key_hash": token_hash(text),
        "created_by": edit.actor.person_id,
        "seconds": None if expires_days is None else expires_days * 86_400,
    }
    (row,) = run_sql("insert_api_key", params)
    edit.record(RecordKind.KEY_CHANGED, "api_key.created", subject=f"api_key:{id}")
    return ApiKey(id, label, prefix, row["created_at"], row["expires_at"]), text


def revoke_api_key(edit: Edit, agent: str, key: str) -> None:
    """Revoke one of an agent's API keys, by its id; raise NotFound."""
    edit.require(Permission.AGENT_REGISTER)
    name, entry = edit.registry.get("agent", agent)
    id = parse_uuid(key)
    params = {"organization_id": edit.organization_id, "agent_id": entry.id, "id": id}
    if id is None or not run_sql("revoke_api_keys", params):
        raise NotFound(f"agent `{name}` has no API key `{key[:80]}` that counts")
    edit.record(RecordKind.KEY_CHANGED, "api_key.revoked", subject=f"api_key:{id}")


def list_api_keys(actor: Actor, agent_id: UUID, query: PageQuery) -> Page[ApiKey]:
    """Return a page of an agent's API keys, revoked ones included, without the keys."""
    with reading(actor, Permission.AGENT_READ):
        return list_page(
            "list_api_keys", actor.organization_id, query, read=lambda row: ApiKey(**row), agent_id=agent_id
        )


def _read_jwk(jwk: Json) -> bytes:
    """Return the 32 bytes of an Ed25519 public key written as JWK (RFC 8037, section 2)."""
    wrong = "must be an Ed25519 public key as JWK: `kty` OKP, `crv` Ed25519, `x` 32 bytes in base64url"
    if not isinstance(jwk, dict) or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise InvalidRequest(f"`public_key` {wrong}", errors=[FieldError("/public_key", wrong)])
    if "d" in jwk:
        detail = "holds a private key (`d`): never send one, and count this one as lost"
        raise InvalidRequest(f"`public_key` {detail}", errors=[FieldError("/public_key/d", detail)])
    public = _from_base64url(jwk.get("x"))
    if public is None or len(public) != 32:
        raise InvalidRequest(f"`public_key` {wrong}", errors=[FieldError("/public_key/x", wrong)])
    return public


def _check_proof(edit: Edit, agent: str, public: bytes, *, proof: str) -> None:
    challenge = registration_challenge(edit.organization_id, agent, thumbprint_of(public))
    signature = _from_base64url(proof)
    if signature is None or not edit.drivers.crypto.verify(public, challenge, signature=signature):
        detail = f"must be the base64url of the key's Ed25519 signature of `{challenge.decode()}`"
        raise InvalidRequest(f"`proof` {detail}", errors=[FieldError("/proof", detail)])


def _check_elsewhere(edit: Edit, agent: str, thumbprint: str) -> None:
    """Refuse a key that could not tell two agents apart; only who holds its private half comes here and learns of the other."""
    where = {"name": agent, "thumbprint": thumbprint, "organization_id": edit.organization_id}
    if read_machine("find_key_elsewhere", where):
        raise Conflict(
            f"an agent `{agent}` of another organization holds the key `{thumbprint}`: an assertion could not tell the two "
            "apart, so make a key for this one alone"
        )


def _digest(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()


def _from_base64url(text: object) -> bytes | None:
    """Return the bytes of unpadded base64url in its one spelling (RFC 4648, section 5), None for anything else."""
    if not isinstance(text, str) or len(text) > 200:
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64url(data) == text else None
