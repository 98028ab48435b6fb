"""`aos run` and `aos runs`: start a workflow or an agent, follow it, stop it, and print what came of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from aos.cli.approvals import ask_approval
from aos.cli.client import Object, path_to
from aos.cli.failures import CliError, ExitStatus, usage_error
from aos.cli.follow import follow_run
from aos.cli.output import clean, short
from aos.cli.registry import Collection, parse_pairs
from aos.cli.run_tree import ENDED, RunView, draw_run
from aos.cli.session import Session, find_id, session_of
from aos.kernel.json import Json

RUNS: Final = Collection(
    "/runs",
    "run",
    ("id", "name", "state", "tasks_open", "tasks_total", "actions", "refused", "waiting", "cost", "created_at"),
)
INPUT_BYTES_MAX: Final = 1_000_000
RESULT_LINES_MAX: Final = 40
RESULT_CHARACTERS_MAX: Final = 4_000
"""How much of a result `runs show` prints; all of it comes with `--json`, and where a run is followed to its end."""

group = typer.Typer(help="The runs.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="RUN", help="Its id, the end of its id, or last")]


def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="WORKFLOW|AGENT", help="What to run; a workflow goes before an agent")],
    input: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON|@FILE", help="What it is given; @- reads standard input")
    ] = "",
    goal: Annotated[str, typer.Option("--goal", help="What an agent is to reach")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Print the run's id and leave it alone")] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Exit with 5 instead of waiting through an approval")
    ] = False,
    priority: Annotated[
        int | None, typer.Option("--priority", metavar="N", help="From -100 to 100; larger goes first")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", "-l", metavar="NAME=VALUE", help="Repeatable")] = None,
    thread: Annotated[
        str, typer.Option("--thread", metavar="NAME", help="What it goes on with: a graph's memory is kept under it")
    ] = "",
) -> None:
    """Run a workflow or an agent.

    Its tasks are shown as they go, on standard error; what it returns goes to standard output.
    """
    session = session_of(context)
    body: dict[str, Any] = {"input": read_input(input)} if input else {}
    body |= {"goal": goal} if goal else {}
    body |= {"priority": priority} if priority is not None else {}
    body |= {"thread": thread} if thread else {}
    body |= {"labels": parse_pairs(label, "--label")} if label else {}
    started = _start(session, name, body)
    id = str(started["id"])
    if detach:
        session.out.say(started, id)
        return
    session.out.note(f"run {id}")
    _say_who_is_missing(session, started)
    finish(session, id, stop_at_approval=no_wait)


def _say_who_is_missing(session: Session, run: Object) -> None:
    """Say that a run of an agent outside waits for it, where that is not there."""
    name = run.get("agent")
    if not name or session.out.json:
        return
    try:
        agent = session.client.get(path_to("agents", str(name)))
    except CliError:
        return  # who may start a run may not see every agent
    if agent.get("presence") in ("never", "away"):
        last = agent.get("last_seen_at")
        seen = f"was last here {session.out.ago(last)}" if last else "never connected"
        session.out.note(
            f"{clean(name)} runs elsewhere and {seen}: the run waits until it takes its task (Ctrl-C leaves it waiting)"
        )


def _start(session: Session, name: str, body: dict[str, Any]) -> Object:
    """Start a workflow of this name, or else an agent; a goal is only for an agent."""
    if "goal" not in body:
        try:
            return session.client.post("/runs", {"workflow": name, **body})
        except CliError as error:
            if error.status is not ExitStatus.NOT_FOUND:
                raise
    try:
        return session.client.post("/runs", {"agent": name, **body})
    except CliError as error:
        if error.status is ExitStatus.NOT_FOUND:
            detail = f"there is no workflow or agent `{name}`"
            raise CliError("Not found", detail, ExitStatus.NOT_FOUND, hints=error.hints) from error
        raise


def read_input(written: str) -> Json:
    """Return the JSON of `--input`: itself, of a file after `@`, or of standard input for `@-`."""
    if written.startswith("@"):
        try:
            data = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1) if written == "@-" else _read(Path(written[1:]))
            text = data.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise usage_error(f"`{written[1:]}` cannot be read: {error}") from error
        if len(data) > INPUT_BYTES_MAX:
            raise usage_error(f"`{written[1:]}` is over the limit of {INPUT_BYTES_MAX:,} bytes")
    else:
        text = written
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise usage_error(f"the input is not JSON: {error}") from error
    return found


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(INPUT_BYTES_MAX + 1)


def finish(
    session: Session, id: str, *, stop_at_approval: bool = False, then: Callable[[], None] | None = None
) -> None:
    """Follow a run, print what it returned, and exit as it ended; `then` says more of it before."""
    asked: set[str] = set()

    def ask(approval: str) -> bool:
        if approval in asked:
            return False
        asked.add(approval)
        return ask_approval(session, approval)

    view = follow_run(
        session, id, ask=ask if session.out.asks and not stop_at_approval else None, until_waiting=stop_at_approval
    )
    if session.out.json or view.result is not None:
        session.out.emit(view.run, lambda: _result(view))
    if undone := undoing_line(view.run):
        session.out.note(undone)
    if then is not None:
        then()
    end_as(session, view)


def end_as(session: Session, view: RunView) -> None:
    """Exit with the status that a run's state calls for; raises CliError for all but success."""
    id = short(view.run.get("id"))
    if view.state == "succeeded":
        return
    if not view.ended:
        detail = f"run {id} waits for an approval: look with {session.hint('approvals list')}"
        raise CliError("Waits for approval", detail, ExitStatus.WAITS)
    error = view.run.get("error") or view.run.get("error_code") or f"see {session.hint(f'trace {id}')}"
    said = error.get("detail") or error.get("message") if isinstance(error, dict) else error
    raise CliError(f"Run {view.state}", f"run {id}: {said}{_why(view)}", ExitStatus.FAILED)


