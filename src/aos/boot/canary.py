"""The canaries of one process: acts that must be refused, decided on every organization's facts before a door opens."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from aos.boot.plan import Ready
from aos.kernel.errors import Misconfigured, NotFound
from aos.kernel.policy.canary import canary_acts, judge_canary
from aos.kernel.policy.decide import decide
from aos.kernel.policy.index import PolicySet
from aos.operations.facts import FactsCache
from aos.telemetry.metrics import CANARIES

log = logging.getLogger("aos.boot")

_NOBODY: Final = UUID(int=0)
_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""For the canaries without an organization: an empty store does not say what time it is."""
_FAILURES_SHOWN_MAX: Final = 20


async def fire_canaries(facts: FactsCache, organizations: Sequence[UUID]) -> Ready:
    """Decide every canary act under the empty set of policies and under each organization's own.

    Governed only when all were refused, each for its own reason. An organization whose facts cannot be loaded (a key is
    missing) is a failure of its own and hinders no other; one that is not yet whole can act in nothing and is left out.
    Raises Unavailable where the database is away.
    """
    failures = judge(PolicySet(()), _NOBODY, _ANY_TIME)
    for organization_id in organizations:
        try:
            known = await facts.of(organization_id)
        except NotFound:
            continue
        except Misconfigured as error:
            failures.append(f"organization `{organization_id}`: {error.detail}")
            continue
        failures += judge(known.policies, organization_id, facts.now())
    return Ready(governed=not failures, failures=tuple(failures[:_FAILURES_SHOWN_MAX]))


def log_failures(ready: Ready) -> None:
    """Log and count each canary act that was not refused."""
    for failure in ready.failures:
        CANARIES.inc()
        log.error("a canary act was not refused", extra={"canary": failure})


def judge(policies: PolicySet, organization_id: UUID, now: datetime) -> list[str]:
    """Return a sentence for each canary that these policies did not refuse as they must."""
    canaries = canary_acts(policies, organization_id=organization_id, now=now)
    decided = [
        (each, decide(each.policies, each.act, agents=each.agents, tool=each.tool, facts=each.facts))
        for each in canaries
    ]
    return judge_canary(decided)
