"""A chat model of LangChain's behind AOS's door."""

from __future__ import annotations

from typing import Any

from langchain_openai import ChatOpenAI

from aos_sdk.langchain.http import models_url


def chat_model(model: str = "auto", **parameters: Any) -> ChatOpenAI:
    """Return a chat model that asks AOS for `model`: a model's name, `purpose:NAME` or `auto`.

    Inside a graph that AOS runs each request is a call of its task. Outside the key stands in OPENAI_API_KEY and the address
    in OPENAI_BASE_URL, as `aos agents env` prints them. `parameters` are those of `ChatOpenAI`.
    """
    inside = models_url()
    if inside is not None:
        parameters = {"base_url": f"{inside}/v1", "api_key": "aos", **parameters}
    return ChatOpenAI(**{"model": model, "max_retries": 0, **parameters})
