"""`aos hooks`: signed doors through which systems outside start runs or signal them. A secret is printed once, when it is made."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from aos.cli.client import Object, path_to
from aos.cli.output import detail
from aos.cli.registry import Collection, KeyArgument
from aos.cli.runs import read_input
from aos.cli.session import Session, find_id, session_of

HOOKS: Final = Collection(
    "/hooks", "hook", ("name", "workflow", "agent", "signal", "accepts", "enabled", "owner", "last_at", "path")
)

group = typer.Typer(help="The hooks.", no_args_is_help=True)


@group.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits, - and _")],
    workflow: Annotated[str, typer.Option("--workflow", help="The workflow that is run")] = "",
    agent: Annotated[str, typer.Option("--agent", help="Or the agent that is run by itself")] = "",
    signal: Annotated[str, typer.Option("--signal", help="Or the signal that a run is sent")] = "",
    run: Annotated[
        str, typer.Option("--run", help="With --signal: the run that is told; else ${event.data.run_id}")
    ] = "",
    type: Annotated[
        list[str] | None, typer.Option("--type", help="A type of event or glob it takes; repeatable")
    ] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="A source or glob it takes; repeatable")] = None,
    input: Annotated[
        str,
        typer.Option("--input", "-i", metavar="JSON|@FILE", help="What runs are given or told; else ${event.data}"),
    ] = "",
    goal: Annotated[str, typer.Option("--goal", help="What a run is to reach; may hold ${event.data...}")] = "",
) -> None:
    """Open a hook; what it does is done with your rights.

    Its secret is printed once, here.
    """
    body: dict[str, Any] = {"name": name}
    body |= {field: value for field, value in (("workflow", workflow), ("agent", agent), ("signal", signal)) if value}
    accepts = {field: value for field, value in (("types", type), ("sources", source)) if value}
    mapping: dict[str, Any] = {"input": read_input(input)} if input else {}
    mapping |= {field: value for field, value in (("goal", goal), ("run", run)) if value}
    body |= {field: value for field, value in (("accepts", accepts), ("mapping", mapping)) if value}
    session = session_of(context)
    _print_made(session, session.client.post(HOOKS.path, body))


@group.command("rotate")
def rotate(context: typer.Context, name: KeyArgument) -> None:
    """Give a hook another secret, printed once; the old one counts no more."""
    session = session_of(context)
    _print_made(session, session.client.post(f"{_path(session, name)}/rotate"))


def _print_made(session: Session, made: Object) -> None:
    url = f"{session.client.url}{made.get('path', '')}"
    shown = {"name": made.get("name"), "url": url, "secret": made.get("secret")}
    session.out.emit({**made, "url": url}, lambda: detail(shown, times=session.out.ago))


@group.command("pause")
def pause(context: typer.Context, name: KeyArgument) -> None:
    """Take nothing until resumed."""
    _switch(context, name, enabled=False)


@group.command("resume")
def resume(context: typer.Context, name: KeyArgument) -> None:
    """Take events again."""
    _switch(context, name, enabled=True)


def _switch(context: typer.Context, name: str, *, enabled: bool) -> None:
    session = session_of(context)
    answer = session.client.patch(_path(session, name), {"enabled": enabled})
    session.out.say(answer, f"hook {answer.get('name') or name} {'is open' if enabled else 'is paused'}")


@group.command("delete")
def delete(
    context: typer.Context,
    name: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> None:
    """Close a hook for good.

    Its secret is emptied, and its name is free again.
    """
    session = session_of(context)
    session.out.require_yes(f"Close hook {name} for good?", yes=yes)
    session.out.say(session.client.delete(_path(session, name)), f"hook {name} is closed")


def _path(session: Session, name: str) -> str:
    return path_to("hooks", find_id(session, HOOKS.path, name))
