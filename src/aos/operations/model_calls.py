"""A model call from door to answer: route, admit, send, meter, conclude; one act, whoever answers it in the end.

Rules a reader must not break:
- One permit covers every candidate that may be asked: each was decided under the facts that the permit was written under or newer
  ones, and the hold is what the dearest of them may cost.
- Nothing is asked of another model once any of an answer has gone to the caller.
- A stream flows at once but for its last event, which waits until the outcome is committed.
- Whoever goes away, the call is concluded: what was used until then is charged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, ActionState, Pending, Permit, Recorded, Refused
from aos.kernel.dialects.errors import error_event
from aos.kernel.dialects.flows import Flow, open_flow
from aos.kernel.dialects.tokens import read_answer
from aos.kernel.dialects.translate.answers import translate_answer
from aos.kernel.dialects.values import Tokens
from aos.kernel.errors import AosError, DeadlineExceeded, NotFound, OutcomeUnknown, UpstreamFailed
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.limits import MODEL_ANSWER_BYTES_MAX
from aos.kernel.models.cascade import passes
from aos.kernel.models.values import Model
from aos.kernel.money import Money
from aos.kernel.ports import Line, ToolOutcome
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.gate import Gate
from aos.operations.model_acts import ModelCall, act_of, routed_act
from aos.operations.model_answers import (
    EVENTS,
    Kept,
    Said,
    Spent,
    Tried,
    answer_text,
    answered,
    captured_value,
    estimate,
    failed,
    recorded_value,
    said_before,
)
from aos.operations.model_cache import Cached, CacheKey, ModelCache
from aos.operations.model_health import SERVER_ERROR, ModelStates
from aos.operations.model_routes import Route, Router
from aos.operations.model_sending import Bad, Sender, Sent

TRIES_MAX: Final = 2
"""How often one model is asked for one request."""
WAIT_SECONDS_MAX: Final = 5.0
"""A server that wants a longer pause than this is not waited for: its word goes to the caller, who knows how long it can wait."""
SOON_SECONDS: Final = 0.25
"""Where another candidate is left, a model is asked again only if that may be sooner than this."""
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole answer, recorded: what the caller gets, in its own dialect. `headers` are those of the server that matter."""

    action_id: UUID
    said: Said
    model: str = ""
    replayed: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that comes in parts; the last part is yielded once its outcome is committed."""

    action_id: UUID
    model: str
    parts: AsyncGenerator[bytes, None]


Answer: TypeAlias = Whole | Streamed | Recorded | Pending | Refused


@dataclass(slots=True)
class _Work:
    """One admitted call under way."""

    call: ModelCall
    permit: Permit
    route: Route
    facts: OrganizationFacts
    began: float
    key: CacheKey
    created: int
    """When it was asked for, in seconds of Unix time."""
    spent: list[Spent] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    """Who was asked and gave no answer."""
    concluded: bool = False

    @property
    def on(self) -> date:
        """Return the day whose prices count."""
        assert self.permit.priced_on is not None
        return self.permit.priced_on

    @property
    def until(self) -> float:
        """Return when its time is over."""
        return self.began + self.permit.timeout_seconds

    @property
    def keeps(self) -> bool:
        """Say whether the same request may come again and then wants the same answer."""
        call = self.call
        return call.idempotency_key is not None or call.call is not None or call.approval_id is not None

    def spent_or(self, spent: Spent | None) -> tuple[Spent, ...]:
        """Return what counts: nothing of a request that is free, such as one that only counts tokens."""
        ask = self.permit.act.model
        if ask is not None and ask.free:
            return ()
        return (*self.spent, spent) if spent is not None else tuple(self.spent)


class ModelCalls:
    """Passes model requests through the gate of one process."""

    def __init__(self, gate: Gate, facts: FactsCache, drivers: Drivers) -> None:
        assert drivers.models is not None
        self._gate = gate
        self._facts = facts
        self._drivers = drivers
        self._states = ModelStates(facts, drivers)
        self._cache = ModelCache(drivers.ticker)
        self._sender = Sender(drivers.models, self._states, drivers.ticker)
        self._router = Router(gate, facts, self._states)

    async def make(self, call: ModelCall) -> Answer:
        """Return the answer to a model request, or what stands instead of it.

        Raises NotFound for a model that the organization does not have, InvalidRequest for what no candidate can do,
        and what `Gate.admit` raises: then no model was asked.
        """
        facts = await self._facts.of(call.principal.organization_id)
        act = act_of(call)
        if (standing := await self._standing(act)) is not None:
            return standing
        route = await self._router.route(act, call.asked, facts, body=call.body, digest=call.digest)
        key = CacheKey(facts.id, facts.epoch, call.asked.dialect, call.digest)
        cached = self._cache.find(key) if route.cache_seconds else None
        if cached is not None and cached.model not in {model.name for model in route.models}:
            cached = None  # it was given by a model that this caller may not ask
        admitted = await self._gate.admit(
            routed_act(act, call, route, free=cached is not None, capture=facts.settings.capture)
        )
        if not isinstance(admitted, Permit):
            return _answer_of(admitted)
        began = self._drivers.ticker.seconds()
        created = int(self._facts.now().timestamp())
        work = _Work(call, admitted, route, facts, began, key, created)
        return await self._made(work) if cached is None else await self._made_before(work, cached)

    async def _standing(self, act: Act) -> Answer | None:
        """Return what is recorded of the same request, whatever has become of its models since; None where it is new."""
        if act.idempotency_key is None and act.call is None and act.approval_id is None:
            return None
        recorded = await self._gate.recorded(act)
        return None if recorded is None else _answer_of(recorded)

    async def names(self, principal: Principal) -> list[str]:
        """Return the names that a principal may ask for: models, then purposes as `purpose:NAME`, then `auto`."""
        return await self._router.names(principal)

    async def _made_before(self, work: _Work, cached: Cached) -> Answer:
        """Answer from what the same request was answered a while ago."""
        nothing = Line(cached.model, "cached_calls", 1, Money(0, self._currency(work)))
        value: dict[str, Json] = {"status": cached.said.status, "cached": True}
        value |= recorded_value(cached.said) if work.keeps else {}
        value |= captured_value(answer_text(work.facts.settings.capture, work.call.asked.dialect, cached.said))
        await self._conclude(work, ToolOutcome(ok=True, value=value, lines=(nothing,)))
        return Whole(work.permit.action_id, cached.said, cached.model)

    async def _made(self, work: _Work) -> Answer:
        """Ask the candidates in their order until one answers; conclude, whatever comes of it."""
        try:
            async with asyncio.timeout(max(0.001, work.until - self._drivers.ticker.seconds())):
                await self._catch_up(work)
                sent = await self._ask(work, work.permit.models)
                if isinstance(sent, Sent) and not work.call.asked.stream:
                    return await self._read_whole(work, sent)
        except TimeoutError:
            reason = f"no model answered within {work.permit.timeout_seconds:.0f} seconds"
            await self._conclude(work, self._failed(work, reason, self._cut(work), sent=True))
            raise DeadlineExceeded(reason, extra={"action_id": str(work.permit.action_id)}) from None
        except AosError as error:
            error.extra.setdefault("action_id", str(work.permit.action_id))
            if not work.concluded:
                await self._conclude(work, self._failed(work, error.detail, None, sent=bool(work.spent)))
            raise
        except BaseException:
            if not work.concluded:
                reason = "the caller went away"
                self._gate.conclude_soon(work.permit, self._failed(work, reason, self._cut(work), sent=True))
            raise
        if isinstance(sent, Sent):
            parts = self._stream(work, sent)
            await anext(parts)  # from now on its end concludes the call, whether or not anybody reads it
            return Streamed(work.permit.action_id, sent.model.name, parts)
        return await self._give_up(work, sent)

    async def _catch_up(self, work: _Work) -> None:
        """Leave out whom the facts that the permit was written under no longer allow; it may have waited long for its room.

        The gate decided the one that the act names itself. Raises NotFound where the organization has none of them any more.
        """
        permit, facts = work.permit, await self._facts.of(work.facts.id)
        if facts.epoch == work.facts.epoch:
            return
        others = [model for model in permit.models if model.name != permit.act.name]
        allowed = await self._router.permitted(permit.act, others, facts)
        models = tuple(model for model in permit.models if model.name == permit.act.name or model in allowed)
        if not models:
            raise NotFound(f"model `{permit.act.name}` was retired; nothing was sent")
        work.facts = facts
        work.permit = replace(permit, models=models)
        work.route = replace(work.route, models=models)

    async def _ask(self, work: _Work, models: tuple[Model, ...]) -> Sent | Bad:
        """Return the first good head of an answer, or what the last candidate said."""
        after = work.route.hedge_after_seconds
        if after is None or len(models) == 1:
            return await self._ask_in_turn(work, models)
        return await self._ask_hedged(work, models, after_seconds=after)

    async def _ask_in_turn(self, work: _Work, models: tuple[Model, ...]) -> Sent | Bad:
        """Ask one model after another, each once more where its server says that another try may do."""
        bad: Bad | None = None
        for model in models:
            self._states.attempted(work.facts.id, model)
            for attempt in range(1, TRIES_MAX + 1):
                answer = await self._try(work, model)
                if isinstance(answer, Sent):
                    return answer
                bad = answer
                work.tried.append(Tried(model.name, bad.reason))
                if not answer.retryable or (attempt == TRIES_MAX and model is models[-1]):
                    break
                delay = self._states.retry_seconds(
                    work.facts.id, model, answer.status, dict(answer.headers), attempt=attempt
                )
                longest = WAIT_SECONDS_MAX if model is models[-1] else SOON_SECONDS
                if attempt == TRIES_MAX or delay is None or delay > longest:
                    break  # another candidate answers sooner
                await asyncio.sleep(delay)
            if bad is not None and not bad.retryable:
                break
        assert bad is not None
        return bad

    async def _try(self, work: _Work, model: Model) -> Sent | Bad:
        """Ask a model once; what was sent and never answered is held to have used its input."""
        call, limit = work.call, work.permit.output_limit if work.permit.price is not None else None
        if (
            limit is not None and call.asked.output_limit is None
        ):  # the permit's is that of the candidate that writes most
            limit = min(limit, model.output_tokens_max)
        answer = await self._sender.send(
            call.asked, call.body, model, work.facts, output_limit=limit, headers=call.headers
        )
        if isinstance(answer, Bad) and answer.sent and not answer.body:
            work.spent.append(self._guess(work, model, 0, known=None))
        return answer

    async def _ask_hedged(self, work: _Work, models: tuple[Model, ...], *, after_seconds: float) -> Sent | Bad:
        """Ask the first model, and the next ones too where it says nothing for a while; the first good head counts.

        The one that came too late is cut, and charged by estimate.
        """
        first = asyncio.create_task(self._ask_in_turn(work, models[:1]))
        tasks = {first: models[0]}
        try:
            done, _ = await asyncio.wait(tasks, timeout=after_seconds)
            if done and isinstance(first.result(), Sent):
                del tasks[first]
                return first.result()
            tasks[asyncio.create_task(self._ask_in_turn(work, models[1:]))] = models[1]
            bad: Sent | Bad = first.result() if done else Bad(models[0], "no answer", sent=False, retryable=True)
            waiting = {task for task in tasks if task not in done}
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if isinstance(task.result(), Sent):
                        del tasks[task]
                        return task.result()
                    bad = task.result()
            return bad
        finally:
            for task, model in tasks.items():
                await self._let_go(work, task, model)

    async def _let_go(self, work: _Work, task: asyncio.Task[Sent | Bad], model: Model) -> None:
        """End a try that lost, and charge by estimate what it was sent for."""
        if not task.done():
            task.cancel()
            work.spent.append(self._guess(work, model, 0, known=None))
        elif not task.cancelled() and task.exception() is None and isinstance(lost := task.result(), Sent):
            await lost.answer.close()
            work.spent.append(self._guess(work, lost.model, 0, known=None))

    # --- whole answers -------------------------------------------------------------------------------------------

    async def _read_whole(self, work: _Work, sent: Sent) -> Answer:
        """Read a whole answer, ask a stronger model where a check of the purpose fails, and conclude."""
        while True:
            try:
                body = await sent.answer.read(at_most=MODEL_ANSWER_BYTES_MAX)
            except UpstreamFailed as error:
                self._states.failed(work.facts.id, sent.model, error.detail)
                work.spent.append(self._guess(work, sent.model, 0, known=None))
                raise
            finally:
                await sent.answer.close()
            try:
                read = read_answer(sent.dialect, body)
            except ValueError as error:
                work.spent.append(self._guess(work, sent.model, len(body), known=None))
                raise UpstreamFailed(str(error)) from error
            exact = read.tokens is not None
            tokens = read.tokens if read.tokens is not None else self._estimate(work, len(body), known=None)
            work.spent.append(Spent(sent.model, tokens, estimated=not exact))
            stronger = work.route.after(sent.model)
            if not stronger or not passes(work.route.checks, read.text, read.stop_reason):
                break
            next_sent = await self._ask(work, stronger)
            if isinstance(next_sent, Bad):
                break
            sent = next_sent
        asked = work.call.asked
        if sent.dialect is not asked.dialect:
            try:
                body = translate_answer(
                    body, sent.dialect, asked.dialect, model=sent.model.upstream, created=work.created
                )
            except ValueError as error:
                raise UpstreamFailed(str(error)) from error
        said = Said(sent.answer.status, _JSON, body, read.stop_reason)
        text = answer_text(work.facts.settings.capture, asked.dialect, said)
        outcome = answered(
            said,
            work.spent_or(None),
            keeps=work.keeps,
            on=work.on,
            currency=self._currency(work),
            captured=text,
            tried=work.tried,
        )
        await self._conclude(work, outcome)
        if work.route.cache_seconds:
            self._cache.keep(work.key, said, sent.model.name, seconds=work.route.cache_seconds)
        return Whole(work.permit.action_id, said, sent.model.name)

    async def _give_up(self, work: _Work, bad: Bad) -> Answer:
        outcome = self._failed(work, bad.reason, None, sent=bool(work.spent))
        reached = bad.sent or bool(work.spent)
        await self._conclude(work, replace(outcome, frees_key=not reached))
        if not bad.body:
            raise UpstreamFailed(bad.reason, sent=bad.sent, extra={"action_id": str(work.permit.action_id)})
        said = Said(bad.status, _JSON, bad.body)
        # It was tried again here as often as makes sense: a client that does so too would multiply the tries.
        final = (("x-should-retry", "false"),) if bad.status >= SERVER_ERROR else ()
        return Whole(work.permit.action_id, said, bad.model.name, headers=(*bad.headers, *final), reason=bad.reason)

    # --- streams -------------------------------------------------------------------------------------------------

    async def _stream(self, work: _Work, sent: Sent) -> AsyncGenerator[bytes, None]:
        """Yield an answer as it comes, and its last event once the outcome is committed."""
        asked = work.call.asked
        flow = open_flow(
            sent.dialect,
            asked.dialect,
            drop_usage=not asked.includes_usage,
            model=sent.model.upstream,
            created=work.created,
        )
        whole = work.keeps or work.route.cache_seconds > 0
        kept = Kept(asked.dialect, work.facts.settings.capture, whole=whole)
        reason, size = "the caller went away", 0
        try:
            yield b""
            try:
                async for part in sent.answer.parts():
                    size += len(part)
                    out = flow.feed(part)
                    if self._facts.epoch_of(work.facts.id) != work.facts.epoch:
                        work.facts = await self._gate.check_stands(work.permit.act)
                    if out:
                        kept.add(out)
                        yield out
                    if flow.failed or flow.finished:
                        break
                    if self._drivers.ticker.seconds() > work.until:
                        raise DeadlineExceeded(f"the answer took longer than {work.permit.timeout_seconds:.0f} seconds")
                if not flow.finished and not flow.failed and (out := flow.close()):
                    kept.add(out)
                    yield out
                reason = flow.failed or ("" if flow.finished else "the answer ended before it was complete")
            except AosError as error:
                reason = error.detail
                if isinstance(error, UpstreamFailed):
                    self._states.failed(work.facts.id, sent.model, error.detail)
            tail = await self._end_stream(work, sent, flow, kept, size=size, reason=reason)
            yield tail
        finally:
            await sent.answer.close()
            if not work.concluded:
                spent = self._guess(work, sent.model, size, known=flow.tokens)
                self._gate.conclude_soon(work.permit, self._failed(work, reason, spent, sent=True))

    async def _end_stream(self, work: _Work, sent: Sent, flow: Flow, kept: Kept, *, size: int, reason: str) -> bytes:
        """Conclude a stream and return its last event, or the error that stands instead of it."""
        asked, permit = work.call.asked, work.permit
        exact = flow.tokens is not None and not reason
        tokens = flow.tokens if exact else None
        spent = Spent(sent.model, tokens) if tokens else self._guess(work, sent.model, size, known=flow.tokens)
        named = {"action_id": str(permit.action_id)}
        try:
            if reason:
                await self._conclude(work, self._failed(work, reason, spent, sent=True))
                return flow.end() if flow.failed else error_event(asked.dialect, UpstreamFailed(reason, extra=named))
            tail = flow.end()
            kept.add(tail)
            body = kept.whole()
            said = Said(200, EVENTS, body, flow.stop_reason)
            keeps = work.keeps and bool(body)
            spents = work.spent_or(spent)
            outcome = answered(
                said,
                spents,
                keeps=keeps,
                on=work.on,
                currency=self._currency(work),
                captured=kept.text(),
                tried=work.tried,
            )
            await self._conclude(work, outcome)
            if work.route.cache_seconds and body:
                self._cache.keep(work.key, said, sent.model.name, seconds=work.route.cache_seconds)
        except AosError as error:
            return error_event(asked.dialect, error)
        return tail

    # --- what is recorded ----------------------------------------------------------------------------------------

    async def _conclude(self, work: _Work, outcome: ToolOutcome) -> None:
        """Record the outcome; raise OutcomeUnknown where the sweep recorded another meanwhile, or what kept it out."""
        work.concluded = True
        recorded = await self._gate.conclude_shielded(work.permit, outcome)
        if recorded.state is ActionState.UNKNOWN:
            detail = "the answer came after the call had been given up; what it was is not recorded"
            raise OutcomeUnknown(detail, extra={"action_id": str(work.permit.action_id)})

    def _failed(self, work: _Work, reason: str, spent: Spent | None, *, sent: bool) -> ToolOutcome:
        every = work.spent_or(spent)
        return failed(reason, every, sent=sent, on=work.on, currency=self._currency(work))

    def _guess(self, work: _Work, model: Model, size: int, *, known: Tokens | None) -> Spent:
        return Spent(model, self._estimate(work, size, known=known), estimated=True)

    def _estimate(self, work: _Work, size: int, *, known: Tokens | None) -> Tokens:
        seconds = self._drivers.ticker.seconds() - work.began
        return estimate(work.permit, seen_bytes=size, seconds=seconds, known=known)

    def _cut(self, work: _Work) -> Spent | None:
        """Return what a call is held to have used that was cut before any of its answer came; what was read counts as it is."""
        return None if work.spent else self._guess(work, work.permit.models[0], 0, known=None)

    def _currency(self, work: _Work) -> str:
        return work.facts.settings.currency


def _answer_of(admitted: Recorded | Pending | Refused) -> Answer:
    """Return what stands instead of a new answer: the kept one, where there is one."""
    if not isinstance(admitted, Recorded) or admitted.state is not ActionState.PERFORMED:
        return admitted
    said = said_before(admitted.value)
    return admitted if said is None else Whole(admitted.action_id, said, replayed=True)
