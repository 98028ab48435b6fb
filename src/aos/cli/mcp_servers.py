"""`aos mcp-servers`: the MCP servers whose tools agents may call; what they offer, and what of it a person accepts."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.text import Text

from aos.cli.client import Object, path_to
from aos.cli.failures import CliError, ExitStatus
from aos.cli.mcp_manifest import tools_yaml
from aos.cli.output import clean, table
from aos.cli.registry import LIST_MAX, Collection, KeyArgument, LimitOption
from aos.cli.session import Session, find_id, session_of

MCP_SERVERS: Final = Collection(
    "/mcp-servers", "mcp-server", ("name", "command", "url", "version", "draft_version", "held_tools"), drafted=True
)
_VERSION_COLUMNS: Final = ("version", "command", "url", "env", "headers", "created_at")

group = typer.Typer(help="The MCP servers whose tools agents may call.", no_args_is_help=True)


@group.command("discover")
def discover(context: typer.Context, name: KeyArgument) -> None:
    """Ask a server what it offers, and print the tools as a manifest writes them: nothing is registered.

    The effects are guesses from the server's own claims: read them before you apply them.
    """
    session = session_of(context)
    items = _offers(session, name)
    for each in items:
        if each["state"] in ("held", "gone"):
            session.out.note(each["why"])
    session.out.emit({"items": items}, lambda: Text(f"aos: 1\n{tools_yaml(items)}", no_wrap=True))


@group.command("accept")
def accept(
    context: typer.Context,
    name: KeyArgument,
    tool: Annotated[
        list[str] | None, typer.Option("--tool", help="Only this tool, as AOS names it; repeatable")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Register what no tool stands for yet, as `discover` shows it")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> None:
    """Accept what a server offers now of tools whose calls are held, each as a new version.

    It counts at once from who has the permission policy.publish; from anyone else it waits.
    """
    session = session_of(context)
    states = ("held", "new") if new else ("held",)
    offers = _offers(session, name)
    found = [each for each in offers if each["state"] in states and (not tool or each["name"] in tool)]
    if tool and (missing := sorted(set(tool) - {each["name"] for each in found})):
        raise CliError("Not found", f"nothing of `{missing[0]}` is to be accepted", ExitStatus.NOT_FOUND)
    if not found:
        fresh = sum(each["state"] == "new" for each in offers)
        more = (
            f"; no tool stands yet for {fresh} that it offers: `aos mcp-servers accept {name} --new`" if fresh else ""
        )
        session.out.say({"items": []}, f"nothing of {name} is to be accepted{more}")
        return
    session.out.note(tools_yaml(found))
    session.out.require_yes(f"Accept {len(found)} of what {name} offers, as shown?", yes=yes)
    answers = [_accept(session, each) for each in found]
    session.out.emit(
        {"items": answers},
        lambda: table(answers, ("name", "version", "draft_version"), empty="", times=session.out.ago),
    )
    for each in answers:
        if each.get("draft_version") is not None:
            told = f"`aos tools publish {each['name']} --version {each['draft_version']}`"
            session.out.note(f"{clean(each['name'])} waits for who may publish policies: {told}")


def _accept(session: Session, offer: Object) -> Object:
    entry: dict[str, Any] = offer["entry"]
    if offer["state"] == "new":
        return session.client.post("/tools", {"name": offer["name"], **entry})
    accepted: dict[str, Any] = {each: entry[each] for each in ("mcp", "args", "description") if each in entry}
    return session.client.patch(path_to("tools", find_id(session, "/tools", offer["name"])), accepted)


def _offers(session: Session, name: str) -> list[Object]:
    answer = session.client.post(path_to("mcp-servers", name, "discover"))
    items: list[Object] = answer["items"]
    return items


@group.command("restart")
def restart(context: typer.Context, key: KeyArgument) -> None:
    """Have every process of AOS begin its session with a server anew, and its program with it.

    For a server that hangs, that was updated, or that offers its tools in another form now: it is asked again at its next call.
    Calls under way end in the session that they began in. What its program kept goes with it, unless its `folder` is named.
    """
    session = session_of(context)
    answer = session.client.post(path_to(MCP_SERVERS.plural, find_id(session, MCP_SERVERS.path, key), "restart"))
    session.out.say(answer, f"MCP server {answer.get('name') or key} is begun anew at its next call")


@group.command("versions")
def versions(context: typer.Context, key: KeyArgument, limit: LimitOption = LIST_MAX) -> None:
    """List an MCP server's versions, newest first."""
    session = session_of(context)
    path = path_to(MCP_SERVERS.plural, find_id(session, MCP_SERVERS.path, key), "versions")
    items = session.client.items(path, most=limit)
    shown = table(items, _VERSION_COLUMNS, empty="no versions yet", times=session.out.ago)
    session.out.emit({"items": items}, lambda: shown)


@group.command("retire")
def retire(
    context: typer.Context,
    key: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> None:
    """Retire an MCP server: no agent can call its tools any more."""
    session = session_of(context)
    session.out.require_yes(f"Retire MCP server {key}?", yes=yes)
    answer = session.client.delete(path_to(MCP_SERVERS.plural, find_id(session, MCP_SERVERS.path, key)))
    session.out.say(answer or {"name": key}, f"MCP server {key} is retired")
