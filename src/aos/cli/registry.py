"""The commands that every collection has: `list` and `show`, under its plural and its singular name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from aos.cli.client import path_to
from aos.cli.output import detail, table
from aos.cli.session import find_id, session_of

LIST_MAX: Final = 50
"""How many items `list` shows unless told."""

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many to show")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", metavar="FIELD=VALUE", help="Only those with this value; repeatable"),
]
KeyArgument = Annotated[str, typer.Argument(metavar="NAME|ID", help="Its name, its id, or the end of its id")]


@dataclass(frozen=True, slots=True)
class Collection:
    """One REST collection: its path, how one of it is called, the columns of its table, whether one can be shown.

    `drafted`: versions of it may wait until somebody who may publish policies accepts them.
    """

    path: str
    one: str
    columns: tuple[str, ...]
    shown: bool = True
    drafted: bool = False

    @property
    def plural(self) -> str:
        return self.path.strip("/")


COLLECTIONS: Final = (
    Collection("/departments", "department", ("name", "cost_center", "created_at")),
    Collection("/queues", "queue", ("name", "concurrency", "under_way", "created_at")),
    Collection(
        "/tools",
        "tool",
        ("name", "effect", "repeat", "result_trust", "transport", "version", "draft_version", "price"),
        drafted=True,
    ),
    Collection(
        "/policies",
        "policy",
        ("id", "name", "version", "state", "outcome", "agents", "actions", "when"),
        drafted=True,
    ),
    Collection("/budgets", "budget", ("id", "name", "scope", "limit", "per", "settled", "held", "left")),
    Collection("/workflows", "workflow", ("name", "version", "tasks", "created_at")),
)
"""The collections that have nothing but `list`, `show` and `publish`."""


def add_collection(app: typer.Typer, collection: Collection, group: typer.Typer | None = None) -> typer.Typer:
    """Add a collection's group to the app under its plural and singular, with `list` and `show` where it has none itself.

    A singular that is a command of its own, as `run` is, stays that. Returns the group, for further commands.
    """
    group = group or typer.Typer(help=f"The {collection.plural}.", no_args_is_help=True)
    own = {command.name for command in group.registered_commands}
    if "list" not in own:
        group.command("list", help=f"List the {collection.plural}, newest first.")(_lister(collection))
    if collection.shown and "show" not in own:
        group.command("show", help=f"Show one {collection.one}.")(_shower(collection))
    if collection.drafted:
        text = f"Put the version of a {collection.one} that waits in force.\n\nIt needs the permission policy.publish."
        group.command("publish", help=text)(_publisher(collection))
    app.add_typer(group, name=collection.plural)
    if collection.one not in {command.name for command in app.registered_commands}:
        app.add_typer(group, name=collection.one, hidden=True)
    return group


def parse_pairs(pairs: list[str] | None, option: str) -> dict[str, Any]:
    """Return the fields of `NAME=VALUE` options; raises typer.BadParameter."""
    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"`{pair}` must read NAME=VALUE", param_hint=option)
        found[name] = value
    return found


def _publisher(collection: Collection) -> Callable[..., None]:
    def publish_item(
        context: typer.Context,
        key: KeyArgument,
        version: Annotated[int | None, typer.Option("--version", min=1, help="Only if it is this one")] = None,
    ) -> None:
        session = session_of(context)
        path = path_to(collection.plural, find_id(session, collection.path, key), "publish")
        answer = session.client.post(path, {"version": version} if version else {})
        number = answer.get("active_version") or answer.get("version")
        session.out.say(answer, f"version {number} of {collection.one} {answer.get('name') or key} is in force")

    return publish_item


def _lister(collection: Collection) -> Callable[..., None]:
    def list_items(context: typer.Context, limit: LimitOption = LIST_MAX, where: FilterOption = None) -> None:
        session = session_of(context)
        items = session.client.items(collection.path, parse_pairs(where, "--where"), most=limit)
        empty = f"no {collection.plural} yet"
        session.out.emit({"items": items}, lambda: table(items, collection.columns, empty=empty, times=session.out.ago))

    return list_items


def _shower(collection: Collection) -> Callable[..., None]:
    def show_item(context: typer.Context, key: KeyArgument) -> None:
        session = session_of(context)
        item = session.client.get(path_to(collection.plural, find_id(session, collection.path, key)))
        session.out.emit(item, lambda: detail(item, times=session.out.ago))

    return show_item
