"""`aos usage`: what agents, departments, runs and tools used and cost; and `aos explain`: what would be decided."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.console import RenderableType

from aos.cli.client import Object
from aos.cli.output import Output, detail, duration_text, table
from aos.cli.session import session_of
from aos.cli.traces import draw_tree
from aos.kernel.json_text import is_date


class UsageBy(StrEnum):
    """What usage is added up by."""

    AGENT = "agent"
    DEPARTMENT = "department"
    DAY = "day"
    MODEL = "model"
    RUN = "run"
    TOOL = "tool"
    WORKFLOW = "workflow"


def usage(
    context: typer.Context,
    by: Annotated[UsageBy, typer.Option("--by", help="What to add up by")] = UsageBy.AGENT,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="From this time on, RFC 3339 or a date")] = "",
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="Before this time")] = "",
) -> None:
    """Show what was used and what it cost."""
    session = session_of(context)
    found = session.client.get("/usage", {"by": by.value, "from": _moment(since), "to": _moment(until)})
    session.out.emit(found, lambda: _drawn(found, by, session.out))


def _moment(written: str) -> str | None:
    """Return a time as the server reads it; a date alone begins in UTC."""
    return f"{written}T00:00:00Z" if is_date(written) else written or None


def _drawn(found: Object, by: UsageBy, out: Output) -> RenderableType:
    """Draw the groups, and beneath them the totals."""
    groups = [_flat(group) for group in found.get("items") or []]
    totals = _flat(found.get("totals") or {})
    if totals and groups:
        groups.append({"name": "total", **totals})
    rows = [{by.value: group.get("name") or group.get("key") or "none", **group} for group in groups]
    return table(rows, [by.value, *_COLUMNS], empty="nothing was used yet", times=out.ago)


def _flat(group: Object) -> Object:
    runtime = group.get("runtime_seconds")
    return {**group, "runtime": duration_text(runtime) if isinstance(runtime, int | float) else None}


_COLUMNS: Final = (
    "runtime",
    "tasks",
    "attempts",
    "tool_calls",
    "model_calls",
    "input_tokens",
    "output_tokens",
    "workflow_executions",
    "cost",
    "estimated",
)


def explain(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Who would act")],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="What: tool:payments.create")],
) -> None:
    """Show which rules an action meets.

    The agent's own permissions are among them.
    """
    session = session_of(context)
    found = session.client.get("/policies/explain", {"agent": agent, "action": action})
    rules = found.get("rules")
    root = {
        "name": f"{agent}  {action}",
        "rules": rules,
        "reason": f"where no rule allows: {found.get('default', 'deny')}",
    }
    session.out.emit(
        found,
        lambda: draw_tree(root, empty="") if rules is not None else detail(found, times=session.out.ago),
    )
