"""What the kernel and operations need from outside, as Protocols; drivers implement them and boot wires them.

Nothing here performs anything. A driver raises `AosError` subclasses only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from uuid import UUID

from aos.kernel.email_tools import Letter, MailServer
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.mcp_servers import McpTarget, Offer
from aos.kernel.money import Money
from aos.kernel.oauth import Jwt
from aos.kernel.sql_tools import SqlServer
from aos.kernel.tools import Tool


class Ids(Protocol):
    """Makes ids and secrets."""

    def new(self) -> UUID:
        """Return a fresh UUIDv7 (RFC 9562)."""
        ...

    def random_bytes(self, length: int) -> bytes:
        """Return unpredictable bytes."""
        ...


class Ticker(Protocol):
    """A clock that only measures: never a time of day, never set back."""

    def seconds(self) -> float:
        """Return seconds since some fixed moment of this process."""
        ...


class Crypto(Protocol):
    """Ciphers and signatures; keys are values of the caller."""

    def seal(self, key: bytes, plain: bytes, *, bound_to: bytes) -> bytes:
        """Return nonce, ciphertext and tag of AES-256-GCM; `bound_to` is authenticated and must be given to open."""
        ...

    def open(self, key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
        """Return the plain bytes, or raise AuditBroken where they were changed."""
        ...

    def new_signing_key(self) -> tuple[bytes, bytes]:
        """Return an Ed25519 key pair: 32 private bytes, 32 public bytes (RFC 8032)."""
        ...

    def sign(self, private: bytes, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature."""
        ...

    def verify(self, public: bytes, message: bytes, *, signature: bytes) -> bool:
        """Say whether the Ed25519 signature is right."""
        ...


class Jwts(Protocol):
    """Reads, checks and signs JSON Web Tokens in the compact form (RFC 7519), of EdDSA over Ed25519 alone."""

    def read(self, token: str) -> Jwt | None:
        """Return what a token says, proved by nothing; None where it is no token of that form."""
        ...

    def verify(self, token: str, public: bytes) -> Jwt | None:
        """Return what a token says if this key signed it, None otherwise; no claim is looked at."""
        ...

    def sign(self, jwt: Jwt, private: bytes) -> str:
        """Return the signed token; the header is given but for its algorithm."""
        ...


class Cards(Protocol):
    """Signs the cards of A2A agents, and checks who signed them."""

    def signed(self, card: Mapping[str, Json], *, key_id: str, keys_url: str, private: bytes) -> dict[str, Json]:
        """Return the card with a signature of an Ed25519 key, which says under what id and where its public half is."""
        ...

    def is_signed_by(self, card: Mapping[str, Json], keys: Sequence[Mapping[str, Json]]) -> bool:
        """Say whether one of these public keys (RFC 7517) signed the card."""
        ...


