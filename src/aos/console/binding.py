"""What the pages act through, bound once when the process starts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from aos.kernel.errors import Misconfigured
from aos.operations.bridge import Bridge, Hot, call_hot
from aos.operations.drivers import Drivers

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """Everything a page needs besides the request. Without a bridge approvals are shown and not answered."""

    drivers: Drivers
    bridge: Bridge[Hot] | None = None

    def call(
        self, work: Callable[Concatenate[Hot, P], Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do something hot, on facts as they stand now; raise what it raises, and Misconfigured without a bridge."""
        if self.bridge is None:
            raise Misconfigured("the console has no bridge: bind one to answer approvals")
        return self.bridge.call(call_hot, work, *args, **kwargs)


_bound: list[ConsoleServices] = []


def bind(services: ConsoleServices) -> None:
    """Give the pages what they act through; the last call counts."""
    _bound[:] = [services]


def services() -> ConsoleServices:
    """Return what was bound; raise Misconfigured before that."""
    if not _bound:
        raise Misconfigured("the console has no services: bind them when the process starts")
    return _bound[0]
