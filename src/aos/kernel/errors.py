"""Every error AOS answers with, in one table; faces translate it and the reference page is generated from it.

A class is one row: its slug names the problem type for ever, its title never changes, its docstring is the explanation.
Messages are lower case, without a full stop, with the user's input in back-ticks, and say how to mend it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: a JSON pointer (RFC 6901) into what was sent, and what is wrong there."""

    pointer: str
    detail: str


class AosError(Exception):
    """Base of all errors: the transport's hint, never the transport."""

    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    status: ClassVar[int] = 500
    grpc: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        reasons: Sequence[str] = (),
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.reasons = tuple(reasons)
        self.extra = dict(extra or {})


class InvalidRequest(AosError):
    """A field is missing, unknown, of the wrong type or out of its range; `errors` points at each."""

    slug, title, status, grpc = "invalid-request", "Invalid request", 400, "INVALID_ARGUMENT"


class InvalidManifest(AosError):
    """The manifest cannot be applied as written; each error names file, line and column."""

    slug, title, status, grpc = "invalid-manifest", "Invalid manifest", 422, "INVALID_ARGUMENT"


class InvalidCondition(AosError):
    """A policy's condition does not compile, is not a yes-or-no expression, or misuses money."""

    slug, title, status, grpc = "invalid-condition", "Invalid condition", 422, "INVALID_ARGUMENT"


class VersionRequired(AosError):
    """A draft is accepted by its number, so that what counts is what was looked at; `draft_version` is the one that waits."""

    slug, title, status, grpc = "version-required", "Version required", 422, "FAILED_PRECONDITION"


class Unauthenticated(AosError):
    """No credential, or one that is unknown, expired or revoked."""

    slug, title, status, grpc = "unauthenticated", "Not signed in", 401, "UNAUTHENTICATED"


class Denied(AosError):
    """The gate decided against the act; `reasons` names every rule that matched."""

    slug, title, status, grpc = "denied", "Denied by policy", 403, "PERMISSION_DENIED"


class ApprovalPending(AosError):
    """The act waits for a person's answer; once `approval_id` is approved the same request is made again and done."""

    slug, title, status, grpc = "approval-pending", "Waits for approval", 403, "FAILED_PRECONDITION"


class Forbidden(AosError):
    """The person is signed in but holds no role that permits this."""

    slug, title, status, grpc = "forbidden", "Not permitted", 403, "PERMISSION_DENIED"


class RefusedAgain(AosError):
    """An agent was refused the same act again and again: its task is ended, or outside of runs one model call refused."""

    slug, title, status, grpc = "refused-again", "Refused again and again", 403, "PERMISSION_DENIED"


class BudgetSpent(AosError):
    """A budget on the way from the act to the organization has no room for the hold."""

    slug, title, status, grpc = "budget-spent", "Budget spent", 402, "RESOURCE_EXHAUSTED"


class NotFound(AosError):
    """Nothing of that name or id is visible in this organization."""

    slug, title, status, grpc = "not-found", "Not found", 404, "NOT_FOUND"


class MethodNotAllowed(AosError):
    """The path exists but not with this method."""

    slug, title, status, grpc = "method-not-allowed", "Method not allowed", 405, "UNIMPLEMENTED"


class NotAcceptable(AosError):
    """The AOS-Version or media type asked for is not served."""

    slug, title, status, grpc = "not-acceptable", "Not acceptable", 406, "UNIMPLEMENTED"


class Conflict(AosError):
    """The name exists, or the thing is not in a state that allows this."""

    slug, title, status, grpc = "conflict", "Conflict", 409, "ABORTED"


class IdempotencyMismatch(AosError):
    """The same Idempotency-Key came with another body."""

    slug, title, status, grpc = "idempotency-mismatch", "Idempotency key reused", 422, "ABORTED"


class StillRunning(AosError):
    """The first request under this Idempotency-Key is still at work."""

    slug, title, status, grpc, retryable = "still-running", "Still running", 409, "ABORTED", True


class StaleFacts(AosError):
    """What was decided on changed twice while the act was being recorded; nothing was done."""

    slug, title, status, grpc, retryable = "stale-facts", "Facts changed", 409, "ABORTED", True


