"""`aos secrets`: what tools and providers need to sign in; values come from standard input and are never shown."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Final

import typer

from aos.cli.client import path_to
from aos.cli.failures import usage_error
from aos.cli.registry import Collection
from aos.cli.session import Session, session_of

SECRETS: Final = Collection("/secrets", "secret", ("name", "version", "created_at", "updated_at"), shown=False)
VALUE_BYTES_MAX: Final = 65_536

group = typer.Typer(help="The secrets, without their values.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name")]


@group.command("set")
def set_secret(context: typer.Context, name: NameArgument) -> None:
    """Store a secret; its value is read from standard input."""
    session = session_of(context)
    answer = session.client.post(SECRETS.path, {"name": name, "value": _value(session)})
    session.out.say(answer, f"secret {name} is set")


@group.command("rotate")
def rotate(context: typer.Context, name: NameArgument) -> None:
    """Give a secret another value, from standard input."""
    session = session_of(context)
    answer = session.client.put(path_to("secrets", name), {"value": _value(session)})
    session.out.say(answer, f"secret {name} has another value")


@group.command("remove")
def remove(
    context: typer.Context,
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> None:
    """Erase a secret."""
    session = session_of(context)
    session.out.require_yes(f"Erase secret {name} for good?", yes=yes)
    answer = session.client.delete(path_to("secrets", name))
    session.out.say(answer or {"name": name, "removed": True}, f"secret {name} is erased")


def _value(session: Session) -> str:
    """Read a value: typed unseen at a terminal, else all of standard input but a last line's end."""
    if session.out.asks:
        return getpass.getpass("Value: ", stream=sys.stderr)
    data = sys.stdin.buffer.read(VALUE_BYTES_MAX + 1)
    if not data or len(data) > VALUE_BYTES_MAX:
        raise usage_error(f"standard input must hold the value, 1 to {VALUE_BYTES_MAX:,} bytes")
    try:
        return data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise usage_error("the value must be text in UTF-8") from error
