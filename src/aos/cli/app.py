"""The command `aos`: every command in one place, the global options, and how a call ends.

`run_cli` is what `boot` calls. Global options may stand anywhere on the line, since that is where people type them. A
failure is one line on standard error and an exit status, never a traceback. A command's module is loaded when the line
names it, all of them only for help: what one command needs must not be waited for by every other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.exceptions import Abort, TyperException

from aos.cli.config import CliConfig
from aos.cli.failures import MEANINGS, CliError, ExitStatus
from aos.cli.output import Output
from aos.cli.registry import COLLECTIONS, Collection, add_collection
from aos.cli.session import Session

LocalCommands = Mapping[str, Callable[..., Any]]
"""The commands that work on this machine (`up`, `down`, ...), by name; `boot` has them."""

_COMMANDS: Final[Mapping[str, str]] = {
    "login": "people",
    "whoami": "people",
    "apply": "apply",
    "run": "runs",
    "explain": "usage",
    "trace": "traces",
    "logs": "runs",
    "usage": "usage",
    "init": "init",
}
"""The module of each command that stands alone; its function bears the command's name."""

_GROUPS: Final[Mapping[tuple[str, str], tuple[str, str, str]]] = {
    ("agents", "agent"): ("agents", "AGENTS", "group"),
    ("people", "person"): ("people", "PEOPLE", "people"),
    ("tokens", "token"): ("people", "TOKENS", "tokens"),
    ("secrets", "secret"): ("secrets", "SECRETS", "group"),
    ("runs", "run"): ("runs_steering", "RUNS", "group"),
    ("approvals", "approval"): ("approvals", "APPROVALS", "group"),
    ("models", "model"): ("models", "MODELS", "models"),
    ("purposes", "purpose"): ("models", "PURPOSES", "purposes"),
    ("schedules", "schedule"): ("schedules", "SCHEDULES", "group"),
    ("hooks", "hook"): ("hooks", "HOOKS", "group"),
    ("signing-keys", "signing-key"): ("oauth", "SIGNING_KEYS", "signing_keys"),
    ("mcp-servers", "mcp-server"): ("mcp_servers", "MCP_SERVERS", "group"),
}
"""The module of each group with commands of its own, its collection and its commands there, by its plural and singular."""

_VALUED: Final = frozenset({"--url", "--org"})
_INTERRUPTED: Final = 130


def build(config: CliConfig, local_commands: LocalCommands, *, only: str = "") -> typer.Typer:
    """Return the whole command line; with a first word in `only`, no more of it than that word needs.

    A word that is no command gets the whole, so that help and suggestions know everything.
    """
    everything = {*local_commands, *_COMMANDS, "audit", *(word for words in _GROUPS for word in words)}
    everything |= {word for each in COLLECTIONS for word in (each.plural, each.one)}
    named = {only} if only in everything else everything
    app = _empty_app(config)
    for name, command in local_commands.items():
        if name in named:
            app.command(name)(command)
    for name, module in _COMMANDS.items():
        if name in named:
            app.command(name)(_load(module, name))
    if "audit" in named:
        app.add_typer(_load("audit", "group"), name="audit")
    for words, (module, collection, group) in _GROUPS.items():
        if named & ({words[0]} if words[1] in _COMMANDS else {*words}):
            add_collection(app, _load(module, collection), _load(module, group))
    if named & {"agents"}:
        _load("agents", "group").command("token")(_load("oauth", "token"))
    if named & {"runs"}:
        _load("runs", "group").command("signal")(_load("signals", "signal"))
    for each in COLLECTIONS:
        if named & {each.plural, each.one}:
            _add_plain_collection(app, each)
    return app


def _empty_app(config: CliConfig) -> typer.Typer:
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
    return app


def _add_plain_collection(app: typer.Typer, collection: Collection) -> None:
    made = add_collection(app, collection)
    if collection.one == "policy":
        made.command("check")(_load("apply", "policy_check"))
        made.command("explain")(_load("usage", "explain"))


def _load(module: str, name: str) -> Any:
    """Return what a module of the command line holds under a name, loading the module where it is not yet."""
    return getattr(import_module(f"aos.cli.{module}"), name)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aos {version('aos')}")
        raise typer.Exit


def _globals(config: CliConfig) -> Callable[..., None]:
    def global_options(
        context: typer.Context,
        json: Annotated[bool, typer.Option("--json", help="Answer with JSON")] = False,
        url: Annotated[str, typer.Option("--url", metavar="URL", help="The server (AOS_URL)")] = config.url,
        org: Annotated[str, typer.Option("--org", metavar="NAME|ID", help="The organization")] = "",
        version: Annotated[
            bool, typer.Option("--version", help="Show the version", is_eager=True, callback=_show_version)
        ] = False,
    ) -> None:
        given = replace(config, json=json or config.json, url=url.rstrip("/"), organization=org or config.organization)
        session = Session(given, Output(json=given.json, now=given.now, program=given.program))
        context.obj = session
        context.call_on_close(session.close)

    return global_options


def run_cli(config: CliConfig, local_commands: LocalCommands, *, arguments: Sequence[str]) -> int:
    """Run one command line and return the exit status."""
    output = Output(json="--json" in arguments or config.json, now=config.now, program=config.program)
    line = hoist_globals(arguments)
    command = typer.main.get_command(build(config, local_commands, only=first_word(line)))
    try:
        status = command.main(line, prog_name=config.program, standalone_mode=False)
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


def first_word(line: Sequence[str]) -> str:
    """Return the word of a line, its global options first, that says which command it is; empty where there is none."""
    waiting = list(line)
    while waiting:
        argument = waiting.pop(0)
        if argument in _VALUED and waiting:
            waiting.pop(0)
        elif not argument.startswith("-"):
            return argument
    return ""
