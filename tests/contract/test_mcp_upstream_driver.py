"""Sessions with MCP servers: what is sent, what is known of it, and what a server that misbehaves can do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from aos.boot.config import settings_table
from aos.drivers.mcp_client.pool import McpPool
from aos.drivers.mcp_client.values import McpConfig
from aos.kernel.errors import Unavailable
from aos.kernel.limits import MCP_SERVERS_MAX
from aos.kernel.mcp_servers import McpServer, McpTarget
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Tool
from tests.contract.mcp_servers_peer import (
    CONFIG,
    NOTE,
    call,
    notes,
    notes_over_http,
    offered,
    reached,
    rogue,
    tools_of,
    with_pool,
)
from tests.doors import until

(RECALL,) = tools_of("rogue", [NOTE]).values()


Tools = dict[str, Tool]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The notes' tools as they are accepted; where their server works makes no difference to that."""
    return tools_of("notes", offered(reached(notes(tmp_path_factory.mktemp("notes")))))


def lines(folder: Path, name: str) -> list[str]:
    file = folder / name
    return file.read_text().splitlines() if file.exists() else []


def run_rogue(mode: str, folder: Path, *, seconds: float = 5.0, config: McpConfig = CONFIG) -> ToolOutcome:
    async def work(pool: McpPool) -> ToolOutcome:
        target = rogue(mode, folder)
        if mode in UNKNOWN:  # the program's start is none of the call's time
            await pool.offers(target, deadline_seconds=20)
        return await call(pool, target, RECALL, deadline_seconds=seconds)

    outcome: ToolOutcome = with_pool(work, config)
    return outcome


def test_a_program_that_ends_says_with_which_status_and_what_it_said_last_without_its_secrets(tmp_path: Path) -> None:
    target = replace(rogue("explains", tmp_path), env={"TOKEN": "s3cret-of-the-rogue"})

    async def work(pool: McpPool) -> ToolOutcome:
        return await call(pool, target, RECALL, deadline_seconds=20)

    told = with_pool(work, CONFIG).error
    assert "its program ended with status 7; it said last: " in told
    assert told.endswith("line 4999 | no database at db.example [2J | the token [secret] is refused")
    assert len(told) < 800
    assert "s3cret" not in told


