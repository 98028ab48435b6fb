"""Finding what an entry `module:function` names. Agents' modules are imported here, in the host, and nowhere else."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any


class EntryError(Exception):
    """The entry cannot be loaded; the message names it and what is missing."""


def load_entry(entry: str) -> Callable[..., Any]:
    """Import the module of `entry` and return its function; raises `EntryError`, with the cause, when it cannot."""
    module_name, _, function_name = entry.partition(":")
    if not module_name or not function_name:
        raise EntryError(f"entry `{entry}` must read `module:function`")
    if module_name not in sys.modules:
        importlib.invalidate_caches()
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise EntryError(f"entry `{entry}` cannot be loaded: no module named `{error.name}` in {sys.path}") from error
    except Exception as error:
        raise EntryError(
            f"entry `{entry}` cannot be loaded: importing `{module_name}` raised {type(error).__name__}: {error}"
        ) from error
    for part in function_name.split("."):
        if not hasattr(found, part):
            raise EntryError(f"entry `{entry}` cannot be loaded: `{module_name}` has no `{function_name}`")
        found = getattr(found, part)
    if not callable(found):
        raise EntryError(f"entry `{entry}` cannot be run: `{function_name}` is not a function")
    return found  # type: ignore[no-any-return]


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Return whether calling `function` gives a coroutine; an object counts by its `__call__`."""
    if inspect.iscoroutinefunction(function):
        return True
    return not inspect.isfunction(function) and inspect.iscoroutinefunction(type(function).__call__)
