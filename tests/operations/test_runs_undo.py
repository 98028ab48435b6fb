"""A run that is rolled back: what it did is undone in reverse, once each, under policy, and what cannot be is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from aos.kernel.acts import Refused
from aos.kernel.errors import Conflict, NotFound
from aos.kernel.json import Json
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Compensation, Effect, Repeat, Tool
from aos.kernel.workflow.spec import OnFailure, TaskSpec, WorkflowSpec
from aos.operations.approvals import Answer
from aos.operations.undo import RolledBack, UndoReport, Undos
from tests import run_agents
from tests.databases import Database
from tests.operations.test_runs_worker import run_agent
from tests.working import Working, add_workflow, working
from tests.worlds import IDS, Caller, World, make_world, payments, tool

REVERSE = Compensation("payments.reverse", {"payment": "${output.id}", "amount": "${args.amount}"})
BOOKS = WorkflowSpec("books", (TaskSpec("w", "keeps_books", input={"amounts": ["10", "20", "30"]}),))
ASK = Rule("ask", 1, Outcome.ESCALATE, (), ("tool:payments.reverse",), reason="ask first", approvers=Approvers())
NO_TWENTY = Rule(
    "no-twenty", 1, Outcome.DENY, (), ("tool:payments.reverse",), 'args.amount == "20"', "twenty stays paid"
)


def company(database: Database, *rules: Rule, tools: tuple[str, ...] = ("payments.*", "erp.*")) -> World:
    """Return an organization whose agent keeps books."""
    agents = [run_agent("keeps_books", *tools), run_agent("keeps_books_and_fails", *tools), run_agent("waits")]
    stock = [
        payments(compensate=REVERSE),
        tool("payments.reverse", effect=Effect.PAY, repeat=Repeat.KEYED),
        tool("erp.note", effect=Effect.WRITE),
        tool("erp.read"),
    ]
    world = make_world(database, agents=agents, tools=stock, rules=rules)
    join(world)
    add_workflow(world, BOOKS)
    return world


def join(world: World, *roles: str) -> None:
    """Make the person who starts runs a member with these roles, an operator where none are named."""
    world.rows(
        "insert into member (organization_id, id, person_id, roles) values (%s, %s, %s, %s)",
        world.organization_id,
        IDS.new(),
        world.person_id,
        list(roles or ("operator",)),
    )


def bank() -> Caller:
    """Return a far side that numbers payments."""
    return Caller(answer=numbered)


def numbered(tool: Tool, arguments: Mapping[str, Json]) -> ToolOutcome:
    """Answer a payment with its number."""
    return ToolOutcome(ok=True, value={"id": f"P-{arguments['amount']}"} if tool.name.startswith("payments") else "ok")


def made(caller: Caller, name: str) -> list[Any]:
    """Return the arguments of the calls of a tool, in their order."""
    return [arguments for called, arguments, _ in caller.calls if called == name]


async def done(aos: Working, agent: str = "keeps_books", **given: Any) -> Any:
    """Return a run of the bookkeeper that has ended."""
    run_id = await aos.start(agent=agent, input={"amounts": ["10", "20", "30"], **given})
    return (await aos.ended(run_id))["id"]


async def rolled_back(aos: Working, run_id: Any) -> dict[str, Any]:
    """Roll a run back and return the run that undid it once it has ended, with its report."""
    begun = await aos.do.undos.roll_back(aos.person, run_id)
    assert isinstance(begun, RolledBack), begun
    run = await aos.ended(begun.run_id)
    return {**run, "report": aos.tasks(begun.run_id)["undo"]["output"]}


def counts(run: dict[str, Any]) -> dict[str, int]:
    """Return how many acts came to what."""
    return {word: told["count"] for word, told in run["report"].items() if told["count"]}


def test_what_a_run_did_is_undone_from_the_last_act_to_the_first(database: Database) -> None:
    caller = bank()

    async def story() -> None:
        async with working(company(database), caller) as aos:
            run_id = await done(aos)
            run = await rolled_back(aos, run_id)
            assert (run["state"], run["undoes_id"], run["name"]) == ("succeeded", run_id, "undo keeps_books")
            assert counts(run) == {"undone": 3}
            assert made(caller, "payments.reverse") == [
                {"payment": f"P-{amount}", "amount": amount} for amount in ("30", "20", "10")
            ]
            again = await aos.do.undos.roll_back(aos.person, run_id)
            assert again == RolledBack(run["id"], replayed=True)
            assert len(made(caller, "payments.reverse")) == 3
            acts = aos.rows("select * from action where name = 'payments.reverse'")
            assert {(act["run_id"], act["state"], act["chain"][-1]["name"]) for act in acts} == {
                (run["id"], "performed", "keeps_books")
            }
            await aos.check_books()

    asyncio.run(story())


def test_two_who_roll_back_at_once_begin_one_run(database: Database) -> None:
    async def story() -> None:
        async with working(company(database), bank()) as aos:
            run_id = await done(aos)
            begun = await asyncio.gather(*(aos.do.undos.roll_back(aos.person, run_id) for _ in range(6)))
            assert len({each.run_id for each in begun if isinstance(each, RolledBack)}) == 1
            assert len(aos.rows("select 1 from run where undoes_id = %s", run_id)) == 1
            await aos.ended(begun[0].run_id)  # type: ignore[union-attr]

    asyncio.run(story())


def test_what_cannot_be_undone_is_told_and_the_rest_is_undone(database: Database) -> None:
    caller = bank()

    async def story() -> None:
        async with working(company(database, NO_TWENTY), caller) as aos:
            run_id = await done(aos, note=True, unknown=True)
            aos.rows(
                "update action set state = 'unknown' where run_id = %s and name = 'payments.create'"
                " and id = (select max(id::text)::uuid from action where run_id = %s and name = 'payments.create')"
                " returning 1",
                run_id, run_id,
            )  # fmt: skip
            run = await rolled_back(aos, run_id)
            assert (run["state"], run["error_code"]) == ("failed", "partly-undone")
            assert counts(run) == {"undone": 1, "refused": 1, "unknown": 1, "irreversible": 1}
            (refused,) = run["report"]["refused"]["acts"]
            assert "twenty stays paid" in refused["detail"]
            assert run["report"]["irreversible"]["acts"][0]["tool"] == "erp.note"
            assert [each["amount"] for each in made(caller, "payments.reverse")] == ["10"]
            task = aos.tasks(run["id"])["undo"]
            assert "1 of 4 acts were undone" in str(aos.content(task["error_content_id"]))

    asyncio.run(story())


def test_an_undoing_tool_that_fails_is_told(database: Database) -> None:
    def answers(tool: Tool, arguments: Mapping[str, Json]) -> ToolOutcome:
        if tool.name == "payments.reverse" and arguments["amount"] == "20":
            return ToolOutcome(ok=False, error="the bank is closed")
        return numbered(tool, arguments)

    async def story() -> None:
        async with working(company(database), Caller(answer=answers)) as aos:
            run = await rolled_back(aos, await done(aos))
            assert counts(run) == {"undone": 2, "failed": 1}
            assert "the bank is closed" in run["report"]["failed"]["acts"][0]["detail"]

    asyncio.run(story())


def test_an_agent_that_may_not_undo_does_not(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, tools=("payments.create",)), bank()) as aos:
            run = await rolled_back(aos, await done(aos))
            assert (run["error_code"], counts(run)) == ("not-undone", {"refused": 3})

    asyncio.run(story())


def test_an_approval_parks_the_undoing_and_holds_back_earlier_acts(database: Database) -> None:
    caller = bank()

    async def story() -> None:
        async with working(company(database, ASK), caller) as aos:
            begun = await aos.do.undos.roll_back(aos.person, await done(aos))
            assert isinstance(begun, RolledBack)
            for answer in (Answer.APPROVE, Answer.DENY, Answer.APPROVE):
                (approval,) = await aos.until("select * from approval where status = 'pending'")
                await aos.until("select 1 from task where kind = 'undo' and state = 'waiting' and claim_token is null")
                await aos.answer(approval["id"], answer, comment="so it is")
            run = await aos.ended(begun.run_id)
            assert [each["amount"] for each in made(caller, "payments.reverse")] == ["30", "10"]
            report: Any = aos.tasks(begun.run_id)["undo"]["output"]
            assert (run["state"], report["undone"]["count"], report["refused"]["count"]) == ("failed", 2, 1)

    asyncio.run(story())


def test_an_open_run_is_cancelled_and_then_undone(database: Database) -> None:
    async def story() -> None:
        async with working(company(database), bank()) as aos:
            run_id = await aos.start(agent="keeps_books", input={"amounts": ["10"], "wait": True})
            async with asyncio.timeout(20):
                while str(run_id) not in run_agents.gates:
                    await asyncio.sleep(0.01)
            run = await rolled_back(aos, run_id)
            assert aos.run(run_id)["state"] == "cancelled"
            assert counts(run) == {"undone": 1}

    asyncio.run(story())


def test_a_worker_that_dies_while_it_undoes_leaves_nothing_undone_twice(database: Database) -> None:
    caller = bank()

    async def story() -> None:
        world = company(database)
        async with working(world, caller) as aos:
            run_id = await done(aos)
        async with working(world, caller, started=False) as aos:
            await aos.do.facts.refresh()
            begun = await aos.do.undos.roll_back(aos.person, run_id)
            assert isinstance(begun, RolledBack)
            (taken,) = await aos.do.tasks.claim(1)
            facts = await aos.do.facts.of(taken.task.organization_id)
            await aos.do.starts.start(taken.task, None, None)
            await aos.do.undos.undo_acts(taken.task, facts)
            aos.rows("update task set lease_until = now() - interval '1 s' where state = 'running' returning 1")
        async with working(world, caller) as aos:
            assert (await aos.ended(begun.run_id))["state"] == "succeeded"
            assert len(made(caller, "payments.reverse")) == 3
            await aos.check_books()

    asyncio.run(story())


def test_what_nested_runs_did_is_undone_with_their_run(database: Database) -> None:
    caller = bank()

    async def story() -> None:
        async with working(company(database), caller) as aos:
            top = await done(aos)
            nested = (await aos.ended(await aos.start(agent="keeps_books", input={"amounts": ["40"]})))["id"]
            aos.rows("update run set parent_run_id = %s where id = %s returning 1", top, nested)
            assert counts(await rolled_back(aos, top)) == {"undone": 4}
            assert [each["amount"] for each in made(caller, "payments.reverse")] == ["40", "30", "20", "10"]

    asyncio.run(story())


@pytest.mark.parametrize("first", ["nested", "outer"])
def test_what_a_nested_run_did_is_undone_once_whichever_run_is_rolled_back_first(
    database: Database, first: str
) -> None:
    caller = bank()
    inner = WorkflowSpec("inner", (TaskSpec("t", "keeps_books", input={"amounts": ["10", "20"]}),))
    outer = WorkflowSpec("outer", (TaskSpec("n", workflow="inner"),))

    async def story() -> None:
        world = company(database)
        add_workflow(world, inner)
        add_workflow(world, outer)
        async with working(world, caller) as aos:
            top = (await aos.ended(await aos.start("outer")))["id"]
            (nested,) = aos.rows("select id from run where parent_run_id = %s", top)
            order = [nested["id"], top] if first == "nested" else [top, nested["id"]]
            begun = [await rolled_back(aos, each) for each in order]
            second = {"undone": 2} if first == "outer" else {"undone_before": 2}
            assert [counts(run) for run in begun] == [{"undone": 2}, second]
            assert [run["state"] for run in begun] == ["succeeded"] * 2
            assert (begun[0]["id"] == begun[1]["id"]) is (first == "outer")
            assert [each["amount"] for each in made(caller, "payments.reverse")] == ["20", "10"]
            await aos.check_books()

    asyncio.run(story())


def test_a_run_and_one_nested_in_it_that_are_rolled_back_at_once_are_undone_once(database: Database) -> None:
    caller = bank()

    async def story() -> None:
        world = company(database)
        add_workflow(world, WorkflowSpec("inner", (TaskSpec("t", "keeps_books", input={"amounts": ["10"]}),)))
        add_workflow(world, WorkflowSpec("outer", (TaskSpec("n", workflow="inner"),)))
        async with working(world, caller) as aos:
            for paid in range(1, 9):
                top = (await aos.ended(await aos.start("outer")))["id"]
                (nested,) = aos.rows("select id from run where parent_run_id = %s", top)
                begun = await asyncio.gather(
                    *(aos.do.undos.roll_back(aos.person, each) for each in (top, nested["id"]))
                )
                for each in begun:
                    assert isinstance(each, RolledBack)
                    await aos.ended(each.run_id)
                assert len(made(caller, "payments.reverse")) == paid

    asyncio.run(story())


def test_a_nested_run_that_undoes_itself_is_not_undone_again_by_its_parent(database: Database) -> None:
    caller = bank()
    fails = TaskSpec("t", "keeps_books_and_fails", input={"amounts": ["10", "20"]}, on_failure=OnFailure.COMPENSATE)

    async def story() -> None:
        world = company(database)
        add_workflow(world, WorkflowSpec("inner", (fails,)))
        add_workflow(world, WorkflowSpec("outer", (TaskSpec("n", workflow="inner", on_failure=OnFailure.COMPENSATE),)))
        async with working(world, caller) as aos:
            top = await aos.start("outer")
            assert (await aos.ended(top))["state"] == "failed"
            (undoing,) = await aos.until("select id from run where undoes_id = %s", top)
            await aos.ended(undoing["id"])
            for each in aos.rows("select id from run where undoes_id is not null"):
                assert (await aos.ended(each["id"]))["state"] == "succeeded"
            assert sorted(each["amount"] for each in made(caller, "payments.reverse")) == ["10", "20"]

    asyncio.run(story())


@pytest.mark.parametrize("first", ["nested", "outer"])
def test_an_act_whose_undoing_failed_elsewhere_is_tried_again_and_no_other(database: Database, first: str) -> None:
    closed = ["20"]

    def answers(tool: Tool, arguments: Mapping[str, Json]) -> ToolOutcome:
        if tool.name == "payments.reverse" and arguments["amount"] in closed:
            return ToolOutcome(ok=False, error="the bank is closed")
        return numbered(tool, arguments)

    caller = Caller(answer=answers)

    async def story() -> None:
        world = company(database)
        add_workflow(world, WorkflowSpec("inner", (TaskSpec("t", "keeps_books", input={"amounts": ["10", "20"]}),)))
        add_workflow(world, WorkflowSpec("outer", (TaskSpec("n", workflow="inner"),)))
        async with working(world, caller) as aos:
            top = (await aos.ended(await aos.start("outer")))["id"]
            (nested,) = aos.rows("select id from run where parent_run_id = %s", top)
            order = [nested["id"], top] if first == "nested" else [top, nested["id"]]
            assert counts(await rolled_back(aos, order[0])) == {"undone": 1, "failed": 1}
            closed.clear()
            again = await rolled_back(aos, order[1])
            assert (again["state"], counts(again)) == ("succeeded", {"undone": 1, "undone_before": 1})
            assert [each["amount"] for each in made(caller, "payments.reverse")] == ["20", "10", "20"]

    asyncio.run(story())


def test_the_undoing_of_a_run_waits_for_that_of_one_nested_in_it_which_waits_for_a_person(database: Database) -> None:
    caller = bank()

    async def story() -> None:
        world = company(database, ASK)
        add_workflow(world, WorkflowSpec("inner", (TaskSpec("t", "keeps_books", input={"amounts": ["10"]}),)))
        add_workflow(world, WorkflowSpec("outer", (TaskSpec("n", workflow="inner"),)))
        async with working(world, caller) as aos:
            top = (await aos.ended(await aos.start("outer")))["id"]
            (nested,) = aos.rows("select id from run where parent_run_id = %s", top)
            first = await aos.do.undos.roll_back(aos.person, nested["id"])
            (approval,) = await aos.until("select * from approval where status = 'pending'")
            second = await aos.do.undos.roll_back(aos.person, top)
            assert isinstance(first, RolledBack)
            assert isinstance(second, RolledBack)
            await aos.until(
                "select 1 from task where run_id = %s and state = 'waiting' and waits_for = 'timer'", second.run_id
            )
            await aos.answer(approval["id"])
            assert (await aos.ended(second.run_id))["state"] == "succeeded"
            report: Any = aos.tasks(second.run_id)["undo"]["output"]
            assert report["undone_before"]["count"] == 1
            assert len(made(caller, "payments.reverse")) == 1

    asyncio.run(story())


def test_many_acts_are_undone_page_by_page(database: Database) -> None:
    caller = bank()
    amounts = [str(n) for n in range(1, 11)]

    async def story() -> None:
        world = company(database)
        async with working(world, caller) as aos:
            run_id = await done(aos, amounts=amounts)
        async with working(world, caller, started=False) as aos:
            do = aos.do
            undos = Undos(do.database, do.facts, do.gate, do.runs, drivers=do.drivers, page_acts=3)
            await undos.roll_back(aos.person, run_id)
            (taken,) = await do.tasks.claim(1)
            report = await undos.undo_acts(taken.task, await do.facts.of(taken.task.organization_id))
            assert isinstance(report, UndoReport)
            assert report.counts == {"undone": 10}
            assert [each["amount"] for each in made(caller, "payments.reverse")] == amounts[::-1]

    asyncio.run(story())


def test_policy_may_refuse_a_rollback_and_then_the_run_goes_on(database: Database) -> None:
    rule = Rule("no-rollback", 1, Outcome.DENY, (), ("run:waits",), "has(args.undoes)", "waits is never undone")

    async def story() -> None:
        async with working(company(database, rule), bank()) as aos:
            run_id = await aos.start(agent="waits")
            refused = await aos.do.undos.roll_back(aos.person, run_id)
            assert isinstance(refused, Refused)
            assert "never undone" in refused.detail
            assert aos.run(run_id)["state"] == "running"

    asyncio.run(story())


def test_a_run_that_undoes_cannot_be_rolled_back_itself(database: Database) -> None:
    async def story() -> None:
        async with working(company(database), bank()) as aos:
            run = await rolled_back(aos, await done(aos))
            with pytest.raises(Conflict, match="undoes run"):
                await aos.do.undos.roll_back(aos.person, run["id"])
            with pytest.raises(NotFound):
                await aos.do.undos.roll_back(aos.person, IDS.new())

    asyncio.run(story())
