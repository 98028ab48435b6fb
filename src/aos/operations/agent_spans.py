"""Spans that agents' own code leaves with a run: evidence of what it saw, kept apart from the ledger and joined to it by id.

Nothing is decided or charged by a span. It says what was called, how long it took and whether it failed, never with what:
its attributes stand unencrypted, so that what a host sends besides names, ids and figures is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX, SPANS_PER_CALL_MAX, SPANS_PER_RUN_MAX
from aos.operations.drivers import Drivers
from aos.operations.passes import PassState
from aos.store.hot.database import Database
from aos.store.rows import hex_bytes, rows_json
from aos_sdk.frames import Call

SPAN_ID_BYTES: Final = 8
_KINDS: Final = frozenset({"node", "model", "tool", "chain", "retriever"})
COVERAGE: Final = "coverage"
"""What a span is that says what of a graph goes through AOS: the only one of that name, under the agent's id as its trace."""
_NAMES_MAX: Final = 200


class SpanRow(msgspec.Struct, kw_only=True):
    """One span on its way into the store."""

    organization_id: UUID
    id: UUID
    trace_id: str
    span_id: str
    parent_span_id: str | None
    run_id: UUID
    name: str
    started_at: datetime
    ended_at: datetime
    attributes: Json


class AgentSpans:
    """Keeps spans of passes."""

    def __init__(self, database: Database, drivers: Drivers) -> None:
        self._database = database
        self._drivers = drivers

    async def keep(self, state: PassState, call: Call) -> None:
        """Keep the spans of one call, as far as the run has room for them; raise InvalidRequest for what is none."""
        given = call.arguments.get("spans")
        if not isinstance(given, list) or len(given) > SPANS_PER_CALL_MAX:
            raise InvalidRequest(f"`spans` is a list of at most {SPANS_PER_CALL_MAX}")
        task = state.task
        rows = [self._row(state, each) for each in given if isinstance(each, dict)]
        params = {
            "organization_id": task.organization_id,
            "task_id": task.id,
            "claim_token": task.token,
            "run_id": task.run_id,
            "spans": rows_json(rows),
            "spans_max": SPANS_PER_RUN_MAX,
        }
        async with self._database.app(task.organization_id) as transaction:
            await transaction.run("keep_agent_spans", params)

    def _row(self, state: PassState, given: Mapping[str, Json]) -> SpanRow:
        task = state.task
        return SpanRow(
            organization_id=task.organization_id,
            id=self._drivers.ids.new(),
            trace_id=hex_bytes((state.agent.id if given.get("kind") == COVERAGE else task.run_id).bytes),
            span_id=hex_bytes(_span_id(given.get("id"))),
            parent_span_id=hex_bytes(_span_id(given["parent"])) if given.get("parent") else None,
            run_id=task.run_id,
            name=COVERAGE if given.get("kind") == COVERAGE else _name(given),
            started_at=_time(given.get("start")),
            ended_at=_time(given.get("end")),
            attributes={
                "aos.task": str(task.id),
                "aos.agent": state.agent.name,
                "aos.attempt": task.attempt,
                **_attributes(given),
            },
        )


def _attributes(given: Mapping[str, Json]) -> dict[str, Any]:
    """Return those of the host's words that may stand: what kind of thing it was, its node, its failure's class, names."""
    kind = given.get("kind")
    found: dict[str, Any] = {"kind": kind if kind in (*_KINDS, COVERAGE) else "chain"}
    for name in ("node", "error", "model"):
        if given.get(name):
            found[name] = _text(given[name])
    for name in ("tools", "governed", "kept", "models", "models_governed"):
        value = given.get(name)
        if isinstance(value, list):
            found[name] = [_text(each) for each in value[:_NAMES_MAX]]
    return found


def _name(given: Mapping[str, Json]) -> str:
    name = _text(given.get("name")) or "span"
    return f"{name}." if name == COVERAGE else name


def _span_id(value: Json) -> bytes:
    """Return eight bytes of a span's id, which the framework writes as a UUID."""
    try:
        return UUID(str(value)).bytes[-SPAN_ID_BYTES:]
    except ValueError as error:
        raise InvalidRequest("the id of a span is a UUID") from error


def _text(value: Json) -> str:
    return str(value or "")[:NAME_LENGTH_MAX]


def _time(value: Json) -> datetime:
    if not isinstance(value, int | float) or not 0 < value < 1e11:
        raise InvalidRequest("the times of a span are seconds since 1970")
    return datetime.fromtimestamp(value, UTC)
