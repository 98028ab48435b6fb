"""Finding what an entry `module:function` names. Agents' modules are imported here, in the host, and nowhere else.

Whoever registers an agent or a tool writes its entry, so an entry may name only what the operator put into the folders of
agents' code: nothing of Python itself, of AOS or of an installed package, by whatever way round.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

OWN_ENTRIES: Final = frozenset({"aos_sdk.llm:run"})
"""What AOS itself runs in hosts for agents without code."""


class EntryError(Exception):
    """The entry cannot be loaded; the message names it and what is missing."""


def load_entry(entry: str, *, folders: Collection[str] | None = None) -> Callable[..., Any]:
    """Import the module of `entry` and return its function; raises `EntryError`, with the cause, when it cannot.

    The module, and the function itself, must stand directly in one of `folders`; None lets an entry name anything.
    """
    found = load_value(entry, folders=folders)
    if not callable(found):
        raise EntryError(f"entry `{entry}` cannot be run: `{entry.partition(':')[2]}` is not a function")
    return found  # type: ignore[no-any-return]


def load_value(
    entry: str, *, folders: Collection[str] | None = None, stands: Callable[[Any], bool] = lambda found: False
) -> Any:
    """Import the module of `entry` and return what it names; raises `EntryError`, with the cause, when it cannot.

    What `stands` says yes to, such as an instance of a framework's class, counts as standing in the module that names it.
    """
    module_name, _, function_name = entry.partition(":")
    if not module_name or not function_name:
        raise EntryError(f"entry `{entry}` must read `module:function`")
    if entry in OWN_ENTRIES:
        folders = None
    if module_name not in sys.modules:
        importlib.invalidate_caches()
    if folders is not None:
        _check_place(entry, module_name, folders)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        places = ", ".join(f"`{folder}`" for folder in folders) if folders else str(sys.path)
        raise EntryError(f"entry `{entry}` cannot be loaded: no module named `{error.name}` in {places}") from error
    except Exception as error:
        raise EntryError(
            f"entry `{entry}` cannot be loaded: importing `{module_name}` raised {type(error).__name__}: {error}"
        ) from error
    for part in function_name.split("."):
        if not hasattr(found, part):
            raise EntryError(f"entry `{entry}` cannot be loaded: `{module_name}` has no `{function_name}`")
        found = getattr(found, part)
        if folders is not None and not stands(found):
            home = found.__name__ if inspect.ismodule(found) else getattr(found, "__module__", None)
            _check_place(entry, home if isinstance(home, str) else type(found).__module__, folders)
    return found


def _check_place(entry: str, module_name: str, folders: Collection[str]) -> None:
    """Raise `EntryError` where a module is found, but outside the folders of agents' code."""
    top = module_name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None and top not in sys.modules:
        return  # there is none at all: the import says so
    places = list(spec.submodule_search_locations or [spec.origin or ""]) if spec is not None else []
    allowed = {Path(folder).resolve() for folder in folders}
    if top in ("aos", "aos_sdk") or not places or not all(Path(place).resolve().parent in allowed for place in places):
        raise EntryError(
            f"entry `{entry}` cannot be loaded: `{module_name}` is no agents' code, which stands in the folders that"
            " AOS_AGENT_PATH names"
        )


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Return whether calling `function` gives a coroutine; an object counts by its `__call__`."""
    if inspect.iscoroutinefunction(function):
        return True
    return not inspect.isfunction(function) and inspect.iscoroutinefunction(type(function).__call__)
