"""Runs `aos` as a process of its own, for tests that need a terminal: `python cli_child.py URL HOME ARGUMENTS...`."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from aos.cli.app import run_cli
from aos.cli.config import CliConfig

if __name__ == "__main__":
    # What a terminal starts is never deaf to Ctrl-C, even where the tests themselves run in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    url, home, *arguments = sys.argv[1:]
    config = CliConfig(
        config_home=Path(home),
        now=lambda: datetime.now(UTC),
        verify=lambda public, message, signature: False,
        open_page=lambda url: False,
        url=url,
        token="aosp_test",
    )
    sys.exit(run_cli(config, {}, arguments=arguments))
