"""A2A through two data planes that share one port, of which one is killed under a stream and between two requests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types import CancelTaskRequest, GetTaskRequest, SendMessageRequest, SubscribeToTaskRequest, TaskState

from tests.contract.a2a_peer import BOTH, data
from tests.e2e.installation import Installation, installation
from tests.store.embedded_home import wait_until

AGENTS = """
async def naps(ctx):
    await ctx.sleep(ctx.input["seconds"])
    return ctx.input
"""


@dataclass(frozen=True)
class Company:
    """An AOS of two data planes with an agent that sleeps, and the key of one that may call it."""

    made: Installation
    key: str
    token: str

    @asynccontextmanager
    async def client(self, binding: Any) -> AsyncIterator[Client]:
        """Connect the official client; each request may reach either process."""
        headers = {"Authorization": f"Bearer {self.key}"}
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits) as http:
            card = await A2ACardResolver(http, f"{self.made.url}/a2a/naps").get_agent_card()
            config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding])
            yield ClientFactory(config).create(card)

    def kill(self) -> None:
        """Kill one process, and the other as soon as that one serves again: whoever served a stream is gone then."""
        for name in ("data-plane-0", "data-plane-1"):
            former = self.made.processes()[name]
            os.kill(former, signal.SIGKILL)
            wait_until(lambda: self.made.serves_again(name, former), "the data plane serves again")  # noqa: B023

    def runs(self) -> list[Any]:
        answer = httpx.get(f"{self.made.url}/runs", headers={"Authorization": f"Bearer {self.token}"}, timeout=60)
        return list(answer.json()["items"])


def call(made: Installation, token: str, *arguments: str, given: str = "") -> str:
    """Call `aos` as the administrator and return all that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "aos.boot.main", *arguments],
        env=made.environment() | {"AOS_URL": made.url, "AOS_TOKEN": token},
        cwd=made.folder,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    with installation(AOS_DATA_PLANES="2") as made:
        (made.folder / "sleepers.py").write_text(AGENTS)
        said = made.up()
        (link,) = set(re.findall(r"aosl_[A-Za-z0-9_-]+", said))
        token = httpx.post(f"{made.url}/people/link", json={"link": link}, timeout=60).json()["token"]
        there = {"a2a": {"url": f"{made.url}/a2a/naps", "secret": "partner"}}
        agents = {
            "naps": {"type": "functional", "runtime": {"python": "sleepers:naps"}},
            "caller": {"type": "functional", "delegates": ["naps"]},
            "naps_there": {"type": "functional", "runtime": there},
        }
        hosts = [f"127.0.0.1:{made.port}"]
        file = made.folder / "aos.yaml"
        file.write_text(json.dumps({"aos": 1, "organization": {"hosts": hosts}, "agents": agents}))
        said = call(made, token, "apply", "--yes", "-f", str(file))
        assert "is sent the secret `partner`, which is not set" in said
        headers = {"Authorization": f"Bearer {token}"}
        made_key = httpx.post(f"{made.url}/agents/caller/api-keys", json={"label": "test"}, headers=headers, timeout=60)
        call(made, token, "secrets", "set", "partner", given=made_key.json()["api_key"])
        yield Company(made, made_key.json()["api_key"], token)
        made.aos("down")


async def rest_of(events: AsyncIterator[Any]) -> None:
    """Read a stream until it breaks, or ends with nothing more to tell."""
    while True:
        await anext(events)


async def short(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Return the first event of a stream alone."""
    yield await anext(events)


@BOTH
def test_a_task_goes_on_in_the_other_process_when_one_is_killed_under_its_stream(
    company: Company, binding: Any
) -> None:
    before = len(company.runs())
    message = data({"seconds": 600})

    async def main() -> None:
        async with company.client(binding) as client:
            events = client.send_message(SendMessageRequest(message=message))
            task = (await anext(events)).task
            await asyncio.to_thread(company.kill)
            with pytest.raises((A2AClientError, StopAsyncIteration)):
                await rest_of(events)
            assert (await client.get_task(GetTaskRequest(id=task.id))).id == task.id
            events = client.subscribe(SubscribeToTaskRequest(id=task.id))
            assert (await anext(events)).task.id == task.id
            again = [event async for event in short(client.send_message(SendMessageRequest(message=message)))]
            assert again[0].task.id == task.id  # what was sent before is not done twice
            await client.cancel_task(CancelTaskRequest(id=task.id))
            last = [event async for event in events][-1]
            assert last.status_update.status.state == TaskState.TASK_STATE_CANCELED

    asyncio.run(main())
    assert len(company.runs()) == before + 1


def test_an_agent_that_is_reached_by_a2a_is_run_like_any_other(company: Company) -> None:
    answer = httpx.post(
        f"{company.made.url}/runs",
        json={"agent": "naps_there", "input": {"seconds": 0.1}},
        headers={"Authorization": f"Bearer {company.token}", "Prefer": "wait=30"},
        timeout=60,
    )
    assert answer.is_success, answer.text
    assert (answer.json()["state"], answer.json()["output"]) == ("succeeded", {"seconds": 0.1}), answer.text
    traced = [run for run in company.runs() if "traceparent" in run["labels"]]
    ours = answer.json()["id"].replace("-", "")
    assert [(run["name"], run["labels"]["traceparent"][:36]) for run in traced] == [("naps", f"00-{ours}-")]