class StaleClaim(AosError):
    """The task was taken from this worker (lease lost, cancelled or finished); nothing was written."""

    slug, title, status, grpc = "stale-claim", "Claim lost", 409, "ABORTED"


class OutcomeUnknown(AosError):
    """The act was sent and its outcome is not known; it is not made again without a person's word."""

    slug, title, status, grpc = "outcome-unknown", "Outcome unknown", 409, "ABORTED"


class ProofTooEarly(AosError):
    """The record is written but not yet in a signed checkpoint."""

    slug, title, status, grpc, retryable = "proof-too-early", "Not yet in the log", 409, "UNAVAILABLE", True


class AuditBroken(AosError):
    """The log does not verify; the detail names the first record that differs."""

    slug, title, status, grpc = "audit-broken", "Audit log broken", 500, "DATA_LOSS"


class TooLarge(AosError):
    """A payload, list, depth or size is over its named limit."""

    slug, title, status, grpc = "too-large", "Too large", 413, "RESOURCE_EXHAUSTED"


class TargetTooLong(AosError):
    """The path and query of the request are over their named limit."""

    slug, title, status, grpc = "target-too-long", "Address too long", 414, "INVALID_ARGUMENT"


class HeadTooLarge(AosError):
    """The headers of the request, its target included, are over their named limit."""

    slug, title, status, grpc = "head-too-large", "Headers too large", 431, "RESOURCE_EXHAUSTED"


class RequestTooSlow(AosError):
    """The request did not arrive whole within its time; nothing was done."""

    slug, title, status, grpc, retryable = "request-too-slow", "Request too slow", 408, "DEADLINE_EXCEEDED", True


class UnsupportedMediaType(AosError):
    """The body's media type is not one this path reads."""

    slug, title, status, grpc = "unsupported-media-type", "Unsupported media type", 415, "INVALID_ARGUMENT"


class RateLimited(AosError):
    """Too many requests for the moment."""

    slug, title, status, grpc, retryable = "rate-limited", "Too many requests", 429, "RESOURCE_EXHAUSTED", True


class ToolFailed(AosError):
    """The tool ran and failed; the detail is the tool's own message."""

    slug, title, status, grpc = "tool-failed", "Tool failed", 502, "UNKNOWN"


class SchemaChanged(AosError):
    """The tool's server offers another schema or description than a person accepted; nothing was sent to it."""

    slug, title, status, grpc = "schema-changed", "Tool changed", 409, "FAILED_PRECONDITION"


class UpstreamFailed(AosError):
    """A model's server could not be reached, cut its answer, or answered what is not HTTP.

    `sent` is False only where it is certain that the request did not arrive.
    """

    slug, title, status, grpc = "upstream-failed", "Model server failed", 502, "UNAVAILABLE"

    def __init__(self, detail: str, *, sent: bool = True, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail, extra=extra)
        self.sent = sent


class Unavailable(AosError):
    """A part that AOS needs (database, host, facts) cannot be reached; nothing was done."""

    slug, title, status, grpc, retryable = "unavailable", "Unavailable", 503, "UNAVAILABLE", True


class DeadlineExceeded(AosError):
    """The deadline passed before the answer was there."""

    slug, title, status, grpc, retryable = "deadline-exceeded", "Deadline exceeded", 504, "DEADLINE_EXCEEDED", True


class Misconfigured(AosError):
    """A setting is missing or wrong; the detail names it and what to set."""

    slug, title, status, grpc = "misconfigured", "Misconfigured", 500, "FAILED_PRECONDITION"


class TokenRefused(AosError):
    """The token endpoint refused a request; `code` is OAuth's own word for it (RFC 6749, section 5.2)."""

    slug, title, status, grpc = "token-refused", "Token refused", 400, "INVALID_ARGUMENT"

    def __init__(self, detail: str, *, code: str = "invalid_request") -> None:
        super().__init__(detail)
        self.code = code


def error_table() -> list[type[AosError]]:
    """Return every error class, by slug, for the reference page and the tests."""
    found: list[type[AosError]] = []
    todo: list[type[AosError]] = [AosError]
    while todo:
        cls = todo.pop()
        found.append(cls)
        todo.extend(cls.__subclasses__())
    return sorted(found, key=lambda cls: cls.slug)
