"""One command line: reads the environment and hands the commands what they may use and what they may start."""

from __future__ import annotations

import functools
import os
import sys
import traceback
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from aos.boot.commands import debugging, local_commands, this_machine
from aos.boot.config import Config, read_config, unknown_settings
from aos.boot.paths import find_paths
from aos.boot.program import program_name
from aos.boot.state import read_state
from aos.cli.app import run_cli
from aos.cli.config import CliConfig, LocalEntries
from aos.cli.failures import CliError, ExitStatus, exit_status_of
from aos.cli.output import Output
from aos.drivers.clock import machine_now
from aos.kernel.errors import AosError


def run_command_line(arguments: list[str]) -> int:
    """Run one command line and return its exit status; errors are one line, with a traceback where AOS_DEBUG asks for it."""
    here = this_machine(arguments)
    for warning in unknown_settings(here.environment):
        print(f"warning: {warning}", file=sys.stderr)
    try:
        config = cli_config(here.environment)
        return run_cli(config, local_commands(here), arguments=arguments)
    except AosError as error:
        if debugging(here.environment):
            traceback.print_exc()
        return _fail(CliError(error.title, error.detail, exit_status_of(error.status)), json=here.json)
    except Exception as error:
        if debugging(here.environment):
            raise
        detail = f"{type(error).__name__}: {error} (AOS_DEBUG=1 shows where)"
        return _fail(CliError("Internal error", detail, ExitStatus.FAILED), json=here.json)


def _fail(error: CliError, *, json: bool) -> int:
    """Print what went wrong before or outside of a command, and return its exit status."""
    Output(json=json, now=machine_now, program=program_name()).fail(error)
    return int(error.status)


def cli_config(environment: Mapping[str, str]) -> CliConfig:
    """Return what the command line is given: the server named, else the one that runs here."""
    config = read_config(environment)
    state = read_state(find_paths(config, environment))
    here = state.url if state is not None else f"http://{config.host}:{config.port}"
    url = config.url or here
    entries = None
    if state is not None and state.agent_path:
        entries = LocalEntries(here, functools.partial(_entry_problems, config, environment, state.agent_path))
    return CliConfig(
        config_home=_config_home(environment),
        now=machine_now,
        verify=_verify,
        open_page=functools.partial(open_page, environment),
        url=url.rstrip("/"),
        token=config.token or "",
        organization=config.organization or "",
        program=program_name(),
        entries=entries,
        sign=_sign,
    )


def open_page(environment: Mapping[str, str], address: str) -> bool:
    """Show an address in the person's browser, and say whether one was found.

    Where there is no screen none is looked for: what would be found is a text browser, which takes the terminal.
    """
    if not any(environment.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")):
        return False
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def _verify(public: bytes, message: bytes, signature: bytes) -> bool:
    from aos.drivers.crypto import StandardCrypto

    return StandardCrypto().verify(public, message, signature=signature)


def _sign(key: str, claims: Mapping[str, object]) -> str:
    from aos.boot.assertions import sign_claims

    return sign_claims(key, claims)


def _entry_problems(
    config: Config, environment: Mapping[str, str], folders: Sequence[str], entries: Sequence[str]
) -> Mapping[str, str]:
    from aos.boot.entries import find_entry_problems

    return find_entry_problems(entries, folders, config=config, environment=environment)


def _config_home(environment: Mapping[str, str]) -> Path:
    """Return the user's folder of settings (XDG Base Directory Specification)."""
    given = environment.get("XDG_CONFIG_HOME", "")
    base = Path(given) if given.startswith("/") else Path(os.path.expanduser("~")) / ".config"
    return base / "aos"
