"""`python:` tools in hosts of their own."""

from __future__ import annotations

import asyncio

import pytest

from aos_sdk.frames import ToolEnded
from tests.contract.sdk_owner import Owner, open_pool

DEADLINE_SECONDS = 60
"""For what must end: on a loaded machine a call may wait long for its turn."""


def test_a_tool_gets_keywords_and_the_idempotency_key_only_where_it_declares_it():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=0) as pool:
            for entry, arguments, value in [
                ("tool_adds", {"a": 2}, 3),
                ("tool_adds_async", {"a": 2, "b": 5}, 7),
                ("tool_pays", {"amount": 3}, [3, "key-1"]),
            ]:
                ended = await pool.run_tool(
                    f"sdk_agents:{entry}", arguments, idempotency_key="key-1", deadline_seconds=DEADLINE_SECONDS
                )
                assert (ended.ok, ended.value) == (True, value)

    asyncio.run(case())


def test_a_tool_that_was_never_entered_says_so():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=0) as pool:
            for entry, arguments in [("tool_adds", {"c": 1}), ("tool_adds", {}), ("absent", {})]:
                ended = await pool.run_tool(f"sdk_agents:{entry}", arguments, deadline_seconds=DEADLINE_SECONDS)
                assert (ended.ok, ended.refused) == (False, True)
            ended = await pool.run_tool(
                "sdk_agents:tool_breaks", {"text": "bad iban"}, deadline_seconds=DEADLINE_SECONDS
            )
            assert (ended.refused, ended.error.type, ended.error.message) == (False, "ValueError", "bad iban")

    asyncio.run(case())


def test_calls_that_reach_an_idle_host_in_one_piece_are_all_made():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=0) as pool:
            for _ in range(5):
                calls = [
                    pool.run_tool("sdk_agents:tool_adds", {"a": n}, deadline_seconds=DEADLINE_SECONDS) for n in range(8)
                ]
                assert [ended.value for ended in await asyncio.gather(*calls)] == [n + 1 for n in range(8)]

    asyncio.run(case())


def test_tools_run_beside_each_other_and_beside_agents():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=1) as pool:

            async def answer(call):
                return await pool.run_tool(
                    "sdk_agents:tool_adds", {"a": call.arguments["n"]}, deadline_seconds=DEADLINE_SECONDS
                )

            owner = Owner("sdk_agents:three_calls", before=answer)
            slow = [
                pool.run_tool("sdk_agents:tool_sleeps", {"seconds": 0.2}, deadline_seconds=DEADLINE_SECONDS)
                for _ in range(8)
            ]
            ended, *rest = await asyncio.gather(owner.run(pool), *slow)
            assert ended.value == [0, 1, 2]
            assert {one.value for one in rest} == {"slept"}

    asyncio.run(case())


def test_an_asynchronous_tool_is_cut_at_its_deadline():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=0) as pool:
            ended = await pool.run_tool("sdk_agents:tool_sleeps_async", {"seconds": 9}, deadline_seconds=0.1)
            assert isinstance(ended, ToolEnded)
            assert (ended.ok, ended.timed_out) == (False, True)

    asyncio.run(case())


def test_a_thread_past_its_deadline_costs_its_host_but_not_the_tools_beside_it():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=0) as pool:
            late = pool.run_tool("sdk_agents:tool_sleeps", {"seconds": 60}, deadline_seconds=0.1)
            beside = pool.run_tool("sdk_agents:tool_sleeps", {"seconds": 1.6}, deadline_seconds=DEADLINE_SECONDS)
            before = (await pool.run_tool("sdk_agents:tool_pid", {}, deadline_seconds=DEADLINE_SECONDS)).value
            gone, good = await asyncio.gather(late, beside)
            assert (gone.timed_out, good.value) == (True, "slept")
            after = (await pool.run_tool("sdk_agents:tool_pid", {}, deadline_seconds=DEADLINE_SECONDS)).value
            assert after != before

    asyncio.run(case())


def test_a_tool_whose_host_dies_is_told_as_died_and_the_next_one_runs():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=0) as pool:
            died = await pool.run_tool("sdk_agents:tool_dies", {}, deadline_seconds=DEADLINE_SECONDS)
            assert (died.exit_code, died.timed_out) == (-9, False)
            assert (await pool.run_tool("sdk_agents:tool_adds", {"a": 1}, deadline_seconds=DEADLINE_SECONDS)).value == 2

    asyncio.run(case())


def test_a_result_that_is_not_json_is_a_failure_of_the_tool():
    async def case():
        async with open_pool(tool_hosts=1, agent_hosts=0) as pool:
            ended = await pool.run_tool("sdk_agents:tool_no_json", {}, deadline_seconds=DEADLINE_SECONDS)
            assert (ended.ok, ended.error.type) == (False, "InvalidCall")

    asyncio.run(case())


pytestmark = pytest.mark.filterwarnings("error")
