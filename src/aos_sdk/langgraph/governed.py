"""`govern(graph)`: the tools that a graph would run in its own process are called through AOS's gate instead.

Every `ToolNode` of the graph, of graphs within it and of the sub-agents that its tools hold, asks the gate for each call: the
registered tool of the same name (`payments_create` is `payments.create`) is called, and what the framework holds under that
name is not run. Rules a reader must not break:
- A tool that is not registered is refused, unless `unregistered="leave"` or its name stands in `leave`.
- Left alone are DeepAgents' own tools over the graph's state (files in state, to-dos, sub-agents) and nothing else: file tools
  over a real folder or a sandbox, and `execute`, count as any tool.
- A refusal is answered to the model as the tool's message; nothing is raised into the graph.
- What a node of the graph calls itself, outside of a `ToolNode`, is not seen here.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.graph import StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.pregel import Pregel

from aos_sdk.errors import AosCallError
from aos_sdk.frames import Json
from aos_sdk.keys import plain_json
from aos_sdk.parking import ParkingPass, current_pass

G = TypeVar("G")
Unregistered: TypeAlias = Literal["refuse", "leave"]
Execute: TypeAlias = Callable[[ToolCallRequest], Awaitable[Any]]
OWN_TOOLS: Final = frozenset(
    {"write_todos", "ls", "read_file", "write_file", "edit_file", "delete", "glob", "grep", "task"}
)
"""Tools of LangChain's and DeepAgents' own that act on the graph's state alone, where their files lie in it."""
_OWN_MODULES: Final = ("deepagents.", "langchain.agents.middleware.")
_STATE_BACKEND: Final = "StateBackend"
OUTSIDE: Final = "this graph is governed, and runs in no task of AOS"
_DEPTH_MAX: Final = 4
_MARK: Final = "_aos_governed"

_log = logging.getLogger("aos_sdk.langgraph")


@dataclass
class Coverage:
    """What of a graph's tools goes through the gate."""

    tools: set[str] = field(default_factory=set)
    governed: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Gate:
    """What is done with one call of a tool."""

    leave: frozenset[str]
    unregistered: Unregistered

    def keeps(self, tool: BaseTool | None, name: str, registered: Collection[str] | None) -> bool:
        """Say whether a tool is left to the framework."""
        if name in self.leave or (tool is not None and _is_own(tool)):
            return True
        if self.unregistered == "leave" and registered is not None and registered_name(name, registered) is None:
            _log.warning("tool `%s` is not registered with AOS and runs ungoverned", name)
            return True
        return False

    async def call(self, request: ToolCallRequest, execute: Execute) -> Any:
        """Call a tool through the gate, or let the framework run what is left to it."""
        asked = request.tool_call
        calls = current_pass()
        if self.keeps(request.tool, asked["name"], _registered(calls)):
            return await execute(request)
        if calls is None:
            return _refused(asked, OUTSIDE)
        return await _through_gate(calls, asked)


def _registered(calls: ParkingPass | None) -> list[str] | None:
    return None if calls is None else calls.core.start.context.tools


async def _through_gate(calls: ParkingPass, asked: Mapping[str, Any]) -> ToolMessage:
    name = registered_name(asked["name"], calls.core.start.context.tools) or asked["name"]
    try:
        arguments = plain_json(dict(asked["args"]), f"arguments of tool `{name}`")
        value = await calls.call("tool", name, arguments=arguments, key=None, options={})
    except AosCallError as error:
        return _refused(asked, error.detail)
    return ToolMessage(content=_text(value), name=asked["name"], tool_call_id=asked["id"])


def govern(graph: G, *, leave: Collection[str] = (), unregistered: Unregistered = "refuse") -> G:
    """Put a graph's tools behind AOS's gate and return it.

    `leave` names tools that the framework may run itself; `unregistered="leave"` leaves it those that are not registered, with
    a note in the log. Calling it twice changes nothing.
    """
    gate = _Gate(frozenset(leave), unregistered)
    for node in _tool_nodes(graph):
        if not hasattr(node, _MARK):
            setattr(node, _MARK, gate)
            _wrap(node, gate)
    return graph


