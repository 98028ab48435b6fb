"""Whether the functions that a manifest names can be loaded by the hosts of this machine, tried in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aos.boot.config import Config
from aos.drivers.hosts.process import clean_environment
from aos.drivers.hosts.values import HostsConfig

CHECK_SECONDS: Final = 60
"""How long importing all of a manifest's modules may take."""
_LAST_CHARACTERS: Final = 400


def find_entry_problems(
    entries: Sequence[str], folders: Sequence[str], *, config: Config, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return why entries cannot be loaded from these folders of agents' code, by entry; what is missing is sound.

    The process has a host's environment: the variables that AOS_AGENT_ENV names, as far as they are set here.
    """
    variables = {name: environment[name] for name in config.agent_env if name in environment}
    settings = HostsConfig(socket_path=Path(), agent_hosts=0, python_path=tuple(folders), variables=variables)
    command = [sys.executable, "-m", "aos_sdk.checking", *(f"--folder={each}" for each in folders), "--", *entries]
    folder = folders[0] if folders and os.path.isdir(folders[0]) else None
    try:
        done = subprocess.run(
            command,
            env=clean_environment(settings),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return dict.fromkeys(entries, f"importing what the manifest names took longer than {CHECK_SECONDS} s")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip()[-_LAST_CHARACTERS:] or "it said nothing"
        return dict.fromkeys(entries, f"importing what the manifest names ended the process: {said}")
    return {str(entry): str(problem) for entry, problem in found.items()}
