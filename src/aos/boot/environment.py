"""The environment that AOS's own processes are given: the user's, with the settings made plain and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aos.boot.config import PREFIX, Config, settings_table, show


def child_environment(config: Config, environment: Mapping[str, str], *, metrics: Path) -> dict[str, str]:
    """Return the environment of a process that `aos up` starts.

    Settings stand in it as they were understood (paths absolute, options of the command line included); the database's
    login and the token do not stand in it at all.
    """
    found = {name: value for name, value in environment.items() if not name.startswith(PREFIX)}
    for setting in settings_table():
        value = getattr(config, setting.name.removeprefix(PREFIX).lower())
        if not setting.secret and value != setting.default:
            found[setting.name] = show(value)
    found["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    found["PYTHONUNBUFFERED"] = "1"
    return found
