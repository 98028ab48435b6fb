"""How a command fails: `title: detail` on standard error, and one exit status for each kind of reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

from aos.kernel.errors import FieldError
from aos.kernel.json import Json


class ExitStatus(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    WAITS = 5
    CONFLICT = 6
    UNAVAILABLE = 7
    NOT_SIGNED_IN = 8


MEANINGS: Final[Mapping[ExitStatus, str]] = {
    ExitStatus.DONE: "done",
    ExitStatus.FAILED: "the run failed, or what was checked does not hold",
    ExitStatus.USAGE: "the command, a file or a value is wrong",
    ExitStatus.NOT_FOUND: "nothing of that name or id",
    ExitStatus.DENIED: "denied by policy, by a spent budget or for want of a role",
    ExitStatus.WAITS: "waits for an approval",
    ExitStatus.CONFLICT: "it exists already, or is not in a state that allows this",
    ExitStatus.UNAVAILABLE: "the server, or a part it needs, cannot be reached now",
    ExitStatus.NOT_SIGNED_IN: "not signed in",
}
"""Each status in words, for help and the reference page."""

_BY_HTTP: Final[Mapping[int, ExitStatus]] = {
    202: ExitStatus.WAITS,
    400: ExitStatus.USAGE,
    401: ExitStatus.NOT_SIGNED_IN,
    402: ExitStatus.DENIED,
    403: ExitStatus.DENIED,
    404: ExitStatus.NOT_FOUND,
    405: ExitStatus.USAGE,
    406: ExitStatus.USAGE,
    409: ExitStatus.CONFLICT,
    412: ExitStatus.CONFLICT,
    413: ExitStatus.USAGE,
    415: ExitStatus.USAGE,
    422: ExitStatus.USAGE,
    429: ExitStatus.UNAVAILABLE,
    503: ExitStatus.UNAVAILABLE,
    504: ExitStatus.UNAVAILABLE,
}


class CliError(Exception):
    """A command that did not do what was asked; `problem` is the server's answer where there was one.

    `hints` say where else to look.
    """

    def __init__(
        self,
        title: str,
        detail: str,
        status: ExitStatus,
        *,
        errors: Sequence[FieldError] = (),
        reasons: Sequence[str] = (),
        problem: Json = None,
        hints: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.title = title
        self.detail = detail
        self.status = status
        self.errors = tuple(errors)
        self.reasons = tuple(reasons)
        self.problem = problem
        self.hints = tuple(hints)

    def document(self) -> dict[str, Json]:
        """Return the failure as one JSON object: the server's problem (RFC 9457) where there was one, with the exit status."""
        given = dict(self.problem) if isinstance(self.problem, dict) else {}
        told: dict[str, Json] = {"title": self.title, "detail": self.detail, "exit_status": int(self.status)}
        if self.errors:
            told["errors"] = [{"pointer": each.pointer, "detail": each.detail} for each in self.errors]
        if self.reasons:
            told["reasons"] = list(self.reasons)
        if self.hints:
            told["hints"] = list(self.hints)
        return {**given, **told}


def exit_status_of(http_status: int) -> ExitStatus:
    """Return the exit status for an HTTP status."""
    return _BY_HTTP.get(http_status, ExitStatus.FAILED)


def usage_error(detail: str) -> CliError:
    """Return the error for a command or value that is wrong."""
    return CliError("Usage", detail, ExitStatus.USAGE)
