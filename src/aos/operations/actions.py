"""Actions as people read them: what was asked, why it was allowed or not, who answered, what it cost, where it is recorded.

What the decision read and what came of the act is content: it is there for those who may read content, else None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aos.kernel.acts import ActKind
from aos.kernel.errors import NotFound
from aos.kernel.identity import ChainLink, PrincipalKind
from aos.kernel.json import Json, canonical_json
from aos.kernel.money import Money
from aos.kernel.people import Actor, Permission
from aos.operations.act_sentences import act_subject
from aos.operations.drivers import Drivers
from aos.operations.model_answers import CAPTURED_ANSWER
from aos.operations.opened import LISTED_BYTES_MAX, ONE_BYTES_MAX, Opened, open_contents
from aos.operations.pages import Page, PageQuery, check_limit, decode_cursor, encode_cursor, parse_uuid, refuse
from aos.operations.registry_records import reading
from aos.store.cold.connection import run_sql

SUMMARY_CHARACTERS: Final = 200
"""How much of an outcome its summary shows."""
_REFUSAL: Final = frozenset({"code", "comment", "detail", "reasons", "suggested_args"})
"""What an outcome that is a failure or a refusal may hold; of such, the detail says it."""
ACTIONS_SEARCHED: Final = 2_000
"""How many of the newest acts a search looks through."""
SEARCHED_CHARACTERS_MIN: Final = 3
SEARCHED_BYTES_MAX: Final = 4_096
"""Longer arguments are not searched."""


@dataclass(frozen=True, slots=True)
class RuleMet:
    """One rule that matched; `reason` is empty where content may not be read."""

    id: str
    version: int
    outcome: str
    reason: str
    failed: bool
    satisfied: bool


@dataclass(frozen=True, slots=True)
class ActionApproval:
    """The approval an action waited for, and who answered it."""

    id: UUID
    status: str
    answered_by: str | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """One ledger record of an action; `index` is its leaf, None until it has one."""

    record_id: UUID
    kind: str
    index: int | None


@dataclass(frozen=True, slots=True)
class ActionView:
    """One action. `clock` is the run's own time of the decision, where the run has one; the other times are the database's."""

    id: UUID
    kind: str
    name: str
    effect: str | None
    state: str
    outcome: str
    reason: str
    rules: tuple[RuleMet, ...]
    facts: Mapping[str, Json] | None
    arguments: Json
    agent: str | None
    agent_version: int | None
    department: str
    chain: tuple[ChainLink, ...]
    run_id: UUID | None
    task_id: UUID | None
    task: str | None
    attempt: int | None
    digest: bytes
    error: str | None
    summary: str
    result: Json
    cost: Money | None
    clock: datetime | None
    intended_at: datetime
    concluded_at: datetime | None
    approval: ActionApproval | None
    records: tuple[Place, ...]
    route: Json = None
    """Of a model call: what the choice among models was made of, None where there was none."""

    @property
    def subject(self) -> str:
        """Return what the act is about in a few words, with what of its arguments may be read."""
        return act_subject(self.name, arguments=self.arguments, facts=self.facts)


def list_actions(drivers: Drivers, actor: Actor, query: PageQuery) -> Page[ActionView]:
    """Return a page of actions, by `agent`, `name`, `kind`, `state`, `outcome`, `run` (or `none`) and `task`.

    `unsettled` asks, within one run, for acts that failed or are of unknown outcome and were not done later by the same call.
    """
    with reading(actor, Permission.TRACE_READ):
        filters = dict(query.filters)
        run = filters.pop("run", None)
        if run is not None and run != "none" and parse_uuid(run) is None:
            raise refuse("run", f"`{run[:40]}` must be a run's id, or `none` for what was done outside of runs")
        alone = True if run == "none" else None
        check_limit(query)
        return find_actions(drivers, actor, query, alone=alone, run=None if alone else run, **filters)


def show_action(drivers: Drivers, actor: Actor, action_id: UUID) -> ActionView:
    """Return one action with its whole outcome; raise NotFound."""
    with reading(actor, Permission.TRACE_READ):
        rows = run_sql("page_actions", _params(actor, PageQuery(limit=1), after=None, id=action_id))
        if not rows:
            raise NotFound(f"there is no action `{action_id}`")
        return _views(drivers, actor, rows, bytes_max=ONE_BYTES_MAX)[0]


def search_actions(drivers: Drivers, actor: Actor, text: str, *, limit: int) -> tuple[ActionView, ...]:
    """Return the newest acts with an argument that holds `text`, among the newest `ACTIONS_SEARCHED`.

    Arguments lie sealed and no index of them is kept: the newest are opened and looked through, for those who may read
    content; others find nothing. Case does not count. Shorter texts than `SEARCHED_CHARACTERS_MIN` find nothing.
    """
    wanted = text.strip().casefold()
    if len(wanted) < SEARCHED_CHARACTERS_MIN or not actor.may(Permission.CONTENT_READ):
        return ()
    params = {"organization_id": actor.organization_id, "limit": ACTIONS_SEARCHED}
    with reading(actor, Permission.TRACE_READ):
        rows = run_sql("list_recent_arguments", params)
        names = [row["arguments_content_id"] for row in rows]
        opened = open_contents(drivers, actor, names, bytes_max=SEARCHED_BYTES_MAX)
        found = [row["id"] for row in rows if _holds(opened.get(row["arguments_content_id"]), wanted)][:limit]
        if not found:
            return ()
        return find_actions(drivers, actor, PageQuery(limit=limit, order="-created"), ids=found).items


def _holds(value: Json, wanted: str) -> bool:
    if isinstance(value, dict | list):
        return any(_holds(each, wanted) for each in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str | int | float) and wanted in str(value).casefold()


def find_actions(drivers: Drivers, actor: Actor, query: PageQuery, **filters: Any) -> Page[ActionView]:
    """Return a page of actions, in the open transaction."""
    if query.order not in ("created", "-created"):
        raise refuse("order", f"`{query.order[:40]}` is no order: created or -created")
    after = decode_cursor(query.cursor, query.order)
    if after is not None and parse_uuid(after) is None:
        raise refuse("cursor", "is not one that this list gave out: begin again without it")
    rows = run_sql("page_actions", _params(actor, query, after=after, **filters))
    more, rows = len(rows) > query.limit, rows[: query.limit]
    following = encode_cursor(query.order, str(rows[-1]["id"])) if more else None
    return Page(tuple(_views(drivers, actor, rows, bytes_max=LISTED_BYTES_MAX)), following)


def chain_of(links: Sequence[Mapping[str, Any]]) -> tuple[ChainLink, ...]:
    """Return a stored chain, root first."""
    return tuple(
        ChainLink(PrincipalKind(link["kind"]), UUID(link["id"]), link["name"], link["version"]) for link in links
    )


def rules_of(stored: Sequence[Mapping[str, Any]], shown: Mapping[str, Json]) -> tuple[RuleMet, ...]:
    """Return the rules that matched: what the action's row names, with reasons where the decision is open."""
    told: Any = shown.get("rules")
    return tuple(
        RuleMet(
            id=rule["id"],
            version=rule["version"],
            outcome=rule.get("outcome", "escalate"),
            reason=rule.get("reason", ""),
            failed=rule.get("failed", False),
            satisfied=rule.get("satisfied", False),
        )
        for rule in (told if isinstance(told, list) else stored)
    )


