"""`aos runs VERB`: what a person tells a run. Each says what it reached, and what still runs where that takes a while."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from aos.cli.client import Object, path_to
from aos.cli.failures import CliError, ExitStatus
from aos.cli.output import clean, short
from aos.cli.runs import RUNS, IdArgument, finish, group, read_input
from aos.cli.session import Session, find_id, session_of

NAMED_MAX = 5
"""Tasks at work that one line names."""

ApprovalOption = Annotated[
    str, typer.Option("--approval", metavar="ID", help="The approval that this waited for, once it is given")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Follow the run that begins and exit as it ends")]


@group.command("pause")
def pause(context: typer.Context, run_id: IdArgument) -> None:
    """Hold a run and what is nested in it until resumed.

    Nothing more of it begins, and what is at work ends at its next call: for up to ten seconds this is waited for.
    """
    _steer(context, run_id, "pause")


@group.command("resume")
def resume(context: typer.Context, run_id: IdArgument) -> None:
    """Go on with a paused run and what is nested in it."""
    _steer(context, run_id, "resume")


@group.command("cancel")
def cancel(context: typer.Context, run_id: IdArgument) -> None:
    """End a run with all its open tasks and what is nested in it.

    What is at work is cut off and can write nothing more; `aos runs rollback` also undoes what was done.
    """
    _steer(context, run_id, "cancel")


@group.command("priority", context_settings={"ignore_unknown_options": True})
def priority(
    context: typer.Context,
    run_id: IdArgument,
    priority: Annotated[int, typer.Argument(metavar="N", help="From -100 to 100; larger goes first")],
) -> None:
    """Have a run's open tasks go before or after those of others."""
    session = session_of(context)
    id = find_id(session, RUNS.path, run_id)
    answer = session.client.patch(path_to("runs", id), {"priority": priority})
    tasks = _reached(answer).get("tasks", 0)
    session.out.say(answer, f"run {short(id)} has priority {answer.get('priority')}: {_count(tasks, 'open task')}")


@group.command("rollback")
def rollback(
    context: typer.Context, run_id: IdArgument, wait: WaitOption = False, approval: ApprovalOption = ""
) -> None:
    """Undo what a run did, the last act first; an open run is cancelled before.

    Each act is undone by the compensating tool of its tool, through the same policies. What cannot be undone is told.
    """
    session = session_of(context)
    id = find_id(session, RUNS.path, run_id)
    answer = _begin(session, path_to("runs", id, "rollback"), None, approval)
    undoing = str(answer["id"])
    if not wait:
        session.out.say(
            answer, f"run {short(undoing)} undoes run {short(id)}: follow it with `aos runs wait {undoing}`"
        )
        return
    session.out.note(f"run {undoing} undoes run {id}")
    finish(session, undoing, then=lambda: _tell_undone(session, undoing))


@group.command("fork")
def fork(
    context: typer.Context,
    run_id: IdArgument,
    task: Annotated[str, typer.Option("--from", metavar="TASK", help="The task to go on from: its name, label or id")],
    input: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON|@FILE", help="Another input; its own where left out")
    ] = "",
    wait: WaitOption = False,
    approval: ApprovalOption = "",
) -> None:
    """Go on from a task of a run in a new run: what came before is taken from the record."""
    session = session_of(context)
    id = find_id(session, RUNS.path, run_id)
    body: dict[str, Any] = {"task": task} | ({"input": read_input(input)} if input else {})
    answer = _begin(session, path_to("runs", id, "fork"), body, approval)
    _told(session, answer, f"run {short(answer['id'])} goes on from `{task}` of run {short(id)}", wait=wait)


@group.command("retry")
def retry(
    context: typer.Context,
    run_id: IdArgument,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Its name, label or id")],
    wait: WaitOption = False,
    approval: ApprovalOption = "",
) -> None:
    """Try one task again: at once where it was given up on or backs off, in a fork where its run has ended."""
    session = session_of(context)
    id = find_id(session, RUNS.path, run_id)
    answer = _begin(session, path_to("runs", id, "retry"), {"task": task}, approval)
    forked = str(answer["id"]) != id
    where = f"in run {short(answer['id'])}, a fork of run {short(id)}" if forked else f"in run {short(id)}"
    _told(session, answer, f"`{task}` is tried again {where}", wait=wait)


def _told(session: Session, answer: Object, text: str, *, wait: bool) -> None:
    """Say what was begun, or follow it to its end."""
    if not wait:
        session.out.say(answer, text)
        return
    session.out.note(text)
    finish(session, str(answer["id"]))


def _begin(session: Session, path: str, body: dict[str, Any] | None, approval: str) -> Object:
    """Send an order that starts a run; raise CliError where a person must agree first."""
    answer = session.client.post(path, body, params={"approval_id": approval or None})
    if "approval_id" in answer and "state" not in answer:
        id = answer["approval_id"]
        detail = f"`aos approvals approve {id}`, then give this order once more with `--approval {id}`"
        raise CliError("Waits for approval", detail, ExitStatus.WAITS)
    return answer


def _steer(context: typer.Context, run_id: str, verb: str) -> None:
    session = session_of(context)
    id = find_id(session, RUNS.path, run_id)
    if verb == "pause":
        session.out.note("waiting until nothing of it runs")
    answer = session.client.post(path_to("runs", id, verb))
    session.out.say(answer, f"run {short(id)} is {answer.get('state') or verb}{_what(answer, verb)}")


def _what(answer: Object, verb: str) -> str:
    """Return what an order reached, as the rest of a line."""
    reached = _reached(answer)
    nested = max(0, len(reached.get("runs") or []) - 1)
    parts = [_count(reached.get("tasks", 0), "open task")]
    parts += [_count(nested, "nested run")] if nested else []
    parts += [f"{_count(reached['approvals'], 'approval')} withdrawn"] if reached.get("approvals") else []
    at_work = [str(each.get("task")) for each in reached.get("at_work") or []]
    if at_work:
        named = ", ".join(at_work[:NAMED_MAX]) + (", ..." if len(at_work) > NAMED_MAX else "")
        parts.append(f"cut off: {named}" if verb == "cancel" else f"still at work until their next call: {named}")
    told = "; ".join(parts)
    return f": {told}" if reached else ""


def _tell_undone(session: Session, run_id: str) -> None:
    """Print what became of each act, from the output of the task that undid them."""
    tasks = session.client.items(path_to("runs", run_id, "tasks"), most=1)
    report = session.client.get(path_to("runs", run_id, "tasks", str(tasks[0]["id"]))).get("output") if tasks else None
    if not isinstance(report, dict) or session.out.json:
        return
    for word, told in report.items():
        if told.get("count"):
            session.out.out.print(Text(f"{word}: {told['count']}"))
        for act in told.get("acts") or [] if word != "undone" else []:
            session.out.out.print(
                Text(clean(f"  {act.get('tool')} ({short(act.get('action_id'))}): {act.get('detail')}"))
            )


def _reached(answer: Object) -> dict[str, Any]:
    found = answer.get("reached")
    return found if isinstance(found, dict) else {}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