def coverage_of(graph: object) -> Coverage:
    """Return which tools of a graph go through the gate; what is left to the framework is not governed."""
    found = Coverage()
    for node in _tool_nodes(graph):
        gate: _Gate | None = getattr(node, _MARK, None)
        registered = _registered(current_pass())
        for name, tool in node.tools_by_name.items():
            found.tools.add(name)
            if gate is not None and gate.keeps(tool, name, registered):
                found.kept.add(name)
            elif gate is not None:
                found.governed.add(name)
    return found


def registered_name(name: str, registered: Collection[str]) -> str | None:
    """Return the registered tool that a framework's name stands for: its own, or with dots for underscores."""
    return name if name in registered else next((each for each in registered if each.replace(".", "_") == name), None)


def _wrap(node: ToolNode, gate: _Gate) -> None:
    """Have a node ask the gate beneath whatever already stands around its calls."""
    around, around_async = node._wrap_tool_call, node._awrap_tool_call

    async def wrapped_async(request: ToolCallRequest, execute: Execute) -> Any:
        inner = partial(gate.call, execute=execute)
        if around_async is not None:
            return await around_async(request, inner)
        if around is None:
            return await inner(request)
        loop = asyncio.get_running_loop()
        waiting = partial(_wait_on, loop, inner)
        return await loop.run_in_executor(None, copy_context().run, around, request, waiting)

    def wrapped(request: ToolCallRequest, execute: Callable[[ToolCallRequest], Any]) -> Any:
        def inner(asked: ToolCallRequest) -> Any:
            calls = current_pass()
            if gate.keeps(asked.tool, asked.tool_call["name"], _registered(calls)):
                return execute(asked)
            if calls is None:
                return _refused(asked.tool_call, OUTSIDE)
            return calls.wait(_through_gate(calls, asked.tool_call))

        return inner(request) if around is None else around(request, inner)

    node._wrap_tool_call, node._awrap_tool_call = wrapped, wrapped_async


def _wait_on(loop: asyncio.AbstractEventLoop, inner: Execute, request: ToolCallRequest) -> Any:
    calls = current_pass()
    work: Any = inner(request)
    return calls.wait(work) if calls is not None else asyncio.run_coroutine_threadsafe(work, loop).result()


def _refused(asked: Mapping[str, Any], detail: str) -> ToolMessage:
    return ToolMessage(content=f"not done: {detail}", name=asked["name"], tool_call_id=asked["id"], status="error")


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_own(tool: BaseTool) -> bool:
    """Say whether a tool is the framework's own and acts on the graph's state alone."""
    function = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
    module = getattr(function, "__module__", "") or ""
    if tool.name not in OWN_TOOLS or not f"{module}.".startswith(_OWN_MODULES):
        return False
    backends = [held.backend for held in _held(function) if hasattr(held, "backend")]
    return all(type(backend).__name__ == _STATE_BACKEND for backend in backends)


def _tool_nodes(graph: object) -> Iterator[ToolNode]:
    """Yield every `ToolNode` of a graph, of graphs within it and of those that its tools hold, each once."""
    seen: set[int] = set()
    left: list[object] = [graph]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, ToolNode):
            yield each
            for tool in each.tools_by_name.values():
                left += _held(getattr(tool, "func", None)) + _held(getattr(tool, "coroutine", None))
        elif isinstance(each, Pregel):
            left += [node.bound for node in each.nodes.values()]
        elif isinstance(each, StateGraph):
            left += [node.runnable for node in each.nodes.values()]
        else:
            left += [held for name in ("bound", "steps", "runnable") for held in _listed(getattr(each, name, None))]


def _listed(value: Any) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _held(function: Any, depth: int = 0) -> list[Any]:
    """Return what a function closes over, and what lies in the lists, dicts and functions among it."""
    found: list[Any] = []
    todo = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if _is_set(cell)]
    for held in todo:
        if isinstance(held, Mapping):
            found += held.values()
        elif isinstance(held, list | tuple):
            found += held
        elif inspect.isfunction(held) and depth < _DEPTH_MAX:
            found += _held(held, depth + 1)
        else:
            found.append(held)
    return found


def _is_set(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
