"""Acts: what passes the gate, and what came of it.

`action` is what AOS governs; a permit is the right to perform one action once. States only move forward:
`intended -> performed | failed | unknown`, and `refused` or `waiting` where nothing was intended.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from aos.kernel.budget import Hold, TurnKey
from aos.kernel.identity import Principal
from aos.kernel.json import Json, canonical_json
from aos.kernel.models.values import Model
from aos.kernel.money import Money
from aos.kernel.tools import Tool


class ActKind(StrEnum):
    """The kinds of governed act."""

    TOOL = "tool"
    MODEL = "model"
    DELEGATE = "delegate"
    RUN = "run"
    MESSAGE = "message"
    ASK = "ask"


class ActionState(StrEnum):
    """Where one action stands."""

    WAITING = "waiting"
    INTENDED = "intended"
    PERFORMED = "performed"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CallKey:
    """Which call of a task this is: `key` as mechanics define it, `tries` the failures of this key before it in the pass."""

    key: str
    tries: int = 0


@dataclass(frozen=True, slots=True)
class ModelAsk:
    """Where a model act may go and how much it may use; what was asked for stands in the act's arguments.

    `models` may answer, in this order, the first being the act's name; `at_most` of them are asked for one request. `asked` is
    the name that the caller gave. `route` says how they were chosen, as it is kept with the decision.
    """

    models: tuple[str, ...]
    asked: str
    input_tokens_max: int
    request: bytes = b""
    """What tells one request from another: its dialect, and the digest of its body."""
    output_limit: int | None = None
    choices: int = 1
    at_most: int = 1
    free: bool = False
    """Nothing is asked of a model: the answer is known, or counting costs nothing."""
    route: Json = None
    captured: str = ""
    """The request as its organization keeps it, redacted; empty where it keeps none. No rule reads it."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act that somebody asks for.

    `call` is set inside a task, `idempotency_key` outside one. `clock` is the run's own clock, None unless the run carries one.
    `resumes` is for callers that repeat an act without naming its approval: one that was opened for the very same act of the
    same principal counts as named while it may still be used, and so does a no until it expires.
    """

    principal: Principal
    kind: ActKind
    name: str
    arguments: Json
    call: CallKey | None = None
    idempotency_key: str | None = None
    approval_id: UUID | None = None
    clock: datetime | None = None
    model: ModelAsk | None = None
    resumes: bool = False

    @property
    def action(self) -> str:
        """Return the name under which policies match this act: `tool:payments.create`."""
        return f"{self.kind}:{self.name}"

    @property
    def digest(self) -> bytes:
        """Return what makes two acts the same: of a model act what was asked for, wherever it was sent."""
        if self.model is not None:
            return hashlib.sha256(b"model\0%b\0%b" % (self.model.asked.encode(), self.model.request)).digest()
        return act_digest(self.kind, self.name, arguments=self.arguments)


def act_digest(kind: ActKind, name: str, *, arguments: Json) -> bytes:
    """Return the SHA-256 of the act's canonical form: what an approval is bound to and what the same act shares."""
    return hashlib.sha256(canonical_json({"arguments": arguments, "kind": kind.value, "name": name})).digest()


def salted_digest(salt: bytes, content: bytes) -> bytes:
    """Return the digest that stands in a leaf for erasable content: SHA-256 of its 32-byte salt and the bytes."""
    return hashlib.sha256(salt + content).digest()


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to perform one action once; `conclude` must follow, and the sweep finds it where it does not.

    `idempotency_key` is the same for every try of the same call, whoever repeats it. `price` is held on `holds`.
    """

    action_id: UUID
    act: Act
    tool: Tool | None
    holds: tuple[Hold, ...]
    price: Money | None
    idempotency_key: str
    approval_id: UUID | None = None
    models: tuple[Model, ...] = ()
    output_limit: int | None = None
    """How many tokens a model may answer with, of which the hold is the price."""
    timeout_seconds: float = 60
    priced_on: date | None = None
    """The day whose prices the hold was made of; the cost is made of the same."""

    @property
    def turn(self) -> TurnKey | None:
        """Return whose limit the act counts under while it is under way: that of its tool, or of the model that it is named
        by, whichever answers in the end. None where there is no limit, or where nothing is to be asked of a model."""
        act = self.act
        asked: Tool | Model | None = self.tool
        if act.model is not None and not act.model.free:
            asked = next((model for model in self.models if model.name == act.name), None)
        limited = asked is not None and asked.concurrency is not None
        return TurnKey(act.principal.organization_id, act.kind.value, act.name) if limited else None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An action that is concluded, now or before: its state and what is recorded of its outcome."""

    action_id: UUID
    state: ActionState
    value: Json = None
    error: str = ""
    """The slug of `kernel.errors`, empty where it was performed."""
    detail: str = ""
    reasons: tuple[str, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """An action that waits for a person; the caller repeats the same act once the approval is given."""

    action_id: UUID
    approval_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An action that was refused and recorded: `error` is the slug, `reasons` name every rule that matched."""

    action_id: UUID
    error: str
    detail: str
    reasons: tuple[str, ...] = ()
