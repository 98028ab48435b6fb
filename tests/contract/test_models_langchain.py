"""LangChain's models behind the gate by a base URL and a key alone: plain, streamed and with tools, on servers of either dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from aos.kernel.dialects.values import Dialect, Tokens
from tests.contract.model_upstream import whole
from tests.contract.model_wire import Call, Reply
from tests.contract.model_worlds import ModelDoor, open_models
from tests.contract.test_models_pairs import MODELS, NAMES, calls_seen, results_seen, said
from tests.databases import Database

REPLY = Reply("It is sunny in both.", tokens=Tokens(input=231, cached=96, output=44, reasoning=12))
ASKS = Reply(
    "",
    (Call("call_1", "weather", {"city": "Zürich", "days": 3}), Call("call_2", "weather", {"city": "Bern", "days": 1})),
    Tokens(input=88, cached=3, output=31),
)
CLIENTS = ("openai", "openai-responses", "anthropic")
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
every_client = pytest.mark.parametrize("client", CLIENTS)
either_server = pytest.mark.parametrize("upstream", [Dialect.CHAT, Dialect.MESSAGES])


@tool
def weather(city: str, days: int) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city} for {days}"


@pytest.fixture
def at(database: Database) -> Iterator[ModelDoor]:
    with open_models(database, whole({}), models=MODELS) as opened:
        yield opened


def chat_model(at: ModelDoor, client: str, upstream: Dialect) -> BaseChatModel:
    """Return LangChain's model, which knows the gate's address and the agent's key and nothing else."""
    if client == "anthropic":
        return ChatAnthropic(
            model_name=NAMES[upstream],
            base_url=at.door.url,
            api_key=SecretStr(at.key),
            max_tokens_to_sample=200,
            max_retries=0,
            timeout=30,
            stop=None,
        )
    return ChatOpenAI(
        model=NAMES[upstream],
        base_url=f"{at.door.url}/v1",
        api_key=SecretStr(at.key),
        max_retries=0,
        stream_usage=True,
        use_responses_api=client == "openai-responses",
    )


def answer(model: Any, turns: list[BaseMessage], *, stream: bool) -> AIMessage:
    """Return the answer, added up of its chunks where it is streamed."""
    if not stream:
        done = model.invoke(turns)
        assert isinstance(done, AIMessage)
        return done
    whole_message: AIMessageChunk | None = None
    for chunk in model.stream(turns):
        whole_message = chunk if whole_message is None else whole_message + chunk
    assert whole_message is not None
    return whole_message


def used(message: AIMessage) -> tuple[int, int]:
    """Return input and output tokens as LangChain tells them."""
    assert message.usage_metadata is not None
    return message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]


@every_client
@either_server
@both_ways
def test_an_answer_and_its_usage_arrive(at: ModelDoor, client: str, upstream: Dialect, stream: bool) -> None:
    at.upstream.plan(said(REPLY, upstream, stream=stream))
    done = answer(chat_model(at, client, upstream), [HumanMessage("How is the weather?")], stream=stream)
    assert done.text == REPLY.text
    assert used(done) == (REPLY.tokens.input, REPLY.tokens.output)
    at.charged(REPLY.tokens)


@every_client
@either_server
@both_ways
def test_tools_are_called_over_two_turns(at: ModelDoor, client: str, upstream: Dialect, stream: bool) -> None:
    at.upstream.plan(said(ASKS, upstream, stream=stream), said(REPLY, upstream, stream=stream))
    model = chat_model(at, client, upstream).bind_tools([weather])
    turns: list[BaseMessage] = [HumanMessage("How is the weather in Zürich and Bern?")]
    first = answer(model, turns, stream=stream)
    assert [(call["id"], call["name"], call["args"]) for call in first.tool_calls] == [
        (call.id, call.name, call.arguments) for call in ASKS.calls
    ]
    turns.append(first)
    for call in first.tool_calls:
        result = weather.invoke(call)
        assert isinstance(result, ToolMessage)
        turns.append(result)
    last = answer(model, turns, stream=stream)
    assert (last.text, last.tool_calls) == (REPLY.text, [])
    sent = at.upstream.last.json
    assert calls_seen(upstream, sent) == [(call.id, call.name, call.arguments) for call in ASKS.calls]
    assert results_seen(upstream, sent) == [
        (call.id, f"sunny in {call.arguments['city']} for {call.arguments['days']}") for call in ASKS.calls
    ]
    at.charged(ASKS.tokens, REPLY.tokens)


def test_embeddings_arrive(database: Database) -> None:
    vectors = ["AAAAPwAAgL8=", "AACAPwAAAAA="]
    with open_models(database, whole(REPLY.embeddings(*vectors))) as at:
        embeddings = OpenAIEmbeddings(
            model="gpt", base_url=f"{at.door.url}/v1", api_key=SecretStr(at.key), check_embedding_ctx_length=False
        )
        assert embeddings.embed_documents(["one", "two"]) == [[0.5, -1.0], [1.0, 0.0]]
        at.charged(Tokens(input=REPLY.tokens.input))
