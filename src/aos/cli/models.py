"""`aos models` and `aos purposes`: what agents may ask and what it is wanted for; their versions, and their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import typer

from aos.cli.client import path_to
from aos.cli.output import table
from aos.cli.registry import LIST_MAX, Collection, KeyArgument, LimitOption
from aos.cli.session import find_id, session_of

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
