"""Graphs outside of AOS, with nothing changed but base URL and key: their models are asked through the gate."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.kernel.dialects.values import Dialect, Tokens
from tests import graph_agents
from tests.contract.model_upstream import whole
from tests.contract.model_wire import Call, Reply
from tests.contract.model_worlds import open_models
from tests.contract.test_models_pairs import said
from tests.databases import Database

PAYMENT = {"iban": "DE71500105175813421938", "amount": "12", "currency": "EUR"}
USED = Tokens(input=10, output=5)
TURNS = (
    Reply("", (Call("call_1", "erp_read", {"order": "A1"}),), USED),
    Reply("", (Call("call_2", "payments_create", PAYMENT),), USED),
    Reply("paid", (), USED),
)


def deep_agent() -> Any:
    """Make an agent of DeepAgents' that is not governed: it runs its tools itself."""
    from deepagents import create_deep_agent
    from langchain_openai import ChatOpenAI

    return create_deep_agent(model=ChatOpenAI(model="gpt"), tools=graph_agents.TOOLS)


def react() -> Any:
    """Return the graph by hand."""
    return graph_agents.ungoverned


def agent() -> Any:
    """Make an agent of LangChain's that is not governed."""
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    return create_agent(ChatOpenAI(model="gpt"), graph_agents.TOOLS)


# LangChain keeps its asynchronous clients for the process, past the loop of one test.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("make", [react, agent, deep_agent])
def test_a_graph_needs_nothing_but_base_url_and_key(
    database: Database, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    with open_models(database, whole({})) as at:
        at.upstream.plan(*(said(turn, Dialect.CHAT, stream=False) for turn in TURNS))
        monkeypatch.setenv("OPENAI_BASE_URL", f"{at.door.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", at.key)
        asked = {"messages": [{"role": "user", "content": "Pay order A1"}]}
        graph = make()
        state = asyncio.run(graph.ainvoke(asked)) if make is react else graph.invoke(asked)
        assert state["messages"][-1].text == "paid"
        at.charged(USED, USED, USED)
