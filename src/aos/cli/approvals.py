"""`aos approvals`: what waits for a person, and the person's answer, bound to exactly what was shown."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from aos.cli.client import Object, path_to
from aos.cli.failures import CliError, ExitStatus, usage_error
from aos.cli.output import cell, clean, short
from aos.cli.registry import Collection
from aos.cli.session import Session, find_id, session_of

APPROVALS: Final = Collection(
    "/approvals", "approval", ("id", "status", "agent", "subject", "reason", "task", "created_at", "expires_at")
)

group = typer.Typer(help="What waits for a person.", no_args_is_help=True)

WATCH_SECONDS: Final = 2.0

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Its id, the end of its id, or last")]


@group.command("approve")
def approve(
    context: typer.Context,
    approval: IdArgument,
    comment: Annotated[str, typer.Option("--comment", "-m", help="What you want to be kept with your answer")] = "",
    value: Annotated[str, typer.Option("--value", metavar="JSON", help="What you answer to an agent that asks")] = "",
) -> None:
    """Approve an act.

    Exactly the one shown, once, until it expires.
    """
    session = session_of(context)
    shown = session.client.get(path_to("approvals", find_id(session, APPROVALS.path, approval)))
    answer = answer_approval(session, shown, approve=True, comment=comment, value=value)
    left = _roles_text(answer)
    said = f"your yes is kept; it still waits for {left}" if answer.get("status") == "pending" else "approved"
    session.out.say(answer, f"{said} {short(shown.get('id'))}: {act_text(shown)}")


@group.command("deny")
def deny(
    context: typer.Context,
    approval: IdArgument,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why; the agent is shown it")],
    suggest: Annotated[str, typer.Option("--suggest", metavar="JSON", help="Arguments that you would accept")] = "",
) -> None:
    """Deny an act, and tell the agent why."""
    session = session_of(context)
    shown = session.client.get(path_to("approvals", find_id(session, APPROVALS.path, approval)))
    answer = answer_approval(session, shown, approve=False, comment=comment, suggest=suggest)
    session.out.say(answer, f"denied {short(shown.get('id'))}: {act_text(shown)}")


@group.command("watch")
def watch(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Stop after those that wait now")] = False,
) -> None:
    """Show approvals as they come.

    Asks about each at a terminal; Ctrl-C ends it.
    """
    session = session_of(context)
    seen: set[str] = set()
    while True:
        for item in reversed(session.client.items(APPROVALS.path, {"status": "pending"}, most=200)):
            if item["id"] not in seen:
                seen.add(str(item["id"]))
                _present(session, str(item["id"]))
        if once:
            return
        time.sleep(WATCH_SECONDS)


def _present(session: Session, id: str) -> None:
    if session.out.asks:
        ask_approval(session, id)
        return
    shown = session.client.get(path_to("approvals", id))
    if session.out.json:
        typer.echo(json.dumps(shown, ensure_ascii=False))
    else:
        session.out.out.print(draw_approval(session, shown))


def answer_approval(
    session: Session, shown: Object, *, approve: bool, comment: str = "", suggest: str = "", value: str = ""
) -> Object:
    """Send a person's answer, with the digest of what they saw."""
    body: dict[str, Any] = {"comment": comment} if comment else {}
    if approve and shown.get("digest"):
        body["digest"] = shown["digest"]
    if suggest:
        try:
            body["suggested_args"] = json.loads(suggest)
        except ValueError as error:
            raise usage_error(f"the arguments after --suggest are not JSON: {error}") from error
    if value:
        try:
            body["value"] = json.loads(value)
        except ValueError as error:
            raise usage_error(f"what stands after --value is not JSON: {error}") from error
    return session.client.post(path_to("approvals", str(shown["id"]), "approve" if approve else "deny"), body)


def ask_approval(session: Session, id: str) -> bool:
    """Show an approval at the terminal and take y, n or later; returns whether it was answered."""
    shown = session.client.get(path_to("approvals", id))
    if shown.get("status") != "pending":
        return True
    session.out.err.print(draw_approval(session, shown))
    choice = session.out.ask("Approve? y = yes, n = no, anything else = later:").lower()
    try:
        if choice in ("y", "yes"):
            answered = answer_approval(session, shown, approve=True)
            if answered.get("status") == "pending":
                session.out.note(f"your yes is kept; it still waits for {_roles_text(answered)}")
        elif choice in ("n", "no"):
            answer_approval(session, shown, approve=False, comment=_reason(session))
        else:
            session.out.note(f"left open: {session.hint(f'approvals approve {short(id)}')}")
            return False
    except CliError as error:
        if error.status is not ExitStatus.CONFLICT:
            raise
        session.out.note(f"answered elsewhere: {error.detail}")
    return True


def _roles_text(shown: Object) -> str:
    return " and ".join(clean(role) for role in shown.get("roles_left") or [])


def _reason(session: Session) -> str:
    while True:
        reason = session.out.ask("Why? The agent is shown it:")
        if reason:
            return reason


def act_text(shown: Object) -> str:
    """Say what an approval is about: the act in a sentence, and who asks for it."""
    act, agent = shown.get("act") or shown.get("name") or "", shown.get("agent")
    return f"{act} by {agent}" if agent else str(act)


def draw_approval(session: Session, shown: Object) -> RenderableType:
    """Draw an approval with everything that its answer is bound to."""
    lines: list[RenderableType] = [
        Text.assemble(("? ", "yellow"), (clean(act_text(shown)), "bold"), ("  " + short(shown.get("id")), "dim"))
    ]
    if shown.get("reason"):
        lines.append(Text(f"  {clean(shown['reason'])}", style="yellow"))
    arguments, origins = shown.get("arguments"), shown.get("origins") or {}
    for name, value in arguments.items() if isinstance(arguments, dict) else ():
        line = Text.assemble((f"  {clean(name)}: ", "dim"), cell(value))
        if origins.get(f"origin.{name}"):
            line.append(f"  ({clean(origins[f'origin.{name}'])})", style="dim")
        lines.append(line)
    lines.extend(
        Text(f"  rule {clean(rule.get('id'))} v{clean(rule.get('version'))}", style="dim")
        for rule in shown.get("rules") or []
        if isinstance(rule, dict)
    )
    if len(shown.get("roles") or []) > 1 and shown.get("status") == "pending":
        said = [f"{clean(each.get('answered_by') or 'a person')} said yes" for each in shown.get("answers") or []]
        lines.append(Text("  " + "; ".join([f"needs a yes from {_roles_text(shown)}", *said]), style="yellow"))
    if shown.get("expires_at"):
        lines.append(Text(f"  expires {session.out.ago(shown['expires_at'])}", style="dim"))
    return Group(*lines)
