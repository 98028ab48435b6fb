"""The commands that every collection has: `list` and `show`, under its plural and its singular name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from aos.cli.client import path_to
from aos.cli.failures import CliError, ExitStatus
from aos.cli.output import clean, detail, table
from aos.cli.session import Session, find_id, session_of

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
        ("name", "effect", "repeat", "result_trust", "transport", "version", "draft_version", "held", "price"),
        drafted=True,
    ),
    Collection(
        "/policies",
        "policy",
        ("id", "name", "version", "state", "outcome", "agents", "actions", "when"),
        drafted=True,
    ),
    Collection("/budgets", "budget", ("id", "name", "scope", "limit", "per", "settled", "held", "left")),
    Collection("/actions", "action", ("id", "kind", "name", "state", "agent", "cost", "run_id", "intended_at")),
    Collection("/workflows", "workflow", ("name", "version", "draft_version", "tasks", "created_at"), drafted=True),
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
        article = "an" if collection.one[0] in "aeiou" else "a"
        text = f"Put the version of {article} {collection.one} that waits in force: without --version, show it.\n\nIt needs the permission policy.publish."
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
        version: Annotated[
            int | None,
            typer.Option("--version", min=1, help="The version to put in force; without it, the draft is shown"),
        ] = None,
    ) -> None:
        session = session_of(context)
        path = path_to(collection.plural, find_id(session, collection.path, key))
        if version is None:
            raise _show_draft(session, collection, key, path)
        answer = session.client.post(f"{path}/publish", {"version": version})
        number = answer.get("active_version") or answer.get("version")
        session.out.say(answer, f"version {number} of {collection.one} {answer.get('name') or key} is in force")

    return publish_item


def _show_draft(session: Session, collection: Collection, key: str, path: str) -> CliError:
    """Show the version that waits and return what ends the command: nothing is put in force that was not looked at."""
    item = session.client.get(path)
    name = clean(item.get("name") or key)
    number = item.get("draft_version")
    if number is None and item.get("state") == "draft":
        number = item.get("version")
    if number is None:
        return CliError(
            "Conflict", f"no version of {collection.one} `{name}` waits to be in force", ExitStatus.CONFLICT
        )
    (draft,) = session.client.items(f"{path}/versions", most=1)  # newest first, and a draft is the newest
    session.out.emit(draft, lambda: detail(draft, times=session.out.ago))
    told = f"version {number} waits; to put it in force: aos {collection.plural} publish {name} --version {number}"
    return CliError("Not published", told, ExitStatus.USAGE)


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
