"""Programs of several turns with tools, written as LangGraph's, LangChain's and DeepAgents' own guides write them.

A shop counts its stock, orders what it lacks and tells its customer. `make_*` is what stands in such a program, with nothing
of AOS in it; below stand the same programs as agents of AOS, and the workflow in which they are tasks. The functions are
pure but for `read_note`, which waits until its note is there: so a test says when a program goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from pathlib import Path
from typing import Any, Literal

from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain_core.messages import SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt

from aos_sdk import AsyncContext
from aos_sdk.langgraph import govern

MODEL = "gpt"
COUNTER, BUYER, WRITER, CHECKER = "You count.", "You buy.", "You write letters.", "You check letters."
ORDERS = "orders"
NOTE_SECONDS = 90.0


def count_stock(part: str) -> str:
    """Count how many of a part lie in the store."""
    return f"{len(part)} of {part}"


def find_supplier(part: str) -> str:
    """Find who sells a part."""
    return f"{part}s are sold by {part.title()} Ltd"


def order_part(part: str, count: int) -> str:
    """Order so many of a part."""
    return f"ordered {count} of {part}"


def read_note(folder: str, name: str) -> str:
    """Read a note, once it is there."""
    waited = Path(folder) / f"{name}.waited-for"
    waited.touch()
    ends_at = time.monotonic() + NOTE_SECONDS
    while not (Path(folder) / name).exists():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"no note {name}")
        select.select([], [], [], 0.02)
    return (Path(folder) / name).read_text()


# --- a graph of LangGraph's ------------------------------------------------------------------------------------------


def make_counter() -> Any:
    """Return a graph that counts, by hand: a node that asks, and one that does what was asked for."""
    tools: list[Any] = [count_stock, find_supplier, read_note]
    model = ChatOpenAI(model=MODEL).bind_tools(tools)

    def call_model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke([SystemMessage(COUNTER), *state["messages"]])]}

    builder = StateGraph(MessagesState)
    builder.add_node("call_model", call_model)
    builder.add_node("tools", ToolNode(tools))
    builder.add_edge(START, "call_model")
    builder.add_conditional_edges("call_model", tools_condition)
    builder.add_edge("tools", "call_model")
    return builder.compile()


# --- an agent of LangChain's -----------------------------------------------------------------------------------------


def make_buyer() -> Any:
    """Return an agent that orders."""
    return create_agent(
        model=ChatOpenAI(model=MODEL),
        tools=[find_supplier, order_part, read_note],
        system_prompt=BUYER,
    )


# --- an agent of DeepAgents' -----------------------------------------------------------------------------------------


def make_writer() -> Any:
    """Return an agent that writes a letter into a file and has another check it."""
    checker: Any = {
        "name": "checker",
        "description": "Checks a letter against the stock.",
        "system_prompt": CHECKER,
        "tools": [count_stock, find_supplier],
    }
    return create_deep_agent(
        model=ChatOpenAI(model=MODEL), tools=[read_note], system_prompt=WRITER, subagents=[checker]
    )


# --- a graph that asks a person --------------------------------------------------------------------------------------


class Signing(MessagesState):
    """What is to be signed, and how that went."""

    signed: str


def make_signer(checkpointer: Any = None) -> Any:
    """Return a graph that asks a person to sign, and goes on by the answer."""

    def ask(state: Signing) -> Command[Literal["send", "drop"]]:
        answer = interrupt({"question": "Sign this order?", "order": state["messages"][-1].text})
        return Command(goto="send" if answer else "drop", update={"signed": str(answer)})

    builder = StateGraph(Signing)
    builder.add_node("ask", ask)
    builder.add_node("send", lambda state: {"messages": [("assistant", f"sent, signed {state['signed']}")]})
    builder.add_node("drop", lambda state: {"messages": [("assistant", "dropped")]})
    builder.add_edge(START, "ask")
    builder.add_edge("send", END)
    builder.add_edge("drop", END)
    return builder.compile(checkpointer=checkpointer)


# --- what a model says to them ---------------------------------------------------------------------------------------

Step = list[tuple[str, dict[str, Any]]] | str


def say(system: str, turn: int, folder: str) -> Step:
    """Return what the model of these programs says at a turn: calls of tools, or its last word."""
    parts: dict[str, list[Step]] = {
        COUNTER: [
            [("count_stock", {"part": "pump"}), ("count_stock", {"part": "valve"})],
            [("read_note", {"folder": folder, "name": "counted"})],
            [("find_supplier", {"part": "pump"})],
            "4 pumps and 5 valves",
        ],
        BUYER: [
            [("find_supplier", {"part": "valve"})],
            [("order_part", {"part": "valve", "count": 2}), ("order_part", {"part": "pump", "count": 3})],
            [("read_note", {"folder": folder, "name": "bought"})],
            [("order_part", {"part": "seal", "count": 1})],
            "ordered 3 pumps, 2 valves, 1 seal",
        ],
        WRITER: [
            [("write_file", {"file_path": "/letter.md", "content": "Dear customer"})],
            [("task", {"description": "Check /letter.md", "subagent_type": "checker"})],
            [("read_note", {"folder": folder, "name": "written"})],
            [("read_file", {"file_path": "/letter.md"})],
            "the letter is written and checked",
        ],
        CHECKER: [
            [("count_stock", {"part": "pump"})],
            [("find_supplier", {"part": "seal"})],
            "the letter is right",
        ],
    }  # fmt: skip
    return parts[next(each for each in parts if each in system)][turn]


# --- the same as agents of AOS ---------------------------------------------------------------------------------------


def counter() -> Any:
    """Return the graph, with its tools behind the gate."""
    return govern(make_counter(), leave=["read_note"])


def buyer() -> Any:
    """Return the agent, with its tools behind the gate."""
    return govern(make_buyer(), leave=["read_note"])


def writer() -> Any:
    """Return the agent, with its tools and those of its helper behind the gate."""
    return govern(make_writer(), leave=["read_note"])


signer = make_signer()


async def planner(ctx: AsyncContext) -> Any:
    """Ask the model what is to be done, and say it to each of the others."""
    said = await ctx.complete("What is to be done?", model=MODEL)
    folder = ctx.input["folder"]
    return {name: f"{said.text}: {name}, notes lie in {folder}" for name in ("count", "buy", "write")}


async def reporter(ctx: AsyncContext) -> Any:
    """Return what the others said."""
    return ctx.input


def order_once(*, part: str, count: int, folder: str, idempotency_key: str) -> str:
    """Order for good: one file for each order and key, so that an order made twice is seen."""
    with contextlib.suppress(FileExistsError):
        name = Path(folder) / f"{part}-{count}~{idempotency_key}"
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    return order_part(part, count)


def manifest(upstream_url: str, upstream_host: str, orders: Path) -> dict[str, Any]:
    """Return the manifest of the agents, their tools and the workflow."""
    here = "tests.e2e.graph_programs"
    text = {"type": "string"}
    one_part = {"type": "object", "properties": {"part": text}, "required": ["part"]}
    order = {
        "type": "object",
        "properties": {"part": text, "count": {"type": "integer"}},
        "required": ["part", "count"],
    }

    def agent(name: str, *tools: str, kind: str = "langgraph") -> dict[str, Any]:
        return {"type": "functional", "runtime": {kind: f"{here}:{name}"}, "models": [MODEL], "tools": list(tools)}

    return {
        "aos": 1,
        "organization": {"hosts": [upstream_host]},
        "models": {
            MODEL: {"provider": "openai-compatible", "base_url": upstream_url, "price": "free", "capabilities": ["tools"]}
        },
        "tools": {
            "count_stock": {"python": f"{here}:count_stock", "effect": "read", "args": one_part},
            "find_supplier": {"python": f"{here}:find_supplier", "effect": "read", "args": one_part},
            "order_part": {
                "python": f"{here}:order_once",
                "effect": "write",
                "repeat": "keyed",
                "args": order,
                "fixed": {"folder": str(orders)},
            },
        },
        "agents": {
            "planner": agent("planner", kind="python"),
            "counter": agent("counter", "count_stock", "find_supplier"),
            "buyer": agent("buyer", "find_supplier", "order_part"),
            "signer": agent("signer"),
            "writer": agent("writer", "count_stock", "find_supplier"),
            "reporter": agent("reporter", kind="python"),
            "outsider": {"type": "functional", "models": [MODEL]},
        },
        "workflows": {
            "restock": {
                "input": {"type": "object", "properties": {"folder": text}, "required": ["folder"]},
                "tasks": {
                    "plan": {"agent": "planner", "input": {"folder": "${input.folder}"}},
                    "count": {"agent": "counter", "input": "${plan.output.count}"},
                    "buy": {"agent": "buyer", "after": ["count"], "input": "${plan.output.buy}"},
                    "sign": {"agent": "signer", "input": "${buy.output}"},
                    "write": {"agent": "writer", "after": ["sign"], "input": "${plan.output.write}"},
                    "report": {
                        "agent": "reporter",
                        "input": {
                            "count": "${count.output}",
                            "buy": "${buy.output}",
                            "sign": "${sign.output}",
                            "write": "${write.output}",
                        },
                    },
                },
            }
        },
    }  # fmt: skip


def reply(body: dict[str, Any]) -> dict[str, Any]:
    """Return the model's answer of chat/completions to a request: who asks is known by its system message."""
    messages = body["messages"]
    turn = sum(message["role"] == "assistant" for message in messages)
    step: Step = "Restock"
    if messages[0]["role"] == "system":
        folder = next(
            (
                json.dumps(m).partition("notes lie in ")[2].partition('"')[0]
                for m in messages
                if "notes lie" in json.dumps(m)
            ),
            "",
        )
        step = say(json.dumps(messages[0]["content"]), turn, folder)
    calls = [] if isinstance(step, str) else step
    message: dict[str, Any] = {"role": "assistant", "content": step if isinstance(step, str) else None}
    if calls:
        message["tool_calls"] = [
            {"id": f"c{turn}{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for at, (name, given) in enumerate(calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
