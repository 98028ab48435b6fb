"""`aos schedules`: what runs at which times, stopped, started, and tried by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from aos.cli.client import Object, path_to
from aos.cli.output import clean, detail, short
from aos.cli.registry import Collection, KeyArgument, parse_pairs
from aos.cli.runs import read_input
from aos.cli.session import Session, find_id, session_of
from aos.kernel.schedules import CatchUp, Overlap, how_often

SCHEDULES: Final = Collection(
    "/schedules",
    "schedule",
    ("name", "workflow", "agent", "cron", "timezone", "enabled", "next_at", "last_at", "last_run_state", "last_error"),
)

TIMES_KNOWN: Final = 100
"""How many of the next times are asked for, so that how often they come is known."""

group = typer.Typer(help="The schedules.", no_args_is_help=True)


@group.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits, - and _")],
    cron: Annotated[str, typer.Argument(help="Minute, hour, day, month, weekday: '0 6 * * MON-FRI'")],
    workflow: Annotated[str, typer.Option("--workflow", help="The workflow that is run")] = "",
    agent: Annotated[str, typer.Option("--agent", help="Or the agent that is run by itself")] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="The zone of its times; else the organization's")] = "",
    input: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON|@FILE", help="What runs are given; may hold ${due.date}")
    ] = "",
    goal: Annotated[str, typer.Option("--goal", help="What each run is to reach")] = "",
    label: Annotated[list[str] | None, typer.Option("--label", "-l", metavar="NAME=VALUE", help="Repeatable")] = None,
    catch_up: Annotated[CatchUp, typer.Option("--catch-up", help="What becomes of missed times")] = CatchUp.LAST,
    overlap: Annotated[Overlap, typer.Option("--overlap", help="Whether runs may overlap")] = Overlap.SKIP,
) -> None:
    """Start runs at these times from now on, with your rights."""
    body: dict[str, Any] = {"name": name, "cron": cron, "catch_up": catch_up.value, "overlap": overlap.value}
    given = {"workflow": workflow, "agent": agent, "timezone": timezone, "goal": goal}
    body |= {field: value for field, value in given.items() if value}
    body |= {"input": read_input(input)} if input else {}
    body |= {"labels": parse_pairs(label, "--label")} if label else {}
    session = session_of(context)
    made = session.client.post(SCHEDULES.path, body)
    session.out.emit(made, lambda: detail(made, times=session.out.ago))


@group.command("pause")
def pause(context: typer.Context, name: KeyArgument) -> None:
    """Start nothing until resumed.

    Times that pass meanwhile are not caught up with.
    """
    _switch(context, name, enabled=False)


@group.command("resume")
def resume(context: typer.Context, name: KeyArgument) -> None:
    """Start runs again, from the next time on."""
    _switch(context, name, enabled=True)


def _switch(context: typer.Context, name: str, *, enabled: bool) -> None:
    session = session_of(context)
    answer = session.client.patch(_path(session, name), {"enabled": enabled})
    said = f"goes on; next {session.out.ago(str(answer.get('next_at')))}" if enabled else "is paused"
    session.out.say(answer, f"schedule {answer.get('name') or name} {said}")


@group.command("delete")
def delete(
    context: typer.Context,
    name: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> None:
    """End a schedule.

    Its runs stay, and its name is free again.
    """
    session = session_of(context)
    session.out.require_yes(f"End schedule {name}?", yes=yes)
    session.out.say(session.client.delete(_path(session, name)), f"schedule {name} has ended")


@group.command("run")
def run(context: typer.Context, name: KeyArgument) -> None:
    """Start its run now, as you; its times stay as they are."""
    session = session_of(context)
    started: Object = session.client.post(f"{_path(session, name)}/run")
    if "approval_id" in started and "id" not in started:
        session.out.say(started, f"waits for approval {started['approval_id']}")
    else:
        session.out.say(started, f"run {short(started.get('id'))} has started")


@group.command("next")
def next_times(
    context: typer.Context,
    name: KeyArgument,
    count: Annotated[int, typer.Argument(min=1, max=TIMES_KNOWN, metavar="N", help="How many times to tell")] = 10,
) -> None:
    """Tell its next times, in its own zone."""
    session = session_of(context)
    asked = count if session.out.json else TIMES_KNOWN
    answer = session.client.get(f"{_path(session, name)}/times", {"count": asked})
    zone = ZoneInfo(str(answer.get("timezone") or "UTC"))
    times = [datetime.fromisoformat(str(each)).astimezone(zone) for each in answer.get("items") or []]
    lines = [f"{each:%a %Y-%m-%d %H:%M} {each:%Z}" for each in times[:count]]
    session.out.emit(answer, lambda: Text(clean("\n".join(lines) or "none: it is paused")))
    if often := how_often(times, known=TIMES_KNOWN):
        session.out.note(f"and so on, {often}")


def _path(session: Session, name: str) -> str:
    return path_to("schedules", find_id(session, SCHEDULES.path, name))
