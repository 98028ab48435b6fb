"""A checkpoint saver of LangGraph's that keeps checkpoints with AOS, for the task in whose pass it is used.

The thread is the run's, else the task's, whatever a graph names: another `thread_id` only divides it. Synchronous methods
are for nodes that run in threads; on the loop the asynchronous ones are to be used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.types import RESUME
from langgraph.types import PregelTask

from aos_sdk.errors import InvalidCall
from aos_sdk.frames import CHECKPOINT_BYTES_MAX, Json
from aos_sdk.parking import ParkingPass, current_pass

_PAGE = 50

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Checkpointer(BaseCheckpointSaver[int]):
    """Keeps checkpoints in AOS's database, encrypted, for as long as the run or its thread is kept.

    A checkpoint over `CHECKPOINT_BYTES_MAX` bytes is refused with `InvalidCall`, as is one past what a thread may hold.
    """

    def __init__(self, calls: ParkingPass | None = None) -> None:
        """Keep them for the pass `calls`, else for whichever pass the saver is used in."""
        super().__init__()
        self._calls = calls
        self.namespaces: set[str] = set()
        """Those of which checkpoints are kept: of the graphs that go on at one."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint by its id, else the newest of its thread and namespace."""
        asked = _place(config)
        asked["namespace"] = asked["namespace"] or ""
        found = await self._list(config, **asked, limit=1)
        return self._tuple(config, found[0]) if found else None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints of a thread, the newest first."""
        if config is None:
            return
        asked, left = _place(config), limit
        if before is not None:
            asked["before"] = before["configurable"].get("checkpoint_id")
        while left is None or left > 0:
            page = await self._list(config, **asked, limit=_PAGE)
            for each in page:
                found = self._tuple(config, each)
                if filter and any(found.metadata.get(name) != value for name, value in filter.items()):
                    continue
                yield found
                left = None if left is None else left - 1
                if left == 0:
                    return
            if len(page) < _PAGE or asked.get("id"):
                return
            asked["before"] = page[-1]["id"]

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint; it is stored when this returns."""
        place, parent = _place(config), config["configurable"].get("checkpoint_id")
        kept = [*self.serde.dumps_typed(checkpoint), *self.serde.dumps_typed(get_checkpoint_metadata(config, metadata))]
        body = _bounded(kept, f"checkpoint `{checkpoint['id']}`")
        given = {**place, "id": checkpoint["id"], "parent": parent, "body": body}
        await self._pass().query("checkpoint", "put", arguments=given)
        self.namespaces.add(place["namespace"] or "")
        return _config(config, place["namespace"] or "", checkpoint["id"])

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a node wrote; what it wrote before stays, but for what LangGraph says of it besides."""
        groups: dict[int, list[Json]] = {}
        for position, (channel, value) in enumerate(writes):
            slot = WRITES_IDX_MAP.get(channel, 0)
            groups.setdefault(slot, []).append([task_path, position, channel, *self.serde.dumps_typed(value)])
        for slot, group in groups.items():
            body = _bounded(group, f"what a node wrote to `{group[0][2]}`")
            given = {**_place(config), "writer": task_id, "slot": slot, "replaces": slot < 0, "body": body}
            await self._pass().query("checkpoint", "writes", arguments=given)

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget the thread of this task."""
        await self._pass().query("checkpoint", "forget", arguments={})

    async def count_resumes(self, config: RunnableConfig, task: PregelTask) -> int:
        """Return how many answers a step of a graph has taken: what tells one interrupt of it from the next."""
        within = f"{task.name}:{task.id}"
        taken = 0
        for kept in await self._list(config, limit=_PAGE):
            inside = kept["namespace"].startswith(within)
            for each in kept["writes"]:
                if each["slot"] == WRITES_IDX_MAP[RESUME] and (inside or each["writer"] == task.id):
                    values = [self.serde.loads_typed((kind, body)) for *_, kind, body in _decode(each["body"])]
                    taken += sum(len(value) if isinstance(value, list) else 1 for value in values)
        return taken

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, from a thread."""
        return self._pass().wait(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, from a thread."""

        async def every() -> Sequence[CheckpointTuple]:
            return [found async for found in self.alist(config, filter=filter, before=before, limit=limit)]

        yield from self._pass().wait(every())

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint, from a thread."""
        return self._pass().wait(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a node wrote, from a thread."""
        self._pass().wait(self.aput_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """Forget the thread of this task, from a thread."""
        self._pass().wait(self.adelete_thread(thread_id))

    def _pass(self) -> ParkingPass:
        calls = self._calls or current_pass()
        if calls is None:
            raise InvalidCall("checkpoints are kept with AOS inside a task of an agent only", slug="invalid-call")
        return calls

    async def _list(self, config: RunnableConfig, **asked: Json) -> Sequence[dict[str, Any]]:
        found: Sequence[dict[str, Any]] = await self._pass().query("checkpoint", "list", arguments=asked)
        self.namespaces.update(each["namespace"] for each in found)
        return found

    def _tuple(self, config: RunnableConfig, kept: dict[str, Any]) -> CheckpointTuple:
        kind, body, metadata_kind, metadata = _decode(kept["body"])
        pending = [
            (writes_sort_key(path, each["writer"], position), (each["writer"], channel, of_kind, value))
            for each in kept["writes"]
            for path, position, channel, of_kind, value in _decode(each["body"])
        ]
        parent, namespace = kept["parent"], kept["namespace"]
        return CheckpointTuple(
            config=_config(config, namespace, kept["id"]),
            checkpoint=self.serde.loads_typed((kind, body)),
            metadata=self.serde.loads_typed((metadata_kind, metadata)),
            parent_config=_config(config, namespace, parent) if parent else None,
            pending_writes=[
                (writer, channel, self.serde.loads_typed((of_kind, value)))
                for _, (writer, channel, of_kind, value) in sorted(pending, key=lambda each: each[0])
            ],
        )


def _place(config: RunnableConfig) -> dict[str, Any]:
    """Return which checkpoint a config names; a thread of the graph's own is a part of the task's."""
    named, calls = config["configurable"], current_pass()
    thread = str(named.get("thread_id") or "")
    own = calls.core.start.context.thread if calls is not None else ""
    found: dict[str, Any] = {"namespace": named.get("checkpoint_ns"), "id": named.get("checkpoint_id")}
    if thread and own and thread != own:
        found["part"] = thread
    return found


def _config(config: RunnableConfig, namespace: str, id: str) -> RunnableConfig:
    thread = config["configurable"].get("thread_id")
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": id}}


def _bounded(value: Json, what: str) -> bytes:
    body = _encode(value)
    if len(body) > CHECKPOINT_BYTES_MAX:
        raise InvalidCall(
            f"{what} has {len(body)} bytes, more than the {CHECKPOINT_BYTES_MAX} that one may have: keep large things"
            " outside of the graph's state, and their names in it",
            slug="too-large",
        )
    return body
