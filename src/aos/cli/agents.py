"""`aos agents`: register, look at, stop and start agents, and the keys they use."""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from aos.cli.client import Object, path_to
from aos.cli.failures import CliError
from aos.cli.output import clean, detail, table
from aos.cli.registry import Collection, KeyArgument
from aos.cli.session import Session, read_credentials, session_of, write_credentials
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
    if agent.get("private_key"):
        session.out.note(
            "private_key is shown once: a program of its own proves with it who it is and gets a token (`aos agents token`);"
            " AOS keeps the public half alone, and an agent that AOS runs needs neither"
        )


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
    label: Annotated[str, typer.Option("--label", help="What a new key is called")] = "aos agents env",
    new: Annotated[bool, typer.Option("--new", help="Make another key in any case; those made before stay")] = False,
) -> None:
    """Print exports that put a framework under the gate.

    eval "$(aos agents env NAME)": OpenAI's and Anthropic's own clients, and what is built on them, then ask their models
    through the gate. The first call makes an API key for the agent and keeps it beside your sign-in, for you alone; later
    calls print the same one as long as it counts. `aos agents keys NAME` lists and revokes keys.
    """
    session = session_of(context)
    made = None if new else _kept_key(session, name, label)
    if made is None:
        made = session.client.post(path_to("agents", name, "api-keys"), {"label": label})
        _keep_key(session, name, label, made)
    key = str(made.get("api_key") or made.get("key") or "")
    url = session.client.url
    variables = {"AOS_URL": url, "AOS_API_KEY": key, "AOS_AGENT": str(made.get("agent") or name)}
    variables |= {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": key}
    variables |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": key}
    lines = "\n".join(f"export {field}={shlex.quote(clean(value))}" for field, value in variables.items())
    session.out.emit(variables, lambda: Text(lines, no_wrap=True, overflow="ignore"))


def _kept_field(session: Session, name: str, label: str) -> str:
    return f"key of {name} ({label}) in {session.config.organization or 'the usual organization'}"


def _kept_key(session: Session, name: str, label: str) -> Object | None:
    """Return the key that an earlier call kept, None where there is none or it no longer counts."""
    kept = read_credentials(session.config.config_home).get(session.config.url, {})
    id, _, key = kept.get(_kept_field(session, name, label), "").partition(" ")
    if not key:
        return None
    stands = {str(each.get("id")): each for each in session.client.items(path_to("agents", name, "api-keys"))}
    found = stands.get(id)
    if (
        found is None
        or found.get("revoked_at")
        or (found.get("expires_at") and session.out.is_past(found["expires_at"]))
    ):
        return None
    session.out.note(f"the key that was made {session.out.ago(found.get('created_at'))}; --new makes another")
    return {"api_key": key, "agent": name}


def _keep_key(session: Session, name: str, label: str, made: Object) -> None:
    """Keep a key that was made, so that the next call prints it again; where nothing can be kept, say so."""
    key, id = made.get("api_key"), made.get("id")
    if not key or not id:
        return
    try:
        kept = read_credentials(session.config.config_home).get(session.config.url, {})
        field = {"organization": kept["organization"]} if "organization" in kept else {}
        write_credentials(
            session.config.config_home,
            session.config.url,
            {**field, _kept_field(session, name, label): f"{id} {key}"},
        )
    except CliError as error:
        session.out.note(f"a new key, which is not kept ({error.detail}): the next call makes another")


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
