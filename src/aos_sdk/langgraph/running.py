"""One pass of a graph: it goes on at its last checkpoint, and what it asks of people is asked through the gate.

A graph's own checkpoints say how far it is, so a pass does not run it from its top: a node that was cut short runs again, and
its calls through AOS return what is recorded. A call is known by where in the graph it is made, which LangGraph derives from
the checkpoint before it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeAlias, cast

from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command
from pydantic import BaseModel

from aos_sdk.context import AsyncContext
from aos_sdk.entries import EntryError, load_value
from aos_sdk.frames import Json
from aos_sdk.keys import plain_json
from aos_sdk.langchain.http import reach_models
from aos_sdk.langchain.spans import SpanHandler
from aos_sdk.langgraph.checkpoints import Checkpointer
from aos_sdk.langgraph.governed import coverage_of
from aos_sdk.langgraph.interrupts import pass_breakpoint, resume_value
from aos_sdk.parking import ParkingPass

Graph: TypeAlias = Pregel[Any, Any, Any, Any]
Tell: TypeAlias = Callable[[], Awaitable[None]]
TASK = "aos_task"
"""Under which name a checkpoint says which task it belongs to."""
MESSAGES = "messages"
_SEPARATOR = "|"


def load_graph(entry: str, *, folders: Collection[str] | None) -> Callable[[AsyncContext], Coroutine[Any, Any, object]]:
    """Return a coroutine function that runs what `entry` names: a graph, compiled or not, or a factory of one.

    A factory is called in each pass, with the context where it takes an argument. Raises `EntryError`.
    """
    reach_models()
    found = load_value(entry, folders=folders, stands=lambda value: isinstance(value, Pregel | StateGraph))
    if not isinstance(found, Pregel | StateGraph) and not callable(found):
        raise EntryError(f"entry `{entry}` cannot be run: it is no graph and makes none")

    async def run(ctx: AsyncContext) -> object:
        return await run_graph(await _made(found, ctx, entry), ctx)

    return run


async def _made(found: Any, ctx: AsyncContext, entry: str) -> Graph:
    made = found
    if not isinstance(made, Pregel | StateGraph):
        made = made(ctx) if inspect.signature(made).parameters else made()
        if inspect.isawaitable(made):
            made = await made
    if isinstance(made, StateGraph):
        made = made.compile()
    if not isinstance(made, Pregel):
        raise TypeError(f"`{entry}` made no graph of LangGraph's but a `{type(made).__name__}`")
    return made


async def run_graph(graph: Graph, ctx: AsyncContext) -> Json:
    """Run a graph in this pass from where it stands to its end and return its output.

    Suspends while people are asked. Raises what the graph raises, and `InvalidCall` where a checkpoint is too large.
    """
    calls = ctx._calls
    saver, spans = Checkpointer(calls), SpanHandler(calls)
    calls.core.scope = lambda: scope_of(_namespace_now(), saver.namespaces)
    graph = graph.copy(update={"checkpointer": saver})
    config: RunnableConfig = {
        "configurable": {"thread_id": ctx.thread},
        "metadata": {TASK: _task_of(calls)},
        "callbacks": [spans],
    }

    async def tell() -> None:
        covered = coverage_of(graph)
        await spans.flush(covered.tools, governed=covered.governed, kept=covered.kept)

    try:
        return await _to_its_end(graph, ctx, config, tell=tell)
    finally:
        if calls.core.latched is None:
            await tell()


async def _to_its_end(graph: Graph, ctx: AsyncContext, config: RunnableConfig, *, tell: Tell) -> Json:
    kept = await cast(Checkpointer, graph.checkpointer).aget_tuple(config)
    given: Any = graph_input(graph, ctx)
    if kept is not None and kept.metadata.get(TASK) == config["metadata"][TASK]:
        given, ended = await _where_it_stands(graph, ctx, config, tell=tell, stopped=False)
        if ended is not None:
            return graph_output(graph, ended)
    while True:
        result = await graph.ainvoke(given, config, durability="sync")
        given, ended = await _where_it_stands(graph, ctx, config, tell=tell, stopped=True)
        if ended is not None:
            return graph_output(graph, ended if result is None else result)


async def _where_it_stands(
    graph: Graph, ctx: AsyncContext, config: RunnableConfig, *, tell: Tell, stopped: bool
) -> tuple[Any, Any]:
    """Return what the graph is to be given next, or the state in which it has ended. Asks people where it waits for them.

    `stopped` says that it has just stopped by itself: what is left to do then lies behind a breakpoint. What was seen so far is
    told before: the pass may end with the question.
    """
    state = await graph.aget_state(config)
    if state.interrupts:
        await tell()
        saver = cast(Checkpointer, graph.checkpointer)
        times = {each.id: task for task in state.tasks for each in task.interrupts}
        before = [await saver.count_resumes(config, times[each.id]) for each in state.interrupts]
        asked = zip(state.interrupts, before, strict=True)
        answers = await asyncio.gather(*(resume_value(ctx._calls, each, nth=nth) for each, nth in asked))
        return Command(resume={each.id: answer for each, answer in zip(state.interrupts, answers, strict=True)}), None
    if not state.next:
        return None, state.values
    if stopped or _at_breakpoint(graph, state.next):
        await tell()
        checkpoint = state.config["configurable"]["checkpoint_id"]
        await pass_breakpoint(ctx._calls, state.next, checkpoint=checkpoint)
    return None, None


def _at_breakpoint(graph: Graph, following: Collection[str]) -> bool:
    """Say whether a graph found in the middle may have stopped at a breakpoint, rather than been cut short."""
    before = graph.interrupt_before_nodes
    return bool(graph.interrupt_after_nodes) or before == "*" or any(name in before for name in following)


def _task_of(calls: ParkingPass) -> str:
    start = calls.core.start
    return f"{start.task_id}.{start.context.generation}"


def _namespace_now() -> str:
    """Return where in the graph the code that calls this runs, as LangGraph writes it: `node:task|node:task`."""
    config = var_child_runnable_config.get() or {}
    metadata, named = config.get("metadata") or {}, config.get("configurable") or {}
    return str(metadata.get("langgraph_checkpoint_ns") or named.get("checkpoint_ns") or "")


def scope_of(namespace: str, kept: Collection[str]) -> tuple[str, ...]:
    """Return what tells calls apart by where they are made: nodes by name, and by LangGraph's id of the step where it is firm.

    The id of a step follows from the checkpoint before it: it is the same after a kill where that checkpoint is `kept`.
    """
    if not namespace:
        return ()
    parts = namespace.split(_SEPARATOR)
    return tuple(
        part if _SEPARATOR.join(parts[:place]) in kept else part.partition(":")[0] for place, part in enumerate(parts)
    )


def graph_input(graph: Graph, ctx: AsyncContext) -> Any:
    """Return the state that a task's input begins: as it is, where it names the graph's state, else as a message.

    Of a graph with `messages` a text is the person's message, a list the messages, nothing the run's goal, and another
    object the message that its JSON makes.
    """
    given = ctx.input
    if MESSAGES not in graph.channels or (isinstance(given, dict) and set(given) & set(graph.channels)):
        return {} if given is None else given
    if isinstance(given, list):
        return {MESSAGES: given}
    said = given if isinstance(given, str) else ctx.goal if given is None else json.dumps(given, ensure_ascii=False)
    return {MESSAGES: [{"role": "user", "content": said}]}


def graph_output(graph: Graph, state: Any) -> Json:
    """Return a graph's end as a task's output: its structured response, else its last message's text, else its state."""
    if isinstance(state, BaseModel):
        state = {name: getattr(state, name) for name in type(state).model_fields}
    if not isinstance(state, dict):
        return json_of(state)
    if state.get("structured_response") is not None:
        return json_of(state["structured_response"])
    messages = state.get(MESSAGES)
    if isinstance(messages, list) and messages and isinstance(messages[-1], BaseMessage):
        return str(messages[-1].text)
    return json_of({name: value for name, value in state.items() if name != "__interrupt__"})


def json_of(value: Any) -> Json:
    """Return a value of a graph's state as JSON: messages as chat/completions has them, models as objects, else its text."""
    if isinstance(value, BaseMessage):
        return convert_to_openai_messages(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(name): json_of(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_of(each) for each in value]
    try:
        return plain_json(value, "state of the graph")
    except Exception:  # what has no JSON is told by its text, rather than losing all that the graph has done
        return str(value)
