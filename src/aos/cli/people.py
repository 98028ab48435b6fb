"""Who may sign in: `aos people` and `aos tokens`, and one's own `aos login` and `aos whoami`."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from aos.cli.client import Client, Object, path_to
from aos.cli.failures import CliError, ExitStatus, usage_error
from aos.cli.output import clean, detail
from aos.cli.registry import Collection
from aos.cli.session import Session, find_id, read_credentials, session_of, token_field, write_credentials
from aos.kernel.people import Role

PEOPLE: Final = Collection("/people", "person", ("email", "name", "roles", "created_at"))
TOKENS: Final = Collection("/tokens", "token", ("id", "label", "created_at", "expires_at", "revoked_at"), shown=False)

people = typer.Typer(help="The people and their roles.", no_args_is_help=True)
tokens = typer.Typer(help="Your personal tokens.", no_args_is_help=True)

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="Who")]
RoleArgument = Annotated[Role, typer.Argument(help="A role")]


@people.command("invite")
def invite(
    context: typer.Context,
    email: EmailArgument,
    role: Annotated[list[Role] | None, typer.Option("--role", "-r", help="A role; repeatable")] = None,
    name: Annotated[str, typer.Option("--name", help="How they are called")] = "",
) -> None:
    """Invite a person.

    Prints the link they sign in with, once.
    """
    session = session_of(context)
    body: dict[str, Any] = {"email": email, "roles": [each.value for each in role or []]}
    answer = session.client.post(PEOPLE.path, {**body, "name": name} if name else body)
    session.out.emit(answer, lambda: detail(answer, times=session.out.ago))
    if answer.get("link"):
        session.out.note(f"for them, once: `aos login {answer['link']} --url {session.client.url}`")


@people.command("assign")
def assign(context: typer.Context, email: EmailArgument, role: RoleArgument) -> None:
    """Give a person a role."""
    session = session_of(context)
    answer = session.client.post(path_to("people", email, "roles"), {"role": role.value})
    session.out.say(answer, f"{email} holds the role {role.value}")


@people.command("unassign")
def unassign(context: typer.Context, email: EmailArgument, role: RoleArgument) -> None:
    """Take a role from a person."""
    session = session_of(context)
    answer = session.client.delete(path_to("people", email, "roles", role.value))
    session.out.say(answer, f"{email} no longer holds the role {role.value}")


@tokens.command("create")
def create_token(
    context: typer.Context,
    label: Annotated[str, typer.Argument(help="What it is for")] = "",
    days: Annotated[int, typer.Option("--days", min=1, help="For how long it stands")] = 90,
) -> None:
    """Make a personal token; it is shown once."""
    session = session_of(context)
    made = session.client.post(TOKENS.path, {"label": label, "expires_days": days})
    session.out.emit(made, lambda: Text(str(made.get("token", "")), no_wrap=True, overflow="ignore"))
    session.out.note("shown once: keep it where you keep passwords")


@tokens.command("revoke")
def revoke_token(
    context: typer.Context, token: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the end of it")]
) -> None:
    """Revoke a token, at once and everywhere."""
    session = session_of(context)
    found = find_id(session, TOKENS.path, token)
    answer = session.client.delete(path_to("tokens", found))
    session.out.say(answer or {"id": found, "revoked": True}, f"token {token} is revoked")


def login(
    context: typer.Context,
    link: Annotated[
        str, typer.Argument(metavar="[LINK]", help="The one-time link that `aos up` or an invitation gave")
    ] = "",
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read a personal token from standard input")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Sign in to the console in your browser instead")] = False,
) -> None:
    """Sign in to a server.

    Stores a token for it, readable by you alone.
    """
    session = session_of(context)
    config = session.config
    if open_page:
        _open(session, link or _own_page(session))
        return
    if bool(link) == token_stdin:
        raise usage_error("give either a one-time link or --token-stdin")
    if token_stdin:
        token = sys.stdin.readline(10_000).strip()
        if not token:
            raise usage_error("standard input holds no token")
    else:
        token = _redeem(config.url, link)
    client = Client(config.url, token=token, organization=config.organization)
    try:
        person = client.get("/whoami")
    finally:
        client.close()
    before = read_credentials(config.config_home).get(config.url, {}).get("email", "")
    write_credentials(config.config_home, config.url, _kept(token, config.organization, person))
    if before not in ("", _email(person)):
        session.out.note(f"{before} was signed in here until now; `XDG_CONFIG_HOME` keeps people apart")
    session.out.say(person, f"signed in to {config.url} as {_email(person)}")


def _own_page(session: Session) -> str:
    """Return an address that signs in to the console whoever is signed in here; the console's door where nobody is."""
    console = f"{session.config.url.rstrip('/')}/console/"
    if not session.signed_in:
        return console
    made = session.client.post(path_to("people", str(session.client.get("/whoami")["id"]), "link"))
    return f"{console}sign-in?link={made['link']}"


def _open(session: Session, page: str) -> None:
    """Show a page in the person's browser; where there is none, its address is the answer, and no error."""
    opened = session.config.open_page(page)
    said = "opened in your browser" if opened else "there is no browser here: open this address in one that reaches it"
    session.out.note(said)
    session.out.emit({"opened": opened, "url": page}, lambda: Text(clean(page), no_wrap=True, overflow="ignore"))


def _redeem(url: str, link: str) -> str:
    client = Client(url)
    try:
        token = client.post("/people/link", {"link": link}).get("token")
    finally:
        client.close()
    if not isinstance(token, str) or not token:
        raise CliError("Unexpected answer", "the link was taken but no token came back", ExitStatus.FAILED)
    return token


def _kept(token: str, organization: str, person: Object) -> dict[str, str]:
    """Return what is stored: the newest token counts, and each organization keeps the one that opened it last."""
    opened: list[Object] = person.get("organizations", [])
    return (
        {"token": token, "email": _email(person)}
        | {token_field(str(each["name"])): token for each in opened}
        | ({"organization": organization} if organization else {})
    )


def whoami(context: typer.Context) -> None:
    """Show who you are, where, with which roles."""
    session = session_of(context)
    found = session.client.get("/whoami")
    shown = {
        "email": _email(found),
        "organization": _name(found.get("organization")),
        "roles": found.get("roles"),
        "organizations": [_name(each) for each in found.get("organizations") or []],
        "server": session.client.url,
    }
    session.out.emit(found, lambda: detail(shown, times=session.out.ago))


def _email(found: Object) -> str:
    person = found.get("person")
    return str(person.get("email", "")) if isinstance(person, dict) else str(found.get("email", ""))


def _name(found: object) -> str:
    return str(found.get("name", "")) if isinstance(found, dict) else str(found or "")