def _why(view: RunView) -> str:
    """Return what the task that failed the run said, which is the cause more often than what the run says.

    It is one that the run does not go on without, of the run's own before those that were spawned.
    """
    failed = [
        task
        for task in view.tasks.values()
        if task.get("state") == "failed" and task.get("detail") and not task.get("tolerated")
    ]
    code = view.run.get("error")
    failed.sort(key=lambda task: (task.get("parent_id") is not None, task.get("error") != code))
    return f"; {failed[0].get('label')}: {failed[0]['detail']}" if failed else ""


def undoing_line(run: Object) -> str:
    """Return which run undoes what a run did, or that one is to begin; empty where none is."""
    if run.get("undone_by"):
        by = run["undone_by"]
        return clean(f"undone by run {short(by)}: see what came of it with `aos runs show {by}`")
    if run.get("undo_error"):
        return clean(f"what it did is not undone: {run['undo_error']} (aos runs rollback {run.get('id')})")
    if run.get("undo_due"):
        return clean(f"what it did is undone by a run that begins by itself: `aos runs show {run.get('id')}` names it")
    return ""


def fork_lines(run: Object) -> list[str]:
    """Return where a run and what it was forked from, or its forks, stand apart: one was undone, the other was not."""
    lines = [f"forked from it before, and not undone with it: run {each}" for each in run.get("standing_forks") or []]
    if by := run.get("source_undone_by"):
        source = short(run.get("forked_from_id"))
        lines.append(f"forked from run {source}, which run {by} undoes since: what it took over from there is undone")
    return [clean(line) for line in lines]


def _result(view: RunView) -> RenderableType:
    result = view.result
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, indent=2)
    return Text("" if result is None else clean(text))


def _beginning(view: RunView) -> RenderableType:
    """Return what a run returned as far as a person reads it at a glance."""
    whole = _result(view)
    lines = str(whole).splitlines()
    if len(lines) <= RESULT_LINES_MAX and len(str(whole)) <= RESULT_CHARACTERS_MAX:
        return whole
    shown = "\n".join(lines[:RESULT_LINES_MAX])[:RESULT_CHARACTERS_MAX]
    id = short(view.run.get("id"))
    return Text(f"{shown}\n... {len(lines)} lines in all: aos runs show {id} --json")


@group.command("wait")
def wait(
    context: typer.Context,
    run_id: IdArgument,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Exit with 5 instead of waiting through an approval")
    ] = False,
) -> None:
    """Follow a run and exit as it ended."""
    session = session_of(context)
    finish(session, find_id(session, RUNS.path, run_id), stop_at_approval=no_wait)


@group.command("show")
def show(context: typer.Context, run_id: IdArgument) -> None:
    """Show a run, its tasks, and what it returned."""
    session = session_of(context)
    found = session.client.get(path_to("runs", find_id(session, RUNS.path, run_id)))
    view = RunView()
    view.take_run(found)
    lines = [Text(each) for each in (undoing_line(found), *fork_lines(found)) if each]
    session.out.emit(found, lambda: Group(draw_run(view, session.config.now()), *lines, _beginning(view)))


def logs(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the end of its id, or last")] = "last",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more happens")] = False,
) -> None:
    """Print every act of a run, oldest first."""
    session = session_of(context)
    id = find_id(session, RUNS.path, run_id)
    seen: set[str] = set()
    while True:
        ended = not follow or str(session.client.get(path_to("runs", id)).get("state")) in ENDED
        acts = session.client.items("/actions", {"run": id, "order": "created"})
        fresh = [act for act in acts if str(act.get("id")) not in seen]
        seen.update(str(act.get("id")) for act in fresh)
        if session.out.json and not follow:
            session.out.emit({"items": fresh}, lambda: Text(""))
        for act in fresh if follow or not session.out.json else ():
            _log_line(session, act)
        if ended:
            break
        time.sleep(1)
    if not session.out.json:
        _say_why_it_failed(session, session.client.get(path_to("runs", id)))


def _say_why_it_failed(session: Session, run: Object) -> None:
    """Print of a failed run which tasks failed and why, beneath its acts."""
    if run.get("state") != "failed":
        return
    view = RunView()
    view.take_run(run)
    failed = [task for task in view.tasks.values() if task.get("state") == "failed"]
    for item, name in (*((task, task.get("label")) for task in failed), (run, f"run {short(run.get('id'))}")):
        when = str(item.get("finished_at") or "")[:19].replace("T", " ")
        said = ": ".join(str(item[field]) for field in ("error", "detail") if item.get(field))
        parts = (when, str(name or ""), "failed", said)
        session.out.out.print(Text(clean("  ".join(part for part in parts if part))), soft_wrap=True)


def _log_line(session: Session, act: Object) -> None:
    if session.out.json:
        typer.echo(json.dumps(act, ensure_ascii=False))
        return
    when = str(act.get("intended_at") or act.get("created_at") or "")[:19].replace("T", " ")
    decision = act.get("decision") or {}
    refused = decision.get("outcome") in ("deny", "escalate")
    why = act.get("error") or (decision.get("reason") if refused else act.get("summary"))
    name = f"{act.get('kind', '')}:{act.get('name', '')}"
    who = act.get("task") or act.get("agent")
    parts = [when, str(who or ""), name, str(act.get("state") or ""), str(why or "")]
    session.out.out.print(Text(clean("  ".join(part for part in parts if part))), soft_wrap=True)