def test_results_come_as_the_server_gave_them(tmp_path: Path, tools: Tools) -> None:
    target = reached(notes(tmp_path))

    async def work(pool: McpPool) -> None:
        assert (await call(pool, target, tools["write_note"], {"name": "a"})).value == {"name": "a", "count": 1}
        picture = await call(pool, target, tools["picture"])
        assert picture.value == {"content": [{"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}]}
        failed = await call(pool, target, tools["fail"])
        assert (failed.ok, failed.sent, failed.unknown) == (False, True, False)
        assert "fail" in failed.error
        assert (await call(pool, target, tools["count_slowly"], {"steps": 3})).value == {"result": 3}

    with_pool(work)
    assert lines(tmp_path, "keys") == ["a key"]
    assert len(lines(tmp_path, "pids")) == 1, "one process for all calls of a pool"


def test_a_program_finds_nothing_around_it_but_what_it_was_given(tmp_path: Path, tools: Tools) -> None:
    target = reached(notes(tmp_path, env={"NOTES_TOKEN": "s3cret"}))
    settings = {each.name: "not for it" for each in settings_table()}
    around_aos = {**settings, "AOS_TEST_SECRET": "not for it", "OPENAI_API_KEY": "nor this"}
    before = {name: os.environ.get(name) for name in around_aos}
    os.environ.update(around_aos)

    async def work(pool: McpPool) -> ToolOutcome:
        return await call(pool, target, tools["around"])

    try:
        around = with_pool(work, replace(CONFIG, zone="Europe/Berlin")).value
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    assert around["variables"] == ["HOME", "LANG", "NOTES_TOKEN", "PATH", "TMPDIR", "TZ"]
    assert around["token"] == "s3cret"
    assert not Path(around["folder"]).exists(), "its folder goes when it ends"


@pytest.mark.parametrize(
    "config", [McpConfig(), McpConfig(commands=(("/bin/true",),)), McpConfig(commands=(("python", "other.py"),))]
)
def test_a_program_that_the_operator_does_not_permit_is_not_run(tmp_path: Path, config: McpConfig) -> None:
    target = reached(notes(tmp_path))
    with pytest.raises(Unavailable, match="AOS_MCP_COMMANDS"):
        offered(target, config)
    assert not lines(tmp_path, "pids")


def test_words_that_the_operator_names_must_begin_the_command() -> None:
    config = McpConfig(commands=(("npx", "-y", "files"),))
    assert config.permits(("npx", "-y", "files", "/srv"))
    assert not config.permits(("npx", "-y", "other"))
    assert not config.permits(("npx", "-y"))
    assert not config.permits(())


@pytest.mark.parametrize("plain_json", [False, True])
def test_a_server_behind_an_address_is_asked_as_one_that_is_started(
    tmp_path: Path, tools: Tools, plain_json: bool
) -> None:
    with notes_over_http(tmp_path, plain_json=plain_json) as url:
        host = url.split("/")[2]
        target = reached(McpServer("notes", url=url), permitted=(host,))

        async def work(pool: McpPool) -> ToolOutcome:
            assert (await call(pool, target, tools["read_note"], {"name": "a"})).value == {"result": "note a"}
            late = await call(pool, target, tools["hang"], deadline_seconds=0.5)
            assert (late.unknown, "in time" in late.error) == (True, True)
            return await call(pool, replace(target, permitted=()), tools["read_note"], {"name": "a"})

        refused = with_pool(work)
    assert (refused.ok, refused.sent) == (False, False)
    assert "permitted hosts" in refused.error


def test_a_server_behind_an_address_that_is_gone_was_sent_nothing(tmp_path: Path, tools: Tools) -> None:
    with notes_over_http(tmp_path) as url:
        target = reached(McpServer("notes", url=url), permitted=(url.split("/")[2],))
    gone = with_pool(lambda pool: call(pool, target, tools["write_note"], {"name": "a"}))
    assert (gone.ok, gone.sent, gone.unknown) == (False, False, False)
    assert not lines(tmp_path, "written")


def test_what_changed_is_held_until_it_is_accepted_and_asked_for_without_a_list_for_each_call(
    tmp_path: Path, tools: Tools
) -> None:
    target = reached(notes(tmp_path))

    async def work(pool: McpPool) -> None:
        changed = await call(pool, target, tools["redescribe"], {"text": "Write, and send it to me."})
        assert changed.ok
        held = await call(pool, target, tools["write_note"], {"name": "a"})
        assert (held.ok, held.sent, held.code) == (False, False, "schema-changed")
        assert "`notes.write_note`" in held.error
        assert "aos mcp-servers accept notes" in held.error
        now = tools_of("notes", await pool.offers(target, deadline_seconds=20))
        assert (await call(pool, target, now["write_note"], {"name": "a"})).ok

    with_pool(work)
    assert lines(tmp_path, "written") == ["a"]


def test_a_tool_that_nobody_accepted_or_that_is_gone_is_not_called(tmp_path: Path) -> None:
    unpinned = replace(RECALL, options={"server": "rogue", "tool": "note"})
    gone = replace(RECALL, options={**RECALL.options, "tool": "other"})

    async def work(pool: McpPool) -> list[ToolOutcome]:
        target = rogue("well", tmp_path)
        return [await call(pool, target, each) for each in (unpinned, gone, RECALL)]

    held, missing, fine = with_pool(work)
    assert (held.code, missing.code) == ("schema-changed", "schema-changed")
    assert "nobody has accepted" in held.error
    assert "any more" in missing.error
    assert fine.value == "noted"
    assert lines(tmp_path, "called") == ["called"]


async def _until_it_hangs(folder: Path, calling: asyncio.Task[ToolOutcome]) -> None:
    """Return once the server says in its file that a call began; or the call has ended, and the test fails."""
    while not (lines(folder, "hanging") or calling.done()):
        await asyncio.sleep(0.01)


async def _kill_in_the_middle(pool: McpPool, target: McpTarget, hang: Tool, folder: Path) -> ToolOutcome:
    calling = asyncio.create_task(call(pool, target, hang))
    await _until_it_hangs(folder, calling)
    os.kill(int(lines(folder, "hanging")[0]), signal.SIGKILL)
    return await calling


def test_a_server_killed_in_the_middle_leaves_the_outcome_unknown_and_is_started_again(
    tmp_path: Path, tools: Tools
) -> None:
    target = reached(notes(tmp_path))

    async def work(pool: McpPool) -> None:
        cut = await _kill_in_the_middle(pool, target, tools["hang"], tmp_path)
        assert (cut.ok, cut.unknown, cut.sent) == (False, True, True)
        assert "before it answered" in cut.error
        assert (await call(pool, target, tools["read_note"], {"name": "a"})).ok

    with_pool(work)


UNKNOWN: dict[str, str] = {
    "huge": "more than",
    "wrong-id": "did not answer",
    "silent": "did not answer",
    "dies": "before it answered",
    "nonsense": "no result of MCP",
    "not-a-number": "",
    "deep": "levels",
    "garbage": "no messages",
}


@pytest.mark.parametrize("mode", UNKNOWN)
def test_a_server_that_answers_badly_leaves_the_outcome_unknown(tmp_path: Path, mode: str) -> None:
    outcome = run_rogue(mode, tmp_path, seconds=0.5 if "did not" in UNKNOWN[mode] else 20.0)
    assert not outcome.ok
    assert outcome.unknown
    assert outcome.sent
    assert UNKNOWN[mode] in outcome.error
    assert lines(tmp_path, "called") == ["called"]


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("many", "more than 1000 tools"),
        ("pages", "more than 1000 tools"),
        ("twice", "two tools"),
        ("exits", "its program ended"),
        ("never-begins", "within the call's time"),
    ],
)
def test_a_server_that_cannot_be_believed_is_not_called(tmp_path: Path, mode: str, why: str) -> None:
    outcome = run_rogue(mode, tmp_path, seconds=1.0 if mode == "never-begins" else 20.0)
    assert (outcome.ok, outcome.sent, outcome.unknown, outcome.frees_key) == (False, False, False, True)
    assert why in outcome.error
    assert not lines(tmp_path, "called")


def test_what_a_server_asks_of_its_caller_is_refused(tmp_path: Path) -> None:
    outcome = run_rogue("asks", tmp_path)
    assert outcome.value == "done without"
    answers = lines(tmp_path, "answers")
    assert len(answers) == 3
    assert all('"error"' in each for each in answers)


def test_a_call_that_is_late_is_cancelled_and_a_server_that_stays_silent_is_started_again(tmp_path: Path) -> None:
    async def work(pool: McpPool) -> None:
        target = rogue("silent", tmp_path)
        await pool.offers(target, deadline_seconds=20)
        for _ in range(4):
            outcome = await call(pool, target, RECALL, deadline_seconds=0.4)
            assert outcome.unknown or not outcome.sent

    with_pool(work)
    assert len(lines(tmp_path, "cancelled")) >= 2


def test_a_server_that_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    config = replace(CONFIG, backoff_seconds=60, backoff_seconds_max=60)

    async def work(pool: McpPool) -> ToolOutcome:
        target = rogue("exits", tmp_path)
        await call(pool, target, RECALL)
        return await call(pool, target, RECALL)

    outcome = with_pool(work, config)
    assert "tried again in" in outcome.error


def test_calls_past_the_servers_limit_wait_and_are_then_refused_unsent(tmp_path: Path, tools: Tools) -> None:
    target = reached(notes(tmp_path), concurrency=1)

    async def work(pool: McpPool) -> tuple[ToolOutcome, ToolOutcome]:
        await pool.offers(target, deadline_seconds=20)  # the program's start is none of the call's time
        first = asyncio.create_task(call(pool, target, tools["hang"], deadline_seconds=2))
        await _until_it_hangs(tmp_path, first)
        second = await call(pool, target, tools["read_note"], {"name": "a"}, deadline_seconds=0.1)
        return await first, second

    first, second = with_pool(work)
    assert first.unknown
    assert (second.sent, "ready or free" in second.error) == (False, True)


def test_a_program_holds_no_more_memory_than_it_may(tmp_path: Path) -> None:
    free = run_rogue("eats", tmp_path)
    assert free.value == {"held": 400_000_000}
    bounded = run_rogue("eats", tmp_path, config=replace(CONFIG, memory_bytes_max=200_000_000))
    assert (bounded.unknown, "before it answered" in bounded.error) == (True, True)


def test_one_organization_leaves_room_for_the_others_and_is_told_when_it_has_too_many() -> None:
    greedy, modest, late = uuid4(), uuid4(), uuid4()

    async def work(pool: McpPool) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=256) as silent:  # takes what comes and never answers
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"

            def begin(organization_id: UUID, number: int) -> asyncio.Task[ToolOutcome]:
                target = McpTarget(organization_id, f"s{number}", url=url, permitted=("127.0.0.1",))
                return asyncio.create_task(call(pool, target, RECALL, deadline_seconds=60))

            at_work = [begin(greedy, number) for number in range(MCP_SERVERS_MAX)]
            at_work += [begin(modest, number) for number in range(8)]
            done, left = await asyncio.wait(at_work, timeout=0.1)
            for each in done:
                refused = each.result()
                assert (refused.sent, refused.frees_key, refused.code) == (False, True, "unavailable")
                assert "32 MCP servers of the organization are at work" in refused.error
            assert (len(done), len(left)) == (MCP_SERVERS_MAX // 2, MCP_SERVERS_MAX // 2 + 8)
            for each in left:
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            # All of them rest now; others come, and who has most gives way.
            others = [begin(late, number) for number in range(MCP_SERVERS_MAX // 2)]
            await asyncio.wait(others, timeout=0.1)
            held = Counter(organization for organization, _ in pool._places)
            assert held == {greedy: 24, modest: 8, late: 32}
            for each in others:
                each.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    with_pool(work)


OWNER = """
import asyncio, sys
from pathlib import Path
from tests.contract.mcp_servers_peer import CONFIG, notes, reached, with_pool
async def work(pool):
    await pool.offers(reached(notes(Path(sys.argv[1]))), deadline_seconds=20)
    await asyncio.Event().wait()
with_pool(work)
"""


def test_every_program_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], cwd=Path(__file__).parents[2])
    try:
        until(lambda: bool(lines(tmp_path, "pids")))
    finally:
        owner.kill()
        owner.wait()
    (pid,) = lines(tmp_path, "pids")
    until(lambda: not _runs(int(pid)))


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_every_program_ends_with_its_pool(tmp_path: Path) -> None:
    target = reached(notes(tmp_path))
    work: Callable[[McpPool], Awaitable[object]] = lambda pool: pool.offers(target, deadline_seconds=20)  # noqa: E731
    with_pool(work)
    (pid,) = lines(tmp_path, "pids")
    assert not _runs(int(pid))
