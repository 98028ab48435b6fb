"""The passes of a task that undoes a run: it is started like a task that delegates nothing, and runs no agent's code."""

from __future__ import annotations

from aos.kernel.workflow.passes import Fail
from aos.operations.claimed import ClaimedTask
from aos.operations.ends import completion, seal
from aos.operations.facts import OrganizationFacts
from aos.operations.orchestration import Orchestration
from aos.operations.passes import Wait, WaitKind, Waits
from aos.operations.tasks import Taken
from aos.operations.undo import UndoLater, UndoReport, UndoWaits
from aos.workers.engine import Engine


class UndoPasses:
    """Works on claimed tasks of kind `undo`."""

    def __init__(self, orchestration: Orchestration, engine: Engine) -> None:
        self._do = orchestration
        self._engine = engine

    async def work_on(self, taken: Taken, facts: OrganizationFacts) -> None:
        """Undo what is left, then end the task with what became of each act, or park it until a person has agreed,
        or the undoing of a nested run has ended.

        Raises StaleClaim where the claim is gone; every other error gives it back.
        """
        task = taken.task
        if not task.started:
            await self._do.starts.start(task, None, None)
        if task.claims or any(row["state"] == "intended" for row in taken.calls):
            await self._do.abandon_calls(taken)
        match await self._do.undos.undo_acts(task, facts):
            case UndoWaits(approval_id):
                await self._do.tasks.park(task, Waits((Wait(WaitKind.APPROVAL, (approval_id,)),)))
            case UndoLater(wake_at=wake_at):
                await self._do.tasks.park(task, Waits(wake_at=wake_at))
            case UndoReport() as report:
                await self._end(task, report, facts)

    async def _end(self, task: ClaimedTask, report: UndoReport, facts: OrganizationFacts) -> None:
        verdict = report.verdict()
        now, drivers = self._do.facts.now(), self._do.drivers
        member = completion(task, verdict, facts, agent=None, pass_ms=0, ran=False, now=now, drivers=drivers)
        if isinstance(verdict, Fail):
            # What was undone stands beside why the rest was not.
            sealed = seal(report.value(), "output", facts, drivers)
            member.row.output_content_id = sealed.row.id
            member.contents.append(sealed.row)
        await self._engine.complete(member)