def _params(actor: Actor, query: PageQuery, *, after: str | None, **filters: Any) -> dict[str, Any]:
    names = ("id", "run", "task", "alone", "agent", "kind", "name", "state", "outcome", "unsettled", "ids")
    return {
        **dict.fromkeys(names),
        **filters,
        "organization_id": actor.organization_id,
        "from": query.since,
        "to": query.until,
        "after_id": after,
        "descending": query.order.startswith("-"),
        "limit": query.limit + 1,
    }


def _views(drivers: Drivers, actor: Actor, rows: Sequence[Mapping[str, Any]], *, bytes_max: int) -> list[ActionView]:
    if not rows:
        return []
    ids = [row["id"] for row in rows]
    places: dict[UUID, list[Place]] = {}
    for row in run_sql("list_action_records", {"organization_id": actor.organization_id, "ids": ids}):
        places.setdefault(row["action_id"], []).append(Place(row["id"], row["kind"], row["index"]))
    names = ("decision_content_id", "outcome_content_id", "arguments_content_id")
    wanted = [
        row[name] for row in rows for name in names if name != names[2] or row[names[0]] is None or _may_hold_text(row)
    ]
    opened = open_contents(drivers, actor, wanted, bytes_max=bytes_max)
    return [_view(row, opened, places=tuple(places.get(row["id"], ()))) for row in rows]


def _view(row: Mapping[str, Any], opened: Opened, *, places: tuple[Place, ...]) -> ActionView:
    shown = opened.fields(row["decision_content_id"])
    facts: Any = shown.get("facts")
    result = _without_body(opened.get(row["outcome_content_id"]))
    arguments = opened.get(row["arguments_content_id"])
    return ActionView(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        effect=row["effect"],
        state=row["state"],
        outcome=row["outcome"],
        reason=str(shown.get("reason", "")),
        rules=rules_of(row["rules"], shown),
        facts=facts,
        arguments=arguments if arguments is not None else shown.get("arguments"),
        agent=row["agent"],
        agent_version=row["agent_version"],
        department=row["department"],
        chain=chain_of(row["chain"]),
        run_id=row["run_id"],
        task_id=row["task_id"],
        task=row["task_label"],
        attempt=row["attempt"],
        digest=row["digest"],
        error=row["error_code"],
        summary=summary_of(result),
        result=result,
        cost=None if row["cost_nanos"] is None else Money(row["cost_nanos"], row["currency"]),
        clock=row["clock"],
        intended_at=row["intended_at"],
        concluded_at=row["concluded_at"],
        approval=_approval(row),
        records=places,
        route=shown.get("route"),
    )


def _may_hold_text(row: Mapping[str, Any]) -> bool:
    """Say whether more may lie with the arguments than the decision shows: the text of a request to a model."""
    return bool(row["kind"] == ActKind.MODEL)


def _without_body(result: Json) -> Json:
    """Return an outcome as people read it: without the answer as it was, where it is kept redacted beside it."""
    if isinstance(result, dict) and CAPTURED_ANSWER in result:
        return {name: value for name, value in result.items() if name != "body"}
    return result


def _approval(row: Mapping[str, Any]) -> ActionApproval | None:
    if row["approval_id"] is None:
        return None
    return ActionApproval(row["approval_id"], row["approval_status"], row["answered_by"], row["answered_at"])


def summary_of(value: Json) -> str:
    """Return the beginning of an outcome as one line of text; of a failure, its message."""
    if isinstance(value, dict) and set(value) <= _REFUSAL and isinstance(value.get("detail"), str):
        text = str(value["detail"])
    elif value is None:
        return ""
    else:
        text = value if isinstance(value, str) else canonical_json(value).decode("utf-8", "replace")
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_CHARACTERS else f"{line[: SUMMARY_CHARACTERS - 1]}…"
