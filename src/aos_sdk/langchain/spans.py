"""What a graph saw of itself, as spans: evidence for the run's trace, sent in batches and never with content.

A span is a node, a question to a model or a call of a tool, with its times and the class of what it raised. The last span of
a pass says what of the graph's tools and models went through AOS.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from aos_sdk.errors import AosCallError
from aos_sdk.frames import Json
from aos_sdk.langchain.http import models_asked
from aos_sdk.parking import ParkingPass

SPANS_PER_BATCH: Final = 200
SPANS_PER_PASS_MAX: Final = 2_000
"""Spans of one pass that are kept; what comes after is not."""


class SpanHandler(BaseCallbackHandler):
    """Notes spans of one pass."""

    run_inline = True

    def __init__(self, calls: ParkingPass) -> None:
        self._calls = calls
        self._open: dict[UUID, dict[str, Json]] = {}
        self._parents: dict[UUID, UUID | None] = {}
        self._done: list[dict[str, Json]] = []
        self.tools: set[str] = set()
        self.models: set[str] = set()

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        """Note a node; what a framework wraps around it is none."""
        node, name = (more.get("metadata") or {}).get("langgraph_node"), str(more.get("name") or "")
        if parent_run_id is None or (node and name == node):
            self._begin(run_id, parent_run_id, "node" if node else "chain", name or "graph", node=node)
        else:
            self._parents[run_id] = parent_run_id

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Note a question to a model."""
        told = metadata or {}
        model = str(told.get("ls_model_name") or more.get("name") or "model")
        self.models.add(model)
        self._begin(run_id, parent_run_id, "model", model, node=told.get("langgraph_node"), model=model)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Note a tool that the framework runs itself."""
        name = str((serialized or {}).get("name") or more.get("name") or "tool")
        self.tools.add(name)
        self._begin(run_id, parent_run_id, "tool", name, node=(metadata or {}).get("langgraph_node"))

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """Note the end of a node."""
        self._end(run_id)

    def on_llm_end(self, response: Any, *, run_id: UUID, **more: Any) -> None:
        """Note an answer of a model."""
        self._end(run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **more: Any) -> None:
        """Note the end of a tool."""
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Note the failure of a node."""
        self._end(run_id, error)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Note the failure of a model."""
        self._end(run_id, error)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Note the failure of a tool."""
        self._end(run_id, error)

    async def flush(
        self, tools: Collection[str] = (), *, governed: Collection[str] = (), kept: Collection[str] = ()
    ) -> None:
        """Send what is noted, and what of it went through AOS; a run that takes no more spans loses nothing else."""
        now = time.time()
        coverage: dict[str, Json] = {
            "id": self._calls.core.start.task_id,
            "name": "coverage",
            "kind": "coverage",
            "start": now,
            "end": now,
            "tools": sorted(self.tools | set(tools)),
            "governed": sorted(governed),
            "kept": sorted(kept),
            "models": sorted(self.models),
            "models_governed": sorted(models_asked(self._calls)),
        }
        self._done.append(coverage)
        while self._done:
            batch, self._done = self._done[:SPANS_PER_BATCH], self._done[SPANS_PER_BATCH:]
            try:
                await self._calls.query("spans", "", arguments={"spans": batch})
            except AosCallError:
                self._done.clear()

    def _begin(self, run_id: UUID, parent_id: UUID | None, kind: str, name: str, **more: Any) -> None:
        self._parents[run_id] = parent_id
        if len(self._open) + len(self._done) >= SPANS_PER_PASS_MAX:
            return
        span = {"id": str(run_id), "name": name, "kind": kind, "start": time.time()}
        span.update({key: value for key, value in more.items() if value})
        parent = self._noted(parent_id)
        if parent is not None:
            span["parent"] = str(parent)
        self._open[run_id] = span

    def _noted(self, run_id: UUID | None) -> UUID | None:
        """Return the nearest one above that is a span itself."""
        while run_id is not None and run_id in self._parents and run_id not in self._open:
            run_id = self._parents[run_id]
        return run_id if run_id in self._open else None

    def _end(self, run_id: UUID, error: BaseException | None = None) -> None:
        self._parents.pop(run_id, None)
        span = self._open.pop(run_id, None)
        if span is None:
            return
        span["end"] = time.time()
        if error is not None:
            span["error"] = type(error).__name__
        self._done.append(span)
