"""Finding what an agent's entry names and making it a function of a context, whatever it was written with.

A framework is imported only where an agent is written with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from aos_sdk.entries import EntryError, load_entry
from aos_sdk.frames import Start

GRAPH = "langgraph"


def load_agent(start: Start, *, folders: Collection[str] | None) -> Callable[..., Any]:
    """Return the function that a pass runs; raises `EntryError`."""
    return load_runtime(start.runtime, start.entry, folders=folders)


def load_runtime(runtime: str, entry: str, *, folders: Collection[str] | None) -> Callable[..., Any]:
    """Return the function behind the entry of a runtime of this kind; raises `EntryError`."""
    if runtime != GRAPH:
        return load_entry(entry, folders=folders)
    try:
        from aos_sdk.langgraph import load_graph
    except ImportError as error:
        raise EntryError(
            f"entry `{entry}` is a graph, and `{error.name}` is missing: install aos[langgraph]"
        ) from error
    return load_graph(entry, folders=folders)
