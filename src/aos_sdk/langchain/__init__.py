"""LangChain with AOS: chat models that ask through the gate, whether inside a task of an agent or outside with a key."""

from aos_sdk.langchain.models import chat_model

__all__ = ["chat_model"]
