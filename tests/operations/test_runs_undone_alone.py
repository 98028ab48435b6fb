"""Runs that are undone by themselves: once, for whoever started them with the roles that they hold now, or not silently."""

from __future__ import annotations

import asyncio

import pytest

from aos.kernel.json import Json
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.kernel.workflow.spec import OnFailure, TaskSpec, WorkflowSpec
from aos.operations.run_ends import FailedRun
from tests.databases import Database
from tests.operations.test_runs_undo import bank, company, join, made
from tests.working import add_workflow, working
from tests.worlds import World


def test_a_run_whose_task_says_so_is_undone_by_itself_once_when_it_fails(database: Database) -> None:
    caller = bank()
    given: Json = {"amounts": ["10", "20", "30"]}
    flow = WorkflowSpec(
        "fragile", (TaskSpec("t", "keeps_books_and_fails", input=given, on_failure=OnFailure.COMPENSATE),)
    )

    async def story() -> None:
        world = company(database)
        add_workflow(world, flow)
        async with working(world, caller) as aos:
            run_id = await aos.start("fragile")
            assert (await aos.ended(run_id))["state"] == "failed"
            (undoing,) = await aos.until("select id from run where undoes_id = %s", run_id)
            run = await aos.ended(undoing["id"])
            assert run["state"] == "succeeded"
            assert run["chain"][0]["id"] == str(aos.world.person_id)
            await aos.do.ends.finish()
            assert len(made(caller, "payments.reverse")) == 3
            await aos.check_books()

    asyncio.run(story())


def fragile(world: World, *names: str) -> None:
    """Register workflows that fail and are to be undone."""
    for name in names:
        fails = TaskSpec("t", "keeps_books_and_fails", input={"amounts": ["10"]}, on_failure=OnFailure.COMPENSATE)
        add_workflow(world, WorkflowSpec(name, (fails,)))


@pytest.mark.parametrize(
    ("roles", "said"), [(None, "is no longer a member"), (["auditor"], "may no longer start runs (`run.start`)")]
)
def test_the_undoing_for_somebody_who_has_left_waits_for_a_person_and_says_so(
    database: Database, roles: list[str] | None, said: str
) -> None:
    async def story() -> None:
        world = company(database)
        fragile(world, "fragile")
        async with working(world, bank(), started=False) as aos:
            run_id = await aos.start("fragile")
            aos.rows("delete from member returning 1") if roles is None else aos.rows(
                "update member set roles = %s returning 1", roles
            )
            await aos.worker.start()
            await aos.ended(run_id)
            await aos.until("select 1 from run where id = %s and undo_error is not null", run_id)
            assert said in aos.run(run_id)["undo_error"]
            assert "has to roll it back" in aos.run(run_id)["undo_error"]
            await aos.do.ends.finish()
            assert not aos.rows("select 1 from run where undoes_id is not null")
            assert not aos.rows("select 1 from action where kind = 'run' and state <> 'performed'")
            # Somebody who may does it, or they come back.
            aos.rows("delete from member returning 1")
            join(world)
            await aos.do.ends.finish()
            (undoing,) = await aos.until("select id from run where undoes_id = %s", run_id)
            assert (await aos.ended(undoing["id"]))["state"] == "succeeded"

    asyncio.run(story())


def test_a_run_is_undone_by_itself_with_the_roles_that_its_starter_holds_now(database: Database) -> None:
    async def story() -> None:
        world = company(database)
        fragile(world, "fragile")
        async with working(world, bank(), started=False) as aos:
            run_id = await aos.start("fragile")
            assert aos.run(run_id)["chain"][-1]["roles"] == ["operator"]
            aos.rows("update member set roles = '{developer,operator}' returning 1")
            await aos.worker.start()
            await aos.ended(run_id)
            (undoing,) = await aos.until("select id, chain from run where undoes_id = %s", run_id)
            assert undoing["chain"][-1]["roles"] == ["developer", "operator"]

    asyncio.run(story())


def test_an_undoing_that_waits_for_a_person_holds_back_no_other(database: Database) -> None:
    ask = Rule("ask", 1, Outcome.ESCALATE, (), ("run:asked",), "has(args.undoes)", "ask", approvers=Approvers())

    async def story() -> None:
        world = company(database, ask)
        fragile(world, "asked", "plain")
        async with working(world, bank()) as aos:
            aos.do.ends.undos_max = 1
            await aos.ended(await aos.start("asked"))
            await aos.until("select * from approval where status = 'pending'")
            plain = await aos.start("plain")
            await aos.ended(plain)
            for _ in range(3):
                await aos.do.ends.finish()
            assert aos.rows("select id from run where undoes_id = %s", plain)

    asyncio.run(story())


def test_a_late_yes_to_an_undoing_is_not_too_late_and_a_refused_one_is_put_away(database: Database) -> None:
    ask = Rule("ask", 1, Outcome.ESCALATE, (), ("run:asked",), "has(args.undoes)", "ask", approvers=Approvers())
    never = Rule("never", 1, Outcome.DENY, (), ("run:refused",), "has(args.undoes)", "never")

    async def story() -> None:
        world = company(database, ask, never)
        fragile(world, "asked", "refused")
        async with working(world, bank()) as aos:
            runs = {name: (await aos.ended(await aos.start(name)))["id"] for name in ("refused", "asked")}
            (approval,) = await aos.until("select * from approval where status = 'pending'")
            await aos.until("select 1 from action where kind = 'run' and state = 'refused'")
            await aos.until("select 1 from run where id = %s and undo_error like 'refused (denied)%%'", runs["refused"])
            await aos.until("select 1 from run where id = %s and undo_error like 'waits for%%'", runs["asked"])
            await aos.do.housekeeping.archive_runs(after_seconds=0)
            stand = {name: aos.run(run_id)["archived_at"] is not None for name, run_id in runs.items()}
            assert stand == {"refused": True, "asked": False}
            await aos.answer(approval["id"])
            await aos.do.ends.finish()
            (undoing,) = await aos.until("select id from run where undoes_id = %s", runs["asked"])
            assert (await aos.ended(undoing["id"]))["state"] == "succeeded"
            await aos.do.housekeeping.archive_runs(after_seconds=0)
            assert aos.run(runs["asked"])["archived_at"] is not None

    asyncio.run(story())


def test_an_undoing_that_policy_refuses_is_refused_once_however_often_it_is_asked_for(database: Database) -> None:
    rule = Rule("no-rollback", 1, Outcome.DENY, (), ("run:waits",), "has(args.undoes)", "waits is never undone")

    async def story() -> None:
        async with working(company(database, rule), bank(), started=False) as aos:
            run_id = await aos.start(agent="waits")
            failed = [FailedRun(aos.world.organization_id, run_id, aos.person)]
            for _ in range(3):
                await aos.do.undos.begin_undo(failed)
            assert len(aos.rows("select 1 from action where kind = 'run' and state = 'refused'")) == 1
            assert not aos.rows("select 1 from run where undoes_id is not null")

    asyncio.run(story())
