"""`aos models` and `aos purposes`: what agents may ask and what it is wanted for; versions, trials, choices, and their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import typer

from aos.cli.client import path_to
from aos.cli.failures import CliError, ExitStatus
from aos.cli.model_choice import draw_choice
from aos.cli.model_trial import PROMPT, QUIET_SECONDS, draw_trial, try_model
from aos.cli.output import table
from aos.cli.registry import LIST_MAX, Collection, KeyArgument, LimitOption
from aos.cli.session import Session, find_id, session_of

MODELS: Final = Collection(
    "/models",
    "model",
    ("name", "provider", "upstream", "strength", "context", "output", "region", "version", "draft_version"),
    drafted=True,
)
PURPOSES: Final = Collection(
    "/purposes", "purpose", ("name", "objective", "models", "residency", "version", "draft_version"), drafted=True
)


def _group(collection: Collection, help: str, columns: tuple[str, ...]) -> typer.Typer:
    """Return the commands that both collections have beside `list`, `show` and `publish`."""
    made = typer.Typer(help=help, no_args_is_help=True)
    made.command("versions", help=f"List a {collection.one}'s versions, newest first.")(_versions(collection, columns))
    made.command("retire", help=f"Retire a {collection.one}: no agent can ask for it any more.")(_retire(collection))
    return made


def _versions(collection: Collection, columns: tuple[str, ...]) -> Callable[..., None]:
    def list_versions(context: typer.Context, key: KeyArgument, limit: LimitOption = LIST_MAX) -> None:
        session = session_of(context)
        path = path_to(collection.plural, find_id(session, collection.path, key), "versions")
        items = session.client.items(path, most=limit)
        session.out.emit(
            {"items": items}, lambda: table(items, columns, empty="no versions yet", times=session.out.ago)
        )

    return list_versions


def _retire(collection: Collection) -> Callable[..., None]:
    def retire_item(
        context: typer.Context,
        key: KeyArgument,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    ) -> None:
        session = session_of(context)
        session.out.require_yes(f"Retire {collection.one} {key}?", yes=yes)
        answer = session.client.delete(path_to(collection.plural, find_id(session, collection.path, key)))
        session.out.say(answer or {"name": key}, f"{collection.one} {key} is retired")

    return retire_item


models: Final = _group(
    MODELS, "The models that agents may ask.", ("version", "provider", "upstream", "base_url", "created_at")
)
purposes: Final = _group(
    PURPOSES, "What models are wanted for.", ("version", "objective", "models", "residency", "created_at")
)


@models.command("explain")
def explain(
    context: typer.Context,
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="An action's id, the end of its id, or last")
    ] = "last",
) -> None:
    """Say why a model was asked: the recorded choice, made again from what it was made of."""
    session = session_of(context)
    found = session.client.get(path_to("actions", _model_call(session, action), "route"))
    session.out.emit(found, lambda: draw_choice(found))


@models.command("test")
def try_one(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model, purpose:NAME, or auto")],
    prompt: Annotated[str, typer.Option("--prompt", "-p", metavar="TEXT", help="What to ask")] = PROMPT,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait")
    ] = QUIET_SECONDS,
    approval: Annotated[
        str | None,
        typer.Option("--approval", metavar="APPROVAL", help="The approval that was given for this very question"),
    ] = None,
) -> None:
    """Ask a model something short, through the gate, as yourself: its answer, latency, tokens and cost.

    It is an act like any other: decided by policy, charged to the budgets, on the record.
    """
    session = session_of(context)
    given = find_id(session, "/approvals", approval) if approval is not None else None
    trial = try_model(session, name, prompt, quiet_seconds=timeout, approval_id=given)
    session.out.emit(trial, lambda: draw_trial(trial))


def _model_call(session: Session, key: str) -> str:
    """Return the id of an action; `last` is the newest model call."""
    if key != "last":
        return find_id(session, "/actions", key)
    newest = session.client.items("/actions", {"kind": "model", "order": "-created"}, most=1)
    if not newest:
        missing = CliError("Not found", "no model was asked here yet", ExitStatus.NOT_FOUND)
        raise session.client.looked_elsewhere(missing)
    return str(newest[0]["id"])
