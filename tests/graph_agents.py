"""Graphs as their frameworks' own documentation writes them, for tests of graphs that AOS runs."""

from __future__ import annotations

import os
import signal
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

from aos_sdk.langchain import chat_model
from aos_sdk.langgraph import govern


@tool
def erp_read(order: str) -> str:
    """Read an order."""
    return "ran in the framework"


@tool
def payments_create(iban: str, amount: str, currency: str) -> str:
    """Pay."""
    return "ran in the framework"


@tool
def shell(command: str) -> str:
    """Run a command."""
    return "ran in the framework"


def dies_once(folder: str) -> None:
    """Kill this process the first time that it comes here."""
    mark = Path(folder) / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@tool
def dies(folder: str) -> str:
    """Kill this host, once."""
    dies_once(folder)
    return "alive"


TOOLS = [erp_read, payments_create, shell, dies]


def _react() -> Any:
    """Return the graph of a tool-calling agent, by hand."""

    async def ask(state: MessagesState) -> dict[str, Any]:
        model = ChatOpenAI(model="gpt").bind_tools(TOOLS)
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_node("tools", ToolNode(TOOLS))
    builder.add_edge(START, "ask")
    builder.add_conditional_edges("ask", tools_condition)
    builder.add_edge("tools", "ask")
    return builder


builder = govern(_react(), leave=["dies"])
graph = builder.compile()
ungoverned = _react().compile()


def agent() -> Any:
    """Make an agent of LangChain's."""
    return govern(create_agent(ChatOpenAI(model="gpt"), TOOLS), leave=["dies"])


def careful_agent() -> Any:
    """Make an agent that asks a person before it pays."""
    ask = HumanInTheLoopMiddleware(interrupt_on={"payments_create": True})
    return govern(create_agent(ChatOpenAI(model="gpt"), TOOLS, middleware=[ask]))


def deep_agent() -> Any:
    """Make an agent of DeepAgents'."""
    from deepagents import create_deep_agent

    return govern(create_deep_agent(model=ChatOpenAI(model="gpt"), tools=TOOLS), leave=["dies"])


class Steps(TypedDict):
    folder: str
    log: Annotated[list[str], add]


def _in_a_thread(state: Steps) -> dict[str, Any]:
    answer = ChatOpenAI(model="gpt").invoke("first")
    return {"log": [f"first {answer.text}"]}


async def _second(state: Steps) -> dict[str, Any]:
    answer = await ChatOpenAI(model="gpt").ainvoke("second")
    if state["folder"]:
        dies_once(state["folder"])
    return {"log": [f"second {answer.text}"]}


steps = (
    StateGraph(Steps)
    .add_node("one", _in_a_thread)
    .add_node("two", _second)
    .add_edge(START, "one")
    .add_edge("one", "two")
    .add_edge("two", END)
    .compile()
)


async def _talks(state: MessagesState) -> dict[str, Any]:
    from langchain_anthropic import ChatAnthropic  # half of what all these imports take, in each host anew

    claude = ChatAnthropic(model_name="gpt", timeout=None, stop=None)
    first = await claude.ainvoke(state["messages"])
    return {"messages": [first, await chat_model("gpt").ainvoke("and?")]}


talks = StateGraph(MessagesState).add_node("talks", _talks).add_edge(START, "talks").compile()


class Asked(TypedDict):
    name: str
    said: Annotated[list[Any], add]


def _asks_twice(state: Asked) -> dict[str, Any]:
    return {"said": [interrupt({"question": "go on?"}), interrupt({"question": "go on?"})]}


asks = StateGraph(Asked).add_node("asks", _asks_twice).add_edge(START, "asks").compile()


stops = (
    StateGraph(Asked)
    .add_node("first", lambda state: {"said": ["first"]})
    .add_node("second", lambda state: {"said": ["second"]})
    .add_edge(START, "first")
    .add_edge("first", "second")
    .compile(interrupt_before=["second"])
)


class Large(TypedDict):
    text: str


large = StateGraph(Large).add_node("grow", lambda state: {"text": "x" * 5_000_000}).add_edge(START, "grow").compile()


class Memory(TypedDict):
    seen: Annotated[list[str], add]


remembers = StateGraph(Memory).add_node("n", lambda state: {"seen": []}).add_edge(START, "n").compile()
