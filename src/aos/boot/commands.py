"""The commands that work on this machine: their options, and what they print."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from aos.boot.config import Config, read_config, settings_table, show
from aos.boot.paths import Paths, find_paths
from aos.boot.program import typed
from aos.cli.failures import CliError, exit_status_of
from aos.kernel.errors import AosError


class Engines(StrEnum):
    """The engines by the names that the command line knows."""

    POSTGRES = "postgres"
    CELERY = "celery"


@dataclass(frozen=True, slots=True)
class Here:
    """This machine: the environment that the command was called in, and whether it answers with JSON."""

    environment: Mapping[str, str]
    json: bool = False

    def config(self, **given: Any) -> Config:
        """Return the settings, with what the command line says in their place."""
        config = read_config(self.environment)
        config = replace(config, **{name: value for name, value in given.items() if value is not None})
        return config if config.agent_path else replace(config, agent_path=(Path.cwd(),))

    def paths(self, config: Config) -> Paths:
        """Return where this installation's things lie."""
        return find_paths(config, self.environment)


def local_commands(here: Here) -> dict[str, Callable[..., Any]]:
    """Return the commands by name, bound to this machine."""
    commands = {"up": _up, "down": _down, "status": _status, "doctor": _doctor, "config": _config, "worker": _worker}
    return {name: _with_exit_status(make(here)) for name, make in commands.items()}


def _with_exit_status(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command fail as every other does: with its error's title, detail and exit status."""

    @functools.wraps(command)
    def called(*arguments: Any, **named: Any) -> Any:
        try:
            return command(*arguments, **named)
        except AosError as error:
            raise CliError(error.title, error.detail, exit_status_of(error.status)) from error

    return called


def _up(here: Here) -> Callable[..., Any]:
    def up(
        detach: Annotated[bool, typer.Option("--detach", help="Return when it serves and let it run on")] = False,
        host: Annotated[str | None, typer.Option("--host", help="Address to listen on (AOS_HOST)")] = None,
        port: Annotated[
            int | None, typer.Option("--port", help="Port to listen on (AOS_PORT)", min=1, max=65_535)
        ] = None,
    ) -> None:
        """Start the whole system on this machine."""
        from aos.boot.up import up as run_up
        from aos.boot.up import up_detached

        config = here.config(host=host, port=port)
        (up_detached if detach else run_up)(config, here.paths(config), here.environment)

    return up


def _down(here: Here) -> Callable[..., Any]:
    def down() -> None:
        """Stop the system on this machine; its data stays."""
        from aos.boot.by_hand import workers_by_hand
        from aos.boot.down import down as run_down

        paths = here.paths(here.config())
        before = workers_by_hand(paths)
        print("AOS has ended" if run_down(paths) else "AOS was not running")
        for each in before:
            who = f"{each.process.name}, which was started by hand,"
            rest = f"runs on, on a database that is not of this AOS: `kill {each.process.pid}` ends it"
            print(f"{who} {rest if each.process.alive else 'has ended too'}")

    return down


def _status(here: Here) -> Callable[..., Any]:
    def status() -> int:
        """Show what runs on this machine; exit status 7 where it does not serve."""
        from aos.boot.status import read_status, status_lines

        config = here.config()
        found = read_status(config, here.paths(config))
        print(_json(found) if here.json else typed("\n".join(status_lines(found))))
        return 0 if found.ready else 7

    return status


def _doctor(here: Here) -> Callable[..., Any]:
    def doctor(
        sql: Annotated[bool, typer.Option("--sql", help="Print what a database administrator runs, once")] = False,
    ) -> int:
        """Check what AOS needs of this machine and its database."""
        from aos.boot.doctor import Mark, administrators_sql, examine, finding_line

        config = here.config()
        paths = here.paths(config)
        if sql:
            print(administrators_sql(config, paths), end="")
            return 0
        found = examine(config, paths)
        print(_json(found) if here.json else typed("\n".join(finding_line(each) for each in found)))
        return 1 if any(each.mark is Mark.BAD for each in found) else 0

    return doctor


def _config(here: Here) -> Callable[..., Any]:
    def config(
        every: Annotated[bool, typer.Option("--all", help="Show every setting with its meaning")] = False,
    ) -> None:
        """Show the settings; without --all only those that are set."""
        values = read_config(here.environment)
        rows = []
        for setting in settings_table():
            value = getattr(values, setting.name.removeprefix("AOS_").lower())
            if every or value != setting.default:
                shown = "(set, not shown)" if setting.secret and value is not None else show(value)
                rows.append((setting, shown))
        if here.json:
            print(_json({setting.name: shown for setting, shown in rows}))
            return
        if not rows:
            print(typed("every setting has its default; `aos config --all` lists them"))
        for setting, shown in rows:
            print(f"{setting.name}={shown}")
            if every:
                print(f"    {setting.meaning} Default: {setting.shown_default.replace('`', '') or 'empty'}")

    return config


def _worker(here: Here) -> Callable[..., Any]:
    def worker(
        engine: Annotated[
            Engines | None, typer.Option("--engine", help="How it learns of tasks (AOS_ENGINE)", show_default=False)
        ] = None,
        tasks_at_once: Annotated[
            int | None,
            typer.Option("--tasks-at-once", help="Tasks that it holds at once (AOS_TASKS_AT_ONCE)", min=1, max=10_000),
        ] = None,
        no_house: Annotated[
            bool, typer.Option("--no-house", help="Run tasks alone; others sweep, integrate the log and archive")
        ] = False,
    ) -> None:
        """Run one more worker in the foreground, on a database that AOS serves already.

        SIGTERM or Ctrl-C has it claim nothing more, finish or give back what it holds, and end; the second ends it at once.
        """
        from aos.boot.lone_worker import run_worker

        config = here.config(engine=engine.value if engine is not None else None, tasks_at_once=tasks_at_once)
        run_worker(config, here.paths(config), here.environment, keeps_house=not no_house)

    return worker


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def debugging(environment: Mapping[str, str]) -> bool:
    """Say whether a traceback is wanted; a setting that cannot be read wants none."""
    try:
        return read_config(environment).debug
    except AosError:
        return False


def this_machine(arguments: list[str]) -> Here:
    """Return this machine as the command line was called on it."""
    return Here(environment=dict(os.environ), json="--json" in arguments)
