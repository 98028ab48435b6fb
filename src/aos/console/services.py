"""What the pages act through, bound once when the process starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from aos.kernel.errors import Misconfigured
from aos.kernel.people import Actor
from aos.operations.drivers import Drivers


class AnswerApproval(Protocol):
    """Approves or denies, once; the answer counts only for the digest that the person saw."""

    def __call__(self, actor: Actor, approval_id: UUID, *, approve: bool, comment: str, digest: bytes) -> None:
        """Answer, or raise an AosError where it can no longer be answered."""
        ...


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """Everything a page needs besides the request. Without `answer` approvals are shown and not answered."""

    drivers: Drivers
    answer: AnswerApproval | None = None
    version: str = "0"


_bound: list[ConsoleServices] = []


def bind(services: ConsoleServices) -> None:
    """Give the pages what they act through; the last call counts."""
    _bound[:] = [services]


def services() -> ConsoleServices:
    """Return what was bound; raise Misconfigured before that."""
    if not _bound:
        raise Misconfigured("the console has no services: bind them when the process starts")
    return _bound[0]
