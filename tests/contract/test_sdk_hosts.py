"""Host processes: started clean, watched, ended with their owner, and never able to harm more than what they run."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aos.drivers.hosts.pool import HostPool
from aos.drivers.hosts.values import HostDied, HostsConfig
from aos.kernel.errors import Misconfigured, Unavailable
from aos_sdk.frames import EXIT_OVERRAN, FRAME_BYTES_MAX, Hello, encode_frame
from tests.contract.sdk_owner import AGENTS, Owner, open_pool
from tests.folders import new_folder


def run(case):
    asyncio.run(case)


def begun(owner: Owner) -> asyncio.Event:
    """An event that is set when the function makes its first call."""
    event = asyncio.Event()
    owner.before = lambda call: event.set()
    return event


def test_a_host_finds_nothing_in_its_environment_but_what_is_listed():
    async def case():
        async with open_pool(variables={"MONTH_END_FOLDER": "/data"}) as pool:
            ended = await Owner("sdk_agents:environment").run(pool)
            environment, stdin, own_group = ended.value
            environment.pop("LC_CTYPE", None)
            assert environment.pop("AGENT_HOST").endswith("#agents-1;")
            assert environment == {
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PYTHONHASHSEED": "0",
                "PYTHONPATH": AGENTS,
                "MONTH_END_FOLDER": "/data",
            }
            assert (stdin, own_group) == ("", True)

    run(case())


def test_what_a_function_writes_reaches_the_owner_in_bounded_lines():
    async def case():
        lines: list = []
        async with open_pool(on_line=lines.append) as pool:
            assert (await Owner("sdk_agents:prints").run(pool)).outcome == "returned"
        out = [line.text for line in lines if line.stream == "stdout"]
        assert out[0] == "hello from the agent"
        assert [len(text) for text in out[1:4]] == [8192, 8192, 20_000 - 2 * 8192]
        assert out[4].endswith(" raw")
        assert [line.text for line in lines if line.stream == "stderr"] == ["a warning"]
        assert lines[0].task_id == "task-1"

    run(case())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("no_such_module:f", "entry `no_such_module:f` cannot be loaded: no module named `no_such_module`"),
        ("sdk_agents:absent", "entry `sdk_agents:absent` cannot be loaded: `sdk_agents` has no `absent`"),
        ("sdk_agents", "entry `sdk_agents` must read `module:function`"),
        ("needs_more:f", "entry `needs_more:f` cannot be loaded: no module named `absent_package`"),
        ("broken:f", "entry `broken:f` cannot be loaded: importing `broken` raised SyntaxError"),
    ],
)
def test_an_entry_that_cannot_be_loaded_says_what_is_missing(entry, message, tmp_path):
    (tmp_path / "needs_more.py").write_text("import absent_package\n")
    (tmp_path / "broken.py").write_text("def f(:\n")

    async def case():
        async with open_pool(python_path=(AGENTS, str(tmp_path))) as pool:
            ended = await Owner(entry).run(pool)
            assert ended.outcome == "raised"
            assert message in ended.error.message
            assert (await Owner("sdk_agents:nothing", task_id="next").run(pool)).outcome == "returned"

    run(case())


@pytest.mark.parametrize(
    "entry",
    [
        "subprocess:getoutput",
        "os:system",
        "builtins:eval",
        "aos_sdk.host:main",
        "msgspec.json:decode",
        "by_the_way:os.system",
        "by_the_way:getoutput",
        "by_the_way:eval",
    ],
)
def test_an_entry_names_what_the_operator_put_there_and_nothing_else(entry, tmp_path):
    (tmp_path / "by_the_way.py").write_text("import os\nfrom builtins import eval\nfrom subprocess import getoutput\n")

    async def case():
        async with open_pool(python_path=(AGENTS, str(tmp_path)), tool_hosts=1) as pool:
            ended = await Owner(entry).run(pool)
            assert ended.outcome == "raised"
            assert "is no agents' code" in ended.error.message
            tool = await pool.run_tool(entry, {}, deadline_seconds=5)
            assert tool.refused
            assert "is no agents' code" in tool.error.message

    run(case())


@pytest.mark.parametrize(
    ("entry", "type_name"),
    [
        ("raises", "RuntimeError"),
        ("exits", "SystemExit"),
        ("exits_async", "RuntimeError"),
        ("returns_no_json", "InvalidCall"),
        ("returns_too_much", "InvalidCall"),
    ],
)
def test_whatever_a_function_raises_or_returns_ends_its_pass_and_not_its_host(entry, type_name):
    async def case():
        async with open_pool() as pool:
            ended = await Owner(f"sdk_agents:{entry}").run(pool)
            assert (ended.outcome, ended.error.type) == ("raised", type_name)
            pid = pool.hosts()[0].pid
            assert (await Owner("sdk_agents:Desk.sums", [1, 2], task_id="next").run(pool)).value == 3
            assert pool.hosts()[0].pid == pid

    run(case())


def test_a_call_that_no_frame_can_carry_is_refused_before_it_leaves():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:sends_too_much")
            assert (await owner.run(pool)).value == ["too-large", 1]
            assert len(owner.calls) == 1
            ended = await Owner("sdk_agents:sends_no_json", task_id="next").run(pool)
            assert ended.value == ["invalid-call"] * 4

    run(case())


def test_a_killed_host_is_told_counted_and_replaced():
    async def case():
        async with open_pool() as pool:
            died = await Owner("sdk_agents:dies").run(pool)
            assert died == HostDied(died.host_id, "the host ended with status -9", -9, counted=True)
            assert (await Owner("sdk_agents:nothing", task_id="next").run(pool)).outcome == "returned"

    run(case())


def test_a_pass_over_its_limit_costs_its_host_and_is_not_counted_for_its_neighbours():
    async def case():
        async with open_pool() as pool:
            neighbour = Owner("sdk_agents:waits_for_neighbour", task_id="neighbour", agent="same")
            hold = asyncio.Event()
            started = asyncio.Event()

            async def wait(call):
                started.set()
                await hold.wait()

            neighbour.before = wait
            other = asyncio.create_task(neighbour.run(pool))
            await started.wait()
            slow = Owner("sdk_agents:waits_for_neighbour", task_id="slow", agent="same")
            slow.before = neighbour.before
            slow_end = asyncio.create_task(slow.run(pool, timeout_seconds=0.3))
            asyncio.get_running_loop().call_later(0.6, hold.set)
            first, second = await slow_end, await other
            assert (first.timed_out, first.counted) == (True, True)
            assert (second.timed_out, second.counted) == (False, False)
            assert first.host_id == second.host_id

    run(case())


@pytest.mark.parametrize("entry", ["outlives_its_signal", "outlives_its_signal_async"])
def test_a_pass_that_outlives_its_signal_costs_its_host_its_life(entry):
    async def case():
        lines: list = []
        async with open_pool(on_line=lambda line: lines.append(line.text)) as pool:
            owner = Owner(f"sdk_agents:{entry}", decide=lambda call: ("waiting", None))
            died = await owner.run(pool)
            assert (died.exit_code, died.counted) == (EXIT_OVERRAN, True)
            assert "did not end within 5 s" in died.reason
        assert any("did not end within 5 s" in line for line in lines)

    run(case())


def test_a_cancelled_pass_ends_at_its_next_call_and_frees_its_host():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:computes")
            started = begun(owner)
            pass_end = asyncio.create_task(owner.run(pool))
            await started.wait()
            assert pool.cancel("task-1") is True
            assert (await pass_end).outcome == "cancelled"
            asynchronous = Owner("sdk_agents:waits_for_neighbour", task_id="async", decide=lambda c: ("performed", 1))
            hold = asyncio.Event()
            reached = asyncio.Event()

            async def wait(call):
                reached.set()
                await hold.wait()

            asynchronous.before = wait
            pass_end = asyncio.create_task(asynchronous.run(pool))
            await reached.wait()
            pool.cancel("async")
            asyncio.get_running_loop().call_later(0.2, hold.set)
            assert (await pass_end).outcome == "cancelled"
            assert pool.cancel("async") is False

    run(case())


def test_a_caller_that_goes_away_takes_its_pass_with_it():
    async def case():
        async with open_pool() as pool:
            owner = Owner("sdk_agents:computes")
            started = begun(owner)
            pass_end = asyncio.create_task(owner.run(pool))
            await started.wait()
            pass_end.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pass_end
            assert (await Owner("sdk_agents:nothing", task_id="next").run(pool)).outcome == "returned"

    run(case())


def test_thirty_two_asynchronous_tasks_share_a_host_and_a_synchronous_one_has_it_alone():
    async def case():
        async with open_pool() as pool:
            hold = asyncio.Event()
            there = []

            async def wait(call):
                there.append(call.task_id)
                await hold.wait()

            def owner(n):
                return Owner("sdk_agents:waits_for_neighbour", task_id=f"t{n}", agent="same", before=wait)

            passes = [asyncio.create_task(owner(n).run(pool)) for n in range(40)]
            sync = asyncio.create_task(Owner("sdk_agents:three_calls", task_id="sync").run(pool))
            while len(there) < 32:
                await asyncio.sleep(0.01)
            assert pool.hosts()[0].busy == 32
            hold.set()
            assert (await sync).value == [0, 1, 2]
            assert {ended.outcome for ended in await asyncio.gather(*passes)} == {"returned"}

    run(case())


def test_another_version_of_an_agent_gets_a_host_that_has_not_imported_the_old_one(tmp_path):
    module = tmp_path / "changing.py"
    module.write_text("def f(ctx):\n    return 'old'\n")

    async def case():
        async with open_pool(python_path=(AGENTS, str(tmp_path))) as pool:
            assert (await Owner("changing:f").run(pool)).value == "old"
            module.write_text("def f(ctx):\n    return 'the new one'\n")
            assert (await Owner("changing:f", agent_version=2, task_id="b").run(pool)).value == "the new one"

    run(case())


def test_a_queue_that_is_full_and_a_wait_that_is_too_long_are_clear_errors():
    async def case():
        async with open_pool(queue_max=1, queue_seconds=0.2) as pool:
            busy = asyncio.create_task(Owner("sdk_agents:hangs", task_id="a").run(pool))
            await asyncio.sleep(0)
            waiting = asyncio.create_task(Owner("sdk_agents:nothing", task_id="b").run(pool))
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="wait for a host"):
                await Owner("sdk_agents:nothing", task_id="c").run(pool)
            with pytest.raises(Unavailable, match="no host was free"):
                await waiting
            pool.kill(pool.hosts()[0].host_id)
            assert (await busy).counted is False

    run(case())


def test_only_a_process_that_knows_the_secret_joins_and_an_oversized_frame_ends_it():
    async def case():
        async with open_pool() as pool:
            path = str(pool._config.socket_path)
            assert Path(path).stat().st_mode & 0o777 == 0o600
            for data in (
                encode_frame(Hello(pool.hosts()[0].host_id, "guessed", os.getpid())),
                (FRAME_BYTES_MAX + 1).to_bytes(4, "big") + b"x",
                b"\x00\x00\x00\x02\xc1\xc1",
            ):
                with socket.socket(socket.AF_UNIX) as stranger:
                    stranger.connect(path)
                    stranger.sendall(data)
                    stranger.setblocking(False)
                    try:
                        assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b""
                    except ConnectionResetError:
                        pass
            assert (await Owner("sdk_agents:nothing").run(pool)).outcome == "returned"

    run(case())


def test_hosts_that_cannot_start_are_a_clear_error():
    async def case():
        with pytest.raises(Misconfigured, match="No module named"):
            async with open_pool(
                python=sys.executable,
                python_path=(),
                path="/nonexistent",
                folder=None,
                variables={"PYTHONHOME": "/nonexistent"},
            ):
                pass
        with pytest.raises(Misconfigured, match="over 107 bytes"):
            await HostPool(HostsConfig(Path("/tmp") / ("x" * 120))).start()

    run(case())


def test_hosts_die_with_their_owner():
    path = new_folder("hosts") / "hosts.sock"
    script = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        sys.path[:0] = {sys.path!r}
        from tests.contract.sdk_owner import Owner, open_pool

        async def main():
            async with open_pool(socket_path=Path({str(path)!r})) as pool:
                asyncio.create_task(Owner("sdk_agents:hangs").run(pool))
                await asyncio.sleep(0.1)
                print(pool.hosts()[0].pid, flush=True)
                await asyncio.sleep(60)

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        host = os.pidfd_open(int(owner.stdout.readline()))
        os.kill(owner.pid, signal.SIGKILL)
    assert select.select([host], [], [], 30)[0]
    os.close(host)


def test_closing_ends_every_host_and_answers_what_still_runs():
    async def case():
        async with open_pool(agent_hosts=2, tool_hosts=1) as pool:
            pids = [host.pid for host in pool.hosts()]
            running = asyncio.create_task(Owner("sdk_agents:hangs").run(pool))
            await asyncio.sleep(0)
        assert (await running).counted is False
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        with pytest.raises(Unavailable, match="closed"):
            await Owner("sdk_agents:nothing").run(pool)

    run(case())
