"""Passes of agents' functions: placing them in hosts, answering their calls, settling how each ended.

A pass is settled once, and only when the answers to its calls are concluded, so that the caller may release the task's
claim. A call that nobody could record ends its pass: the function must not go on from what no later pass will find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aos.drivers.hosts.trees import beneath, kill_beneath
from aos.drivers.hosts.values import (
    CALLS_OPEN_MAX,
    CANCEL_GRACE_SECONDS,
    CANCEL_SECONDS,
    HostDied,
    HostKind,
    HostsConfig,
)
from aos.drivers.hosts.waiting import WaitingQueue
from aos.drivers.hosts.work import AgentKey, HostWork, RunningPass
from aos.kernel.errors import TooLarge, Unavailable
from aos_sdk.frames import (
    PASS_END_SECONDS,
    Call,
    Cancel,
    Ended,
    Loaded,
    ProtocolError,
    encode_frame,
    split_history,
)


class PassDesk:
    """All passes of a pool, waiting and running."""

    def __init__(self, config: HostsConfig, work: dict[str, HostWork], *, retire: Callable[[HostWork], None]) -> None:
        self._config = config
        self._work = work
        self._retire = retire
        self._waiting: WaitingQueue[AgentKey, RunningPass] = WaitingQueue()
        self._passes: dict[str, RunningPass] = {}
        self._asynchronous: set[AgentKey] = set()
        self._settling: set[asyncio.Task[None]] = set()

    def add(self, running: RunningPass) -> None:
        """Queue a pass; raises `Unavailable` when too many wait or the task has one under way."""
        if len(self._waiting) >= self._config.queue_max:
            raise Unavailable(f"{len(self._waiting)} passes wait for a host, the most allowed")
        if running.start.task_id in self._passes:
            raise Unavailable(f"task `{running.start.task_id}` already has a pass under way")
        loop = asyncio.get_running_loop()
        running.timer = loop.call_later(self._config.queue_seconds, self._waited_too_long, running)
        self._passes[running.start.task_id] = running
        self._waiting.add(running.key, running)
        self.place()

    def find(self, task_id: str) -> RunningPass | None:
        """Return the pass of a task, if there is one."""
        return self._passes.get(task_id)

    def place(self) -> None:
        """Give waiting passes the hosts that are free for them."""
        while len(self._waiting) and self._waiting.place_next(self._place_pass):
            pass

    def _place_pass(self, key: AgentKey, running: RunningPass) -> bool:
        """Give a pass a host, if there is one for it."""
        work = self._choose(key)
        if work is None:
            return False
        try:
            frames = [encode_frame(frame) for frame in split_history(running.start)]
        except (ProtocolError, OverflowError) as error:
            self._fail(running, TooLarge(str(error)))
            return True
        running.host = work.host
        work.passes[running.start.task_id] = running
        work.versions[key[0]] = key[1]
        work.shared_key = key if key in self._asynchronous else None
        work.host.only_task = running.start.task_id if len(work.passes) == 1 else None
        loop = asyncio.get_running_loop()
        running.set_timer(loop.call_later(running.seconds, self._pass_timed_out, running))
        for data in frames:
            work.host.send_encoded(data)
        return True

    def _choose(self, key: AgentKey) -> HostWork | None:
        """Return the host that a pass should run in: the least busy that shares its version, or an idle one."""
        best: HostWork | None = None
        stale: HostWork | None = None
        for work in self._work.values():
            if work.host.kind is not HostKind.AGENTS or not work.host.ready or work.host.retiring:
                continue
            if work.idle and not work.fits(key):
                stale = work
                continue
            room = work.idle or (work.shared_key == key and len(work.passes) < self._config.async_tasks_max)
            if room and (best is None or len(work.passes) < len(best.passes)):
                best = work
        if best is None and stale is not None:
            self._retire(stale)
        return best

    def _waited_too_long(self, running: RunningPass) -> None:
        if self._waiting.remove(running.key, running):
            self._fail(running, Unavailable(f"no host was free within {self._config.queue_seconds:g} s"))

    def loaded(self, work: HostWork, frame: Loaded) -> None:
        """Note an entry's colour: an asynchronous one leaves room for more beside it."""
        running = work.passes.get(frame.task_id)
        if running is not None and frame.asynchronous:
            work.shared_key = running.key
            self._asynchronous.add(running.key)
            self.place()

    def called(self, work: HostWork, call: Call) -> None:
        """Have a call answered."""
        running = work.passes.get(call.task_id)
        if running is None:
            return
        if call.token != running.start.token or len(running.calls) >= CALLS_OPEN_MAX:
            work.host.broken("a call carries another task's token, or too many are open")
            return
        task = asyncio.get_running_loop().create_task(self._answer(running, call))
        running.calls.add(task)
        task.add_done_callback(running.calls.discard)

    async def _answer(self, running: RunningPass, call: Call) -> None:
        """Have a call performed and send what came of it; a call that nobody could record ends the pass."""
        try:
            result = await running.on_call(call)
            if running.host is not None:
                running.host.send(result)
        except (ProtocolError, OverflowError) as error:
            running.failure = running.failure or TooLarge(f"the result of {call.kind} `{call.name}`: {error}")
            self.cancel(running)
        except Exception as error:
            running.failure = running.failure or error
            self.cancel(running)

    def ended(self, work: HostWork, ended: Ended) -> None:
        """Take the end of a pass."""
        running = work.passes.pop(ended.task_id, None)
        if running is None:
            return
        if running.cancelled and beneath(work.host.pid):
            self._end_children(work)
        self._settle(running, ended)

    def _end_children(self, work: HostWork) -> None:
        """Kill what a cancelled pass started; where others may have, the host ends when they have."""
        if work.idle:
            kill_beneath(work.host.pid, itself=False)
        else:
            self._retire(work)

    def host_died(self, work: HostWork, reason: str, *, exit_code: int) -> None:
        """Settle all that a dead host ran: it counts against the task that was the cause, or, unknown, against all."""
        host = work.host
        for task_id, running in list(work.passes.items()):
            guilty = host.culprit == task_id and not running.cancelled
            counted = guilty or host.culprit is None
            code = host.ending_code if guilty else ""
            died = HostDied(host.host_id, reason, exit_code, counted=counted, timed_out=guilty and not code, code=code)
            self._settle(running, died)
        work.passes.clear()

    async def close(self) -> None:
        """Fail what waits and return when all else is settled."""
        for running in self._waiting.clear():
            self._fail(running, Unavailable("the pool of hosts was closed"))
        if self._settling:
            await asyncio.wait(set(self._settling))

    def _settle(self, running: RunningPass, answer: Ended | HostDied) -> None:
        """Answer a pass when the calls it made are concluded."""
        running.host = None
        running.set_timer(None)
        if running.calls:
            task = asyncio.get_running_loop().create_task(self._settle_later(running, answer))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
        else:
            self._give(running, answer)

    async def _settle_later(self, running: RunningPass, answer: Ended | HostDied) -> None:
        while running.calls:
            await asyncio.wait(set(running.calls))
        self._give(running, answer)

    def _give(self, running: RunningPass, answer: Ended | HostDied) -> None:
        if running.failure is not None:
            self._fail(running, running.failure)
            return
        self._passes.pop(running.start.task_id, None)
        if not running.answer.done():
            running.answer.set_result(answer)

    def _fail(self, running: RunningPass, error: BaseException) -> None:
        running.set_timer(None)
        self._passes.pop(running.start.task_id, None)
        if not running.answer.done():
            running.answer.set_exception(error)
            running.answer.exception()

    def cancel(self, running: RunningPass) -> None:
        """Ask a pass to end; its host is killed if it does not."""
        if running.cancelled or running.answer.done():
            return
        running.cancelled = True
        if running.host is None:
            if self._waiting.remove(running.key, running):
                self._settle(running, Ended(running.start.task_id, "cancelled"))
            return
        running.host.send(Cancel(running.start.task_id))
        alone = running.host.only_task == running.start.task_id
        wait = CANCEL_SECONDS if alone else PASS_END_SECONDS + CANCEL_GRACE_SECONDS
        running.set_timer(asyncio.get_running_loop().call_later(wait, self._pass_timed_out, running))

    def _pass_timed_out(self, running: RunningPass) -> None:
        if running.host is not None:
            what = "cancelled and did not end" if running.cancelled else f"over its limit of {running.seconds:g} s"
            running.host.kill(f"a pass was {what}", culprit=running.start.task_id)
