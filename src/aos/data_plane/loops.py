"""Programs outside of runs that swallow refusals and ask again: their next model call is refused, which no framework swallows.

A framework tells its model of a tool's refusal and lets it try again, some without end. A refused model call it raises. Rules:
- What has a task is left to its run, which ends it.
- One model call is refused for each loop found, so that another program under the same key loses one call at most.
- Counted is in this process alone: it bounds what a loop costs; who may do what is decided by the gate, every time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from aos.kernel.acts import Act, ActionState, Pending, Recorded, Refused
from aos.kernel.errors import RefusedAgain
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.limits import REFUSALS_ALIKE_MAX

WINDOW_SECONDS: Final = 600.0
"""How long refusals are remembered after the last one alike."""
ALIKE_MAX: Final = 10_000
"""Of how many different acts refusals are remembered; the oldest are forgotten."""


@dataclass(slots=True)
class _Alike:
    """How often one act was refused to one caller, and when last."""

    action: str
    times: int
    at: float


_Caller = tuple[UUID, UUID, UUID | None]


@dataclass(slots=True)
class Loops:
    """What callers outside of runs were refused of late in this process."""

    _refused: OrderedDict[tuple[_Caller, bytes], _Alike] = field(default_factory=OrderedDict)
    _found: OrderedDict[_Caller, _Alike] = field(default_factory=OrderedDict)

    def mind(self, act: Act, done: Recorded | Pending | Refused) -> None:
        """Count what became of an act, where it was refused."""
        is_refused = isinstance(done, Refused) or (isinstance(done, Recorded) and done.state is ActionState.REFUSED)
        if not is_refused or not _counts(act.principal):
            return
        caller, now = _caller(act.principal), asyncio.get_running_loop().time()
        alike = self._refused.pop((caller, act.digest), None)
        times = alike.times if alike is not None and now - alike.at <= WINDOW_SECONDS else 0
        alike = _Alike(act.action, times + 1, now)
        if alike.times >= REFUSALS_ALIKE_MAX:
            self._found[caller] = alike
        else:
            self._refused[caller, act.digest] = alike
        while len(self._refused) > ALIKE_MAX:
            self._refused.popitem(last=False)
        while len(self._found) > ALIKE_MAX:
            self._found.popitem(last=False)

    def end(self, principal: Principal) -> None:
        """Raise RefusedAgain, once, where this caller was refused the same act again and again."""
        found = self._found.pop(_caller(principal), None) if self._found and _counts(principal) else None
        if found is not None and asyncio.get_running_loop().time() - found.at <= WINDOW_SECONDS:
            raise RefusedAgain(
                f"`{found.action}` was refused {found.times} times alike, and asked for again and again: "
                "this model call is refused so that the program ends"
            )


def _counts(principal: Principal) -> bool:
    return principal.claim is None and principal.actor.kind is PrincipalKind.AGENT


def _caller(principal: Principal) -> _Caller:
    return principal.organization_id, principal.actor.id, principal.credential_id
