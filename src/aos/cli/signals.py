"""`aos runs signal`: tell a run something that its tasks wait for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aos.cli.client import path_to
from aos.cli.output import short
from aos.cli.runs import RUNS, IdArgument, read_input
from aos.cli.session import find_id, session_of


def signal(
    context: typer.Context,
    run_id: IdArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the run's tasks wait for")],
    value: Annotated[
        str, typer.Option("--value", metavar="JSON|@FILE", help="What is told; @- reads standard input")
    ] = "",
    key: Annotated[str, typer.Option("--key", help="The same key is the same signal, however often it is sent")] = "",
) -> None:
    """Send a signal to a run.

    The oldest task that waits for the name takes it; one that nobody waits for yet is kept.
    """
    session = session_of(context)
    id = find_id(session, RUNS.path, run_id)
    body: dict[str, Any] = {"name": name}
    body |= {"value": read_input(value)} if value else {}
    body |= {"key": key} if key else {}
    answer = session.client.post(path_to("runs", id, "signals"), body)
    waits = answer.get("approval_id")
    told = f"waits for approval {waits}" if waits else f"was told `{name}`"
    session.out.say(answer, f"run {short(id)} {told}")
