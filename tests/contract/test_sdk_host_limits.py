"""What hosts may use, and that nothing an agent started outlives its pass's end by force."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from aos.drivers.hosts.values import CPU_LIMIT, MEMORY_LIMIT
from tests.contract.sdk_owner import Owner, open_pool

MEGABYTE = 1024 * 1024


def lives(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


async def gone(pids: list[int]) -> None:
    """Return when none of the processes runs."""
    assert pids
    async with asyncio.timeout(10):
        while any(lives(pid) for pid in pids):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("entry", ["starts_children", "starts_children_async"])
def test_a_cancelled_pass_ends_at_once_with_all_that_it_started(entry):
    async def case():
        async with open_pool() as pool:
            told: list[int] = []
            begun = asyncio.Event()

            def note(call):
                told.extend(call.arguments["value"])
                begun.set()

            owner = Owner(f"sdk_agents:{entry}", before=note)
            running = asyncio.create_task(owner.run(pool))
            async with asyncio.timeout(10):
                await begun.wait()
            assert all(lives(pid) for pid in told)
            began = time.monotonic()
            assert pool.cancel("task-1")
            ended = await running
            assert time.monotonic() - began < 2.5
            assert getattr(ended, "outcome", "cancelled") == "cancelled"
            assert not getattr(ended, "counted", False)
            await gone(told)
            assert (await Owner("sdk_agents:nothing", task_id="next").run(pool)).outcome == "returned"

    asyncio.run(case())


def test_a_host_that_is_killed_from_outside_takes_what_it_started_with_it():
    async def case():
        async with open_pool() as pool:
            told: list[int] = []
            owner = Owner(
                "sdk_agents:starts_children_and_dies", before=lambda call: told.extend(call.arguments["value"])
            )
            assert (await owner.run(pool)).counted
            await gone(told)

    asyncio.run(case())


def test_what_agents_of_a_killed_owner_started_ends_when_the_next_owner_begins(tmp_path):
    script = textwrap.dedent(f"""
        import asyncio, os, sys
        sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from aos.drivers.hosts.pool import HostPool
        from aos.drivers.hosts.values import HostsConfig
        from tests.contract.sdk_owner import AGENTS, Owner

        async def main():
            pool = HostPool(HostsConfig(Path({str(tmp_path)!r}) / "h.sock", agent_hosts=1, python_path=(AGENTS,)))
            await pool.start()
            if len(sys.argv) > 1:
                await pool.close()
                return
            def tell(call):
                print(*call.arguments["value"], flush=True)
                os.kill(os.getpid(), 9)
            await Owner("sdk_agents:starts_children", before=tell).run(pool)

        asyncio.run(main())
    """)
    command = [sys.executable, "-c", script]
    killed = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30, check=False)
    assert killed.returncode == -9
    left = [int(pid) for pid in killed.stdout.split()]
    assert any(lives(pid) for pid in left)
    subprocess.run([*command, "again"], timeout=30, check=True)
    asyncio.run(gone(left))


def test_a_pass_that_holds_too_much_memory_fails_with_that_reason():
    async def case():
        async with open_pool(memory_bytes_max=120 * MEGABYTE) as pool:
            died = await Owner("sdk_agents:eats_memory").run(pool)
            assert (died.code, died.counted, died.timed_out) == (MEMORY_LIMIT, True, False)
            assert "over its limit of 120 MB" in died.reason
            asked = await Owner("sdk_agents:asks_for_memory", task_id="next").run(pool)
            assert (asked.outcome, asked.error.type) == ("raised", "MemoryError")

    asyncio.run(case())


def test_a_pass_that_computes_for_too_long_fails_with_that_reason():
    async def case():
        async with open_pool(cpu_seconds_max=0.5) as pool:
            died = await Owner("sdk_agents:computes_for_ever").run(pool)
            assert (died.code, died.counted) == (CPU_LIMIT, True)
            assert "more than 0.5 s of processor time" in died.reason

    asyncio.run(case())


def test_the_work_of_a_host_that_somebody_stopped_is_done_by_another_and_is_not_held_against_it():
    async def case():
        async with open_pool(stopped_seconds=0.1) as pool:
            told: list[int] = []

            def stop(call):
                told.extend(host.pid for host in pool.hosts())
                for pid in told:
                    os.kill(pid, signal.SIGSTOP)

            died = await Owner("sdk_agents:three_calls", before=stop).run(pool)
            assert (died.counted, died.timed_out) == (False, False)
            assert "stopped from outside" in died.reason
            await gone(told)
            assert (await Owner("sdk_agents:nothing", task_id="next").run(pool)).outcome == "returned"

    asyncio.run(case())


@pytest.mark.parametrize(
    ("option", "replaced"),
    [
        ({"recycle_tasks": 2}, [False, True, False]),
        ({"recycle_bytes": 1}, None),
        ({"recycle_seconds": 0.001}, None),
        ({}, []),
    ],
)
def test_a_host_is_replaced_after_so_many_tasks_so_much_memory_or_so_long(option, replaced):
    async def case():
        async with open_pool(**option) as pool:
            async with asyncio.timeout(20):
                pids = [(await Owner("sdk_agents:process_id", task_id=f"t{n}").run(pool)).value for n in range(4)]
                while replaced is None and pids[-1] == pids[0]:
                    await asyncio.sleep(0.1)
                    pids.append((await Owner("sdk_agents:process_id", task_id="more").run(pool)).value)
            changes = [one != other for one, other in itertools.pairwise(pids)]
            if replaced is None:
                assert any(changes)
            else:
                assert changes == (replaced or [False] * 3)
            for pid in set(pids) - {host.pid for host in pool.hosts()}:
                await gone([pid])

    asyncio.run(case())


def test_as_many_hosts_as_configured_are_warm_before_the_first_pass():
    async def case():
        async with open_pool(agent_hosts=3, tool_hosts=1) as pool:
            assert [host.ready for host in pool.hosts()] == [True] * 4
            assert len({os.getpgid(host.pid) for host in pool.hosts()}) == 4

    asyncio.run(case())
