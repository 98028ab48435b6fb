"""The command `aos`: every command in one place, the global options, and how a call ends.

`run_cli` is what `boot` calls. Global options may stand anywhere on the line, since that is where people type them. A
failure is one line on standard error and an exit status, never a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import typer
from typer.exceptions import Abort, TyperException

from aos.cli import agents, apply, approvals, audit, people, runs, secrets, traces, usage
from aos.cli.config import CliConfig
from aos.cli.failures import MEANINGS, CliError, ExitStatus
from aos.cli.output import Output
from aos.cli.registry import COLLECTIONS, add_collection
from aos.cli.session import Session

LocalCommands = Mapping[str, Callable[..., Any]]
"""The commands that work on this machine (`up`, `down`, ...), by name; `boot` has them."""

_VALUED: Final = frozenset({"--url", "--org"})
_INTERRUPTED: Final = 130


def build(config: CliConfig, local_commands: LocalCommands) -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="aos",
        help="AOS, the operating system for a company's AI agents.",
        epilog="Exit status: " + "; ".join(f"{status.value} {meaning}" for status, meaning in MEANINGS.items()),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_globals(config))
    for name, command in local_commands.items():
        app.command(name)(command)
    app.command("login")(people.login)
    app.command("whoami")(people.whoami)
    app.command("apply")(apply.apply)
    app.command("run")(runs.run)
    app.command("explain")(usage.explain)
    app.command("trace")(traces.trace)
    app.command("logs")(runs.logs)
    app.command("usage")(usage.usage)
    app.add_typer(audit.group, name="audit")
    for collection, group in (
        (agents.AGENTS, agents.group),
        (people.PEOPLE, people.people),
        (people.TOKENS, people.tokens),
        (secrets.SECRETS, secrets.group),
        (runs.RUNS, runs.group),
        (approvals.APPROVALS, approvals.group),
    ):
        add_collection(app, collection, group)
    for collection in COLLECTIONS:
        made = add_collection(app, collection)
        if collection.one == "policy":
            made.command("check")(apply.policy_check)
            made.command("explain")(usage.explain)
    return app


def _globals(config: CliConfig) -> Callable[..., None]:
    def global_options(
        context: typer.Context,
        json: Annotated[bool, typer.Option("--json", help="Answer with JSON")] = False,
        url: Annotated[str, typer.Option("--url", metavar="URL", help="The server (AOS_URL)")] = config.url,
        org: Annotated[str, typer.Option("--org", metavar="NAME|ID", help="The organization")] = "",
    ) -> None:
        given = replace(config, json=json or config.json, url=url.rstrip("/"), organization=org or config.organization)
        session = Session(given, Output(json=given.json, now=given.now, program=given.program))
        context.obj = session
        context.call_on_close(session.close)

    return global_options


def run_cli(config: CliConfig, local_commands: LocalCommands, *, arguments: Sequence[str]) -> int:
    """Run one command line and return the exit status."""
    output = Output(json="--json" in arguments or config.json, now=config.now, program=config.program)
    command = typer.main.get_command(build(config, local_commands))
    try:
        status = command.main(hoist_globals(arguments), prog_name=config.program, standalone_mode=False)
        return status if isinstance(status, int) else ExitStatus.DONE
    except CliError as error:
        output.fail(error)
        return error.status
    except Abort:
        output.note("stopped")
        return _INTERRUPTED
    except TyperException as error:
        if error.format_message().startswith("Usage:"):
            typer.echo(error.format_message(), err=True)  # a group without a command: its help
            return ExitStatus.USAGE
        output.fail(CliError("Usage", error.format_message(), ExitStatus.USAGE))
        return ExitStatus.USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone: nothing more can be said.
        sys.stdout = None
        return ExitStatus.DONE


def hoist_globals(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the global options first, wherever they stood before `--`."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return [*front, *rest, argument, *waiting]
        if argument == "--json" or argument.startswith(tuple(f"{name}=" for name in _VALUED)):
            front.append(argument)
        elif argument in _VALUED and waiting:
            front += [argument, waiting.pop(0)]
        else:
            rest.append(argument)
    return front + rest
