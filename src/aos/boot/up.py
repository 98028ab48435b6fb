"""`aos up`: in the foreground, or detached from the terminal with its progress shown until it serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from aos.boot.config import Config, changed_settings
from aos.boot.owner import owner_login
from aos.boot.passwords import load_passwords
from aos.boot.paths import Paths
from aos.boot.postgres import start_preparing
from aos.boot.prepare import Orders, read_answer
from aos.boot.program import typed
from aos.boot.state import is_supervised, read_state
from aos.boot.supervisor import Supervisor, sign_in_lines
from aos.kernel.errors import AosError, error_table


@dataclass(frozen=True, slots=True)
class _Said:
    """What a detached supervisor tells the command that started it: a line, an error, or that it serves."""

    line: str = ""
    error: str = ""
    detail: str = ""
    ready: bool = False


def up(config: Config, paths: Paths, environment: Mapping[str, str]) -> None:
    """Run AOS in the foreground until asked to end."""
    supervisor = Supervisor(config, paths, environment, say=_print)
    supervisor.start()
    supervisor.run()


def up_detached(config: Config, paths: Paths, environment: Mapping[str, str]) -> None:
    """Start AOS, return when it serves, and let it run on; one that runs already is left as it is.

    Either way a link for the first sign-in is printed until somebody has used one. Raises the error that stands in the way.
    """
    state = read_state(paths) if is_supervised(paths) else None
    if state is not None and state.ready:
        print(f"AOS is already running at {state.url} (pid {state.supervisor.pid})")
        # Where it was started from is where its functions are found, unless a setting says so: no change of a setting.
        unsaid = () if environment.get("AOS_AGENT_PATH") else ("AOS_AGENT_PATH",)
        if ignored := changed_settings(state.settings, config, unsaid=unsaid):
            _print("settings that do not count until it is started again (`aos down`, then `aos up`):")
            for line in ignored:
                _print(f"  {line}")
        for line in sign_in_lines(_first_link(config, paths, environment), state.url):
            _print(line)
        return
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        _run_detached(config, paths, environment, writing=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        for content in said:
            each = msgspec.json.decode(content, type=_Said)
            if each.line:
                _print(each.line)
            if each.error:
                raise next(cls for cls in error_table() if cls.slug == each.error)(each.detail)
            if each.ready:
                return
    raise AosError(f"the supervisor ended before it served: see `{_log_file(paths)}`")


def _first_link(config: Config, paths: Paths, environment: Mapping[str, str]) -> str:
    """Return a new link for the first sign-in to what runs; empty where somebody has signed in."""
    from aos.store.server import find_first_sign_in

    owner_dsn = owner_login(config, paths)
    if find_first_sign_in(owner_dsn).signed_in:
        return ""
    orders = Orders(
        owner_dsn=owner_dsn,
        superuser_dsn="",
        passwords=load_passwords(paths.password_file),
        processes={},
        key_file=str(paths.key_file),
        run_clock=config.allow_run_clock,
    )
    preparing = start_preparing(os.getpid(), environment)
    answer, _ = preparing.communicate(msgspec.json.encode(orders))
    return read_answer(answer).link


def _run_detached(config: Config, paths: Paths, environment: Mapping[str, str], *, writing: int) -> None:
    """Be the supervisor, in a session of its own; this process never returns to its caller's code."""
    status = 1
    try:
        os.setsid()
        os.chdir("/")
        speaker = _Speaker(writing)
        supervisor = Supervisor(config, paths, environment, say=speaker.say)
        try:
            supervisor.start()
        except AosError as error:
            speaker.tell(_Said(error=error.slug, detail=error.detail))
        else:
            _leave_terminal(_log_file(paths))
            speaker.tell(_Said(ready=True))
            speaker.close()
            supervisor.run()
            status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(status)


class _Speaker:
    """Tells lines to the waiting command, and to standard output once it is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, line: str) -> None:
        """Say one line."""
        if self._descriptor >= 0:
            self.tell(_Said(line=line))
        else:
            _print(line)

    def tell(self, said: _Said) -> None:
        """Tell one thing; a command that was interrupted is no error."""
        try:
            os.write(self._descriptor, msgspec.json.encode(said) + b"\n")
        except BrokenPipeError:
            return

    def close(self) -> None:
        """Let the command go."""
        os.close(self._descriptor)
        self._descriptor = -1


def _leave_terminal(log_file: Path) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(nowhere, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nowhere)
    os.close(log)


def _log_file(paths: Paths) -> Path:
    return paths.logs / "supervisor.log"


def _print(line: str) -> None:
    print(typed(line), flush=True)