class KeyEncryption(Protocol):
    """Holds the key-encryption key outside the database and wraps data keys under it."""

    def wrap(self, data_key: bytes) -> tuple[str, bytes]:
        """Return the id of the key-encryption key used, and the wrapped data key."""
        ...

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """Return the data key; raise Misconfigured where that key-encryption key is not here."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what an act used: so many units under a name, and what they cost."""

    name: str
    unit: str
    quantity: int
    cost: Money


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What a tool or a model answered. `sent` is False only where it is certain that no effect happened; `unknown` where the
    call was sent and what came of it cannot be told. Without `lines` it costs its price; `estimated` says they are no figures
    of the far side."""

    ok: bool
    value: Json = None
    error: str = ""
    sent: bool = True
    unknown: bool = False
    lines: tuple[Line, ...] = ()
    estimated: bool = False
    frees_key: bool = False
    """Whether nothing reached the far side, so that whoever asks again under the same Idempotency-Key asks anew."""
    kept: bool = True
    """Whether what it says is kept as content; its figures always are."""
    code: str = ""
    """The slug of the error that a call failed with, where that is another than `tool-failed`."""


class ToolCaller(Protocol):
    """Calls a tool by its transport."""

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Call `tool` once for `principal` and return its answer; never raises for the tool's own failure.

        A time-out or a lost connection after sending is an outcome that is unknown.
        """
        ...


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request to a server: a POST unless it says so, the body whole.

    The name in `url` is resolved once; an answer that is private, loopback or link-local is refused unless the host stands
    in `permitted` (`host` or `host:port`) and the operator opens it, and so is every other host that does not stand there. A
    pattern (`*.example.com`, `*`) lets in hosts whose addresses are public. Redirects are not followed.
    """

    url: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    permitted: tuple[str, ...]
    connect_seconds: float = 10
    first_byte_seconds: float = 300
    idle_seconds: float = 120
    """How long the body may stand still between two parts."""
    method: str = "POST"
    once: bool = False
    """Whether it must not be sent a second time, not even where a kept connection was closed before any byte of an answer."""
    own: bool = False
    """Whether AOS itself gave the address, where it serves itself: neither list is asked. Never for what a manifest names."""


class UpstreamAnswer(Protocol):
    """The answer of a model's server, its head read and its body under way."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name; of a repeated one the last."""
        ...

    def parts(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, at most once; raise UpstreamFailed where it is cut, stands still or is malformed."""
        ...

    async def read(self, *, at_most: int) -> bytes:
        """Return the whole body; raise UpstreamFailed where it is over `at_most` bytes, cut, or stands still."""
        ...

    async def close(self) -> None:
        """Let go of the connection: it is kept for another request if the body was read to its end, else cut."""
        ...


class ModelTransport(Protocol):
    """Sends requests to models' and tools' servers over connections that are kept."""

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Return the answer once its head is there; raise UpstreamFailed, whose `sent` says whether anything was done."""
        ...


Hears: TypeAlias = Callable[[float, float | None], None]
"""Is told how far a call has come, and of how much where that is known; returns at once."""


class McpUpstream(Protocol):
    """Keeps sessions with MCP servers and calls their tools."""

    async def offers(self, target: McpTarget, *, deadline_seconds: float) -> Sequence[Offer]:
        """Return what the server offers now, asked afresh; raise Unavailable, saying why it cannot be asked."""
        ...

    async def call(
        self,
        target: McpTarget,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        idempotency_key: str,
        deadline_seconds: float,
        hears: Hears | None = None,
    ) -> ToolOutcome:
        """Call a tool at its server, if it still offers what was accepted of it; never raises for a failure of the server's.

        Nothing is sent to a server that offers something else: the outcome says so under `schema-changed`. `hears` is told of
        the progress that the server reports.
        """
        ...


class Addresses(Protocol):
    """Says where a connection may go."""

    async def permitted(self, host: str, port: int, *, permitted: tuple[str, ...]) -> list[str]:
        """Return the addresses of a host that stands in `permitted`, resolved now, in order.

        Raises UpstreamFailed with `sent` False where it does not stand there, or an address of it is not public and the host
        is not listed by its own name and opened by the operator. Whoever connects goes to one of these addresses.
        """
        ...


class SqlReader(Protocol):
    """Reads databases that are not AOS's own."""

    async def read(
        self,
        server: SqlServer,
        query: str,
        arguments: Mapping[str, Json],
        *,
        organization_id: UUID,
        permitted: tuple[str, ...],
        rows: int,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Run one SELECT with parameters in a read-only transaction and return `rows` of it as objects.

        The value is `{rows, truncated}`. Never raises for a failure of the database's.
        """
        ...


class Mailer(Protocol):
    """Hands messages to mail servers."""

    async def send(self, server: MailServer, letter: Letter, *, deadline_seconds: float) -> ToolOutcome:
        """Hand over one message for all its recipients, or for none of them.

        A refusal before the message was given is not sent; a connection lost after it was is unknown.
        """
        ...
