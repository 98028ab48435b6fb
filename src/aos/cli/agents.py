"""`aos agents`: register, look at, stop and start agents, and the keys they use."""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from aos.cli.client import Object, path_to
from aos.cli.output import clean, detail, table
from aos.cli.registry import Collection, KeyArgument
from aos.cli.session import Session, session_of
from aos.kernel.agents import AgentType

AGENTS: Final = Collection(
    "/agents",
    "agent",
    ("name", "type", "status", "presence", "department", "owner", "version", "draft_version", "id", "updated_at"),
    drafted=True,
)

group = typer.Typer(help="The agents.", no_args_is_help=True)


@group.command("register")
def register(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits, - and _")],
    type: Annotated[AgentType, typer.Option("--type", help="What kind of agent")] = AgentType.FUNCTIONAL,
    owner: Annotated[str, typer.Option("--owner", help="Who answers for it; you, unless you say")] = "",
    department: Annotated[str, typer.Option("--department", help="Who pays for it")] = "",
    goal: Annotated[str, typer.Option("--goal", help="What it is for")] = "",
    tool: Annotated[list[str] | None, typer.Option("--tool", help="A tool or glob it may call; repeatable")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model or `purpose:NAME` it may ask; repeatable")
    ] = None,
    delegate: Annotated[
        list[str] | None, typer.Option("--delegate", help="An agent it may hand work to; repeatable")
    ] = None,
    python: Annotated[str, typer.Option("--python", metavar="MODULE:FUNCTION", help="Its code, run by AOS")] = "",
) -> None:
    """Register an agent.

    Its private key, where AOS makes one, is shown once.
    """
    body: dict[str, Any] = {"name": name, "type": type.value}
    given = {
        "owner": owner,
        "department": department,
        "goal": goal,
        "tools": tool,
        "models": model,
        "delegates": delegate,
    }
    body |= {field: value for field, value in given.items() if value}
    if python:
        body["runtime"] = {"python": python}
    session = session_of(context)
    agent = session.client.post(AGENTS.path, body)
    session.out.emit(agent, lambda: detail(agent, times=session.out.ago))


def _move(context: typer.Context, name: str, verb: str, done: str) -> None:
    session = session_of(context)
    answer = session.client.post(path_to("agents", name, verb))
    session.out.say(answer, f"agent {name} is {answer.get('status') or done}")


@group.command("pause")
def pause(context: typer.Context, name: KeyArgument) -> None:
    """Let an agent do nothing until it is resumed.

    It counts at once, in every process.
    """
    _move(context, name, "pause", "paused")


@group.command("resume")
def resume(context: typer.Context, name: KeyArgument) -> None:
    """Let a paused agent act again."""
    _move(context, name, "resume", "running")


@group.command("kill")
def kill(context: typer.Context, name: KeyArgument) -> None:
    """Stop an agent now.

    It is quarantined, and what it works on is taken from it.
    """
    _move(context, name, "kill", "quarantined")


@group.command("retire")
def retire(
    context: typer.Context,
    name: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> None:
    """Retire an agent for good.

    Its history stays, and its name is never free again.
    """
    session = session_of(context)
    session.out.require_yes(f"Retire agent {name} for good?", yes=yes)
    answer = session.client.delete(path_to("agents", name))
    session.out.say(answer or {"name": name, "status": "retired"}, f"agent {name} is retired")


@group.command("env")
def env(
    context: typer.Context,
    name: KeyArgument,
    label: Annotated[str, typer.Option("--label", help="What the new key is called")] = "aos agents env",
) -> None:
    """Print exports that put a framework under the gate.

    Makes an API key for it: eval "$(aos agents env NAME)". OpenAI's and Anthropic's own clients, and what is built on them,
    then ask their models through the gate.
    """
    session = session_of(context)
    made = session.client.post(path_to("agents", name, "api-keys"), {"label": label})
    key = str(made.get("api_key") or made.get("key") or "")
    url = session.client.url
    variables = {"AOS_URL": url, "AOS_API_KEY": key, "AOS_AGENT": str(made.get("agent") or name)}
    variables |= {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": key}
    variables |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": key}
    lines = "\n".join(f"export {field}={shlex.quote(clean(value))}" for field, value in variables.items())
    session.out.emit(variables, lambda: Text(lines, no_wrap=True, overflow="ignore"))


@group.command("keys")
def keys(
    context: typer.Context,
    name: KeyArgument,
    create: Annotated[bool, typer.Option("--create", help="Make another; it is shown once")] = False,
    revoke: Annotated[
        str, typer.Option("--revoke", metavar="KEY", help="Revoke this one, by id or the end of it")
    ] = "",
    label: Annotated[str, typer.Option("--label", help="What a new key is called")] = "",
) -> None:
    """List an agent's API keys, or change them."""
    session = session_of(context)
    path = path_to("agents", name, "api-keys")
    if create:
        made = session.client.post(path, {"label": label} if label else {})
        session.out.emit(made, lambda: detail(made, times=session.out.ago))
    elif revoke:
        found = _key_id(session, path, revoke)
        answer = session.client.delete(f"{path}{path_to(found)}")
        session.out.say(answer or {"id": found, "revoked": True}, f"key {revoke} is revoked")
    else:
        items = session.client.items(path)
        columns = ("id", "prefix", "label", "created_at", "expires_at", "revoked_at")
        session.out.emit(
            {"items": items}, lambda: table(items, columns, empty="no API keys yet", times=session.out.ago)
        )


def _key_id(session: Session, path: str, key: str) -> str:
    found: list[Object] = [item for item in session.client.items(path) if str(item.get("id", "")).endswith(key)]
    if len(found) != 1:
        raise typer.BadParameter(f"`{key}` is the end of {len(found)} key ids", param_hint="--revoke")
    return str(found[0]["id"])
