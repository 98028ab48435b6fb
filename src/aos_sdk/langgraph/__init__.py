"""LangGraph, LangChain and DeepAgents graphs as agents of AOS: `govern`, `Checkpointer`, and what runs them in a host."""

from aos_sdk.langgraph.checkpoints import Checkpointer
from aos_sdk.langgraph.governed import govern
from aos_sdk.langgraph.running import load_graph

__all__ = ["Checkpointer", "govern", "load_graph"]
