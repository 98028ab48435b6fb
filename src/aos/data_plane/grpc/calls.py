"""The calls that ask the gate once: Authorize, AuthorizeBatch, CallTool, StartRun."""

from __future__ import annotations

from typing import Final

import msgspec

from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.binding import GrpcServices as Services
from aos.data_plane.grpc.requests import act_of, arguments_of, json_of, key_of, name_of, principal_of, uuid_of, wrong
from aos.data_plane.grpc.statuses import Context
from aos.data_plane.tools import refusal_of
from aos.kernel.acts import Act, ActionState, ActKind, Pending, Recorded, Refused
from aos.kernel.errors import ApprovalPending, Forbidden, TooLarge
from aos.kernel.identity import PrincipalKind
from aos.kernel.ledger.record import rule_ids
from aos.kernel.limits import AUTHORIZE_BATCH_MAX, INPUT_BYTES_MAX
from aos.kernel.origins import Source
from aos.kernel.policy.values import Decision, Outcome
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted
from aos.operations.threads import own_thread

_encode = msgspec.json.Encoder().encode
_OUTCOMES: Final = {
    Outcome.ALLOW: aos_pb2.Outcome.ALLOW,
    Outcome.ESCALATE: aos_pb2.Outcome.ESCALATE,
    Outcome.DENY: aos_pb2.Outcome.DENY,
}


async def authorize(services: Services, request: aos_pb2.AuthorizeRequest, context: Context) -> aos_pb2.Decision:
    """Decide on one act; nothing is written."""
    principal = await principal_of(services, context)
    decision = await services.authorizations.authorize(act_of(principal, request.act))
    return _decision(decision, rule_ids(decision))


async def authorize_batch(
    services: Services, request: aos_pb2.AuthorizeBatchRequest, context: Context
) -> aos_pb2.AuthorizeBatchResponse:
    """Decide on many acts; the record that lists them is committed before the answer."""
    principal = await principal_of(services, context)
    if len(request.acts) > AUTHORIZE_BATCH_MAX:
        raise TooLarge(f"{len(request.acts)} acts are asked for at once, at most {AUTHORIZE_BATCH_MAX} are decided on")
    acts = [act_of(principal, each, f"/acts/{number}") for number, each in enumerate(request.acts)]
    batch = await services.authorizations.authorize_batch(acts)
    return aos_pb2.AuthorizeBatchResponse(
        decisions=map(_decision, batch.decisions, batch.rules), record_id=str(batch.record_id)
    )


def _decision(decision: Decision, rules: tuple[str, ...]) -> aos_pb2.Decision:
    return aos_pb2.Decision(outcome=_OUTCOMES[decision.outcome], reason=decision.reason, rules=rules)


async def call_tool(services: Services, request: aos_pb2.CallToolRequest, context: Context) -> aos_pb2.CallToolResponse:
    """Pass one tool call through the gate; the outcome is recorded even where the caller's deadline passes meanwhile."""
    act = Act(
        await principal_of(services, context),
        ActKind.TOOL,
        name_of(request.name, "/name"),
        arguments_of(request.arguments, "/arguments"),
        idempotency_key=key_of(request.idempotency_key),
        approval_id=uuid_of(request.approval_id, "/approval_id"),
    )
    done = await services.work.perform(act)
    if isinstance(done, Recorded) and done.state is ActionState.PERFORMED:
        value = _encode(done.value)
        return aos_pb2.CallToolResponse(action_id=str(done.action_id), value=value, replayed=done.replayed)
    if isinstance(done, Pending):
        raise pending(done)
    raise refusal_of(done, act)


def pending(done: Pending) -> ApprovalPending:
    """Return the error of an act that waits for a person."""
    named = {"approval_id": str(done.approval_id), "action_id": str(done.action_id)}
    return ApprovalPending(f"waits for a person's yes: {done.reason}", extra=named)


async def start_run(services: Services, request: aos_pb2.StartRunRequest, context: Context) -> aos_pb2.StartRunResponse:
    """Start a run of a workflow or of an agent."""
    principal = await principal_of(services, context)
    if principal.claim is not None:
        raise Forbidden("a task starts no run by itself: it spawns tasks, or its agent starts one with its own key")
    if len(request.input) > INPUT_BYTES_MAX:
        raise TooLarge(f"the input has {len(request.input)} bytes, at most {INPUT_BYTES_MAX} are kept")
    if bool(request.workflow) == bool(request.agent):
        raise wrong("/workflow", "or `/agent` is needed, and not both")
    asked = RunRequest(
        workflow=request.workflow or None,
        agent=request.agent or None,
        input=json_of(request.input, "/input"),
        goal=request.goal,
        labels=dict(request.labels),
        thread=own_thread(principal, request.thread) if request.thread else None,
        idempotency_key=key_of(request.idempotency_key),
        approval_id=uuid_of(request.approval_id, "/approval_id"),
        # What an agent says is no person's words: nothing that directs an effect may be built on it.
        origin=Source.PERSON if principal.actor.kind is PrincipalKind.PERSON else Source.UNTRUSTED,
    )
    match await services.runs.start_run(principal, asked):
        case RunStarted(run_id, replayed):
            return aos_pb2.StartRunResponse(run_id=str(run_id), replayed=replayed)
        case Pending() as done:
            raise pending(done)
        case Refused() as refused:
            raise refusal_of(refused, Act(principal, ActKind.RUN, asked.workflow or asked.agent or "", {}))
