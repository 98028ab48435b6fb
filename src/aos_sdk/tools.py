"""Running `python:` tools in a host: coroutine functions on the loop, others in a thread.

A coroutine whose deadline has passed is cancelled; a thread cannot be, and its owner gives the host up.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aos_sdk.entries import EntryError, is_asynchronous, load_entry
from aos_sdk.frames import Json, RunTool, ToolEnded
from aos_sdk.shapes import raised, result_value

THREADS_MAX: Final = 32


class ToolRunner:
    """Runs tools beside each other."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders
        self._threads = ThreadPoolExecutor(max_workers=THREADS_MAX, thread_name_prefix="aos-tool")

    async def run(self, call: RunTool) -> ToolEnded:
        """Run one tool and return what it returned or raised; never raises.

        Arguments that the function does not take are refused before it is entered.
        """
        try:
            function = load_entry(call.entry, folders=self._folders)
            arguments = tool_keywords(function, call)
        except (EntryError, TypeError) as error:
            return ToolEnded(call.call_id, ok=False, error=raised(error), refused=True)
        deadline: asyncio.Timeout | None = None
        try:
            if is_asynchronous(function):
                async with asyncio.timeout(call.deadline_seconds) as deadline:
                    value = await function(**arguments)
            else:
                loop = asyncio.get_running_loop()
                value = await loop.run_in_executor(self._threads, lambda: function(**arguments))
            return ToolEnded(call.call_id, ok=True, value=result_value(value))
        except BaseException as error:
            cut = deadline is not None and deadline.expired()
            return ToolEnded(call.call_id, ok=False, error=raised(error), timed_out=cut)


def tool_keywords(function: Callable[..., Any], call: RunTool) -> dict[str, Json]:
    """Return the keywords for `function`; raises `TypeError` when it does not take them.

    The idempotency key is added only where the function declares a parameter of that name.
    """
    signature = inspect.signature(function)
    arguments = dict(call.arguments)
    if "idempotency_key" in signature.parameters and call.idempotency_key is not None:
        arguments["idempotency_key"] = call.idempotency_key
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise TypeError(f"tool `{call.entry}` cannot be called: {error}") from None
    return arguments
