"""What people tell runs: a signal, sent by a signed-in person whose role lets them steer runs."""

from __future__ import annotations

from aos.kernel.acts import Pending
from aos.kernel.errors import Denied, Forbidden
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.people import Actor, Permission
from aos.operations.bridge import Hot
from aos.operations.own_acts import OwnActs
from aos.operations.signals import SignalRequest, Signals, SignalSent


async def send_run_signal(hot: Hot, actor: Actor, request: SignalRequest) -> SignalSent | Pending:
    """Send a signal to a run, once for a key, or return the approval that it waits for.

    Raises Forbidden without the permission, Denied with reasons where the gate refuses, and what `send_signal` raises.
    """
    if not actor.may(Permission.RUN_CONTROL):
        roles = ", ".join(sorted(actor.roles)) or "none"
        raise Forbidden(f"this needs the permission `{Permission.RUN_CONTROL}`, which your roles ({roles}) do not give")
    principal = Principal(
        actor.organization_id,
        (ChainLink(PrincipalKind.PERSON, actor.person_id, actor.email),),
        roles=tuple(sorted(role.value for role in actor.roles)),
    )
    acts = OwnActs(hot.database, hot.facts, hot.gate, hot.drivers)
    signals = Signals(hot.database, hot.facts, hot.runs, acts, drivers=hot.drivers)
    sent = await signals.send_signal(principal, request)
    if isinstance(sent, SignalSent | Pending):
        return sent
    raise Denied(sent.detail, reasons=sent.reasons, extra={"action_id": str(sent.action_id)})
