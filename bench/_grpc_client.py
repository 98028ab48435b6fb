"""The loads of `protocols` through gRPC, in a process of its own: `python -P -m bench._grpc_client`, its orders on standard input.

Standard output carries one line of JSON: what was answered, and how long it took. Nothing of AOS but its messages is imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from aos.data_plane.grpc import aos_pb2

SERVICE: Final = "/aos.v1.Aos/"
WORK_SECONDS: Final = 120
STARTS_AT_ONCE: Final = 16


def metadata(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


def unary(channel: grpc.aio.Channel, name: str, response: Any) -> Any:
    return channel.unary_unary(
        f"{SERVICE}{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response.FromString,
    )


async def repeat(order: dict[str, Any], call: Callable[[], Awaitable[int]]) -> dict[str, Any]:
    """Keep so many calls under way for so long; `call` returns how many things its answer answers."""
    taken: list[float] = []
    done = 0
    began = time.perf_counter()
    until = began + order["seconds"]

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            started = time.perf_counter()
            answered = await call()
            done += answered
            taken.append(time.perf_counter() - started)

    await asyncio.gather(*(caller() for _ in range(order["callers"])))
    elapsed = time.perf_counter() - began
    return {"calls": len(taken), "done": done, "elapsed": elapsed, **percentiles(taken)}


def percentiles(taken: list[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {"p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)]}


async def batches(order: dict[str, Any]) -> dict[str, Any]:
    """Decide on batches of acts."""
    acts = [
        aos_pb2.Act(name=order["tool"], arguments=json.dumps({**order["arguments"], "amount": f"{n}.50"}).encode())
        for n in range(order["size"])
    ]
    request = aos_pb2.AuthorizeBatchRequest(acts=acts)
    async with grpc.aio.insecure_channel(order["address"]) as channel:
        ask = unary(channel, "AuthorizeBatch", aos_pb2.AuthorizeBatchResponse)

        async def call() -> int:
            answer = await ask(request, metadata=metadata(order["key"]))
            return sum(each.outcome == aos_pb2.Outcome.ALLOW for each in answer.decisions)

        return await repeat(order, call)


async def tools(order: dict[str, Any]) -> dict[str, Any]:
    """Call a tool."""
    request = aos_pb2.CallToolRequest(name=order["tool"], arguments=json.dumps(order["arguments"]).encode())
    async with grpc.aio.insecure_channel(order["address"]) as channel:
        ask = unary(channel, "CallTool", aos_pb2.CallToolResponse)

        async def call() -> int:
            await ask(request, metadata=metadata(order["key"]))
            return 1

        return await repeat(order, call)


class Agent:
    """One agent outside, on a connection of its own."""

    def __init__(self, address: str, key: str) -> None:
        self.channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        call = self.channel.stream_stream(
            f"{SERVICE}Work",
            request_serializer=aos_pb2.WorkRequest.SerializeToString,
            response_deserializer=aos_pb2.WorkResponse.FromString,
        )
        self.stream = call(metadata=metadata(key))
        self.started: dict[str, float] = {}
        self.closed: dict[str, float] = {}

    async def connect(self) -> None:
        await self.stream.write(aos_pb2.WorkRequest(hello=aos_pb2.Hello(slots=4, protocol=1)))
        welcome: Any = await self.stream.read()
        assert welcome.WhichOneof("frame") == "welcome", welcome

    async def work(self, answered: Callable[[], None]) -> None:
        """Answer every task at once."""
        runs: dict[str, str] = {}
        message: Any
        while (message := await self.stream.read()) is not grpc.aio.EOF:
            if message.WhichOneof("frame") == "start":
                start = message.start
                runs[start.task_id] = start.context.run_id
                self.started[start.context.run_id] = time.perf_counter()
                ended = aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.RETURNED, value=start.input)
                await self.stream.write(aos_pb2.WorkRequest(ended=ended))
            elif message.WhichOneof("frame") == "closed":
                assert not message.closed.HasField("error"), message
                self.closed[runs[message.closed.task_id]] = time.perf_counter()
                answered()


async def work(order: dict[str, Any]) -> dict[str, Any]:
    """Connect many agents; then start runs of one task, one after the other and then many at once."""
    agents = {name: Agent(order["address"], key) for name, key in order["agents"].items()}
    began = time.perf_counter()
    for each in agents.values():
        await each.connect()
    connected = time.perf_counter() - began
    print(json.dumps({"connected": connected}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # memory is read meanwhile
    left = asyncio.Semaphore(0)
    working = [asyncio.create_task(each.work(left.release)) for each in agents.values()]
    names = list(agents)
    async with grpc.aio.insecure_channel(order["address"]) as channel:
        start = unary(channel, "StartRun", aos_pb2.StartRunResponse)

        async def run(name: str) -> tuple[str, str, float]:
            asked = time.perf_counter()
            request = aos_pb2.StartRunRequest(agent=name, input=b'{"n": 1}')
            answer = await start(request, metadata=metadata(order["token"]))
            return name, answer.run_id, asked

        alone = []
        for number in range(order["alone"]):
            alone.append(await run(names[number * 7 % len(names)]))
            await asyncio.wait_for(left.acquire(), WORK_SECONDS)
        burst_began = time.perf_counter()
        turns = asyncio.Semaphore(STARTS_AT_ONCE)

        async def in_turn(name: str) -> str:
            async with turns:
                return (await run(name))[1]

        burst = await asyncio.gather(*(in_turn(name) for name in names))
        for _ in burst:
            await asyncio.wait_for(left.acquire(), WORK_SECONDS)
        burst_seconds = time.perf_counter() - burst_began
    to_agent = [agents[name].started[run_id] - asked for name, run_id, asked in alone]
    to_closed = [agents[name].closed[run_id] - agents[name].started[run_id] for name, run_id, _ in alone]
    for task in working:
        task.cancel()
    return {
        "to_agent": percentiles(to_agent),
        "to_closed": percentiles(to_closed),
        "tasks": len(burst),
        "tasks_per_second": len(burst) / burst_seconds,
    }


LOADS: Final = {"batches": batches, "tools": tools, "work": work}


def main() -> None:
    order = json.loads(sys.stdin.readline())
    if order.get("core") is not None:
        os.sched_setaffinity(0, {order["core"]})
    print(json.dumps(asyncio.run(LOADS[order["load"]](order))), flush=True)
    os._exit(0)  # a thousand channels take seconds to close


if __name__ == "__main__":
    main()
