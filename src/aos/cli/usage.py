"""`aos usage`: what agents, departments, runs and tools used and cost; and `aos explain`: what would be decided."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from aos.cli.output import detail, table
from aos.cli.session import session_of
from aos.cli.traces import draw_tree


class UsageBy(StrEnum):
    """What usage is added up by."""

    AGENT = "agent"
    DEPARTMENT = "department"
    RUN = "run"
    TOOL = "tool"


def usage(
    context: typer.Context,
    by: Annotated[UsageBy, typer.Option("--by", help="What to add up by")] = UsageBy.AGENT,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="From this time on, RFC 3339 or a date")] = "",
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="Before this time")] = "",
) -> None:
    """Show what was used and what it cost."""
    session = session_of(context)
    found = session.client.get("/usage", {"by": by.value, "from": since or None, "to": until or None})
    items = found.get("items") or []
    first = [by.value, "name", "id"]
    rest = [name for item in items[:50] for name in item if name not in first and not name.endswith("_id")]
    columns = list(dict.fromkeys([*first, *rest]))
    session.out.emit(found, lambda: table(items, columns, empty="nothing was used yet", times=session.out.ago))


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
    rules = found.get("matched") or found.get("rules") or found.get("items")
    root = {"name": f"{agent}  {action}", "matched": rules, "decision": found.get("decision") or found.get("outcome")}
    session.out.emit(
        found,
        lambda: draw_tree(root, empty="") if rules is not None else detail(found, times=session.out.ago),
    )
