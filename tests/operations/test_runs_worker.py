"""Whole runs, with a worker in this process: what a workflow means is what happens."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from aos.kernel.agents import Agent, AgentType, Runtime
from aos.kernel.errors import Conflict, Forbidden, InvalidRequest, NotFound
from aos.kernel.json import Json
from aos.kernel.people import Actor, Role
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Effect
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from aos.operations.approvals import Answer
from aos.operations.run_rows import RunRequest
from aos.operations.run_steering import Steered
from aos.operations.runs import RunStarted
from tests import run_agents
from tests.databases import Database
from tests.working import add_workflow, working
from tests.worlds import Caller, World, agent, make_world, payments, tool

PAYMENT: dict[str, Json] = {"iban": "DE71500105175813421938", "amount": "18240", "currency": "EUR"}
LARGE = Rule(
    "large-payments",
    1,
    Outcome.ESCALATE,
    (),
    ("tool:payments.create",),
    when="args.amount > 1000",
    reason="payment of {args.amount}",
    approvers=Approvers(),
)


def run_agent(name: str, *tools: str, **more) -> Agent:
    """Return an agent whose function stands in `tests.run_agents`."""
    return replace(agent(name, *tools, **more), runtime=Runtime("python", f"tests.run_agents:{name}", inline=True))


def company(database: Database, *rules: Rule, workflows: tuple[WorkflowSpec, ...] = ()) -> World:
    """Return the organization that these tests share."""
    names = ("echo", "double", "fails", "fails_once", "waits")
    paying = ("pays", "pays_or_says_why", "pays_then_fails", "pays_first_time_only", "counts_steps", "pays_when_told")
    agents = [run_agent(name) for name in names]
    agents += [run_agent(name, "payments.create") for name in paying]
    agents += [
        run_agent("leads", type=AgentType.EXECUTIVE, delegates=("double",)),
        run_agent("leads_carefully", type=AgentType.EXECUTIVE, delegates=("fails",)),
        run_agent("observes", type=AgentType.OBSERVER),
        run_agent("survives_failure", "erp.read"),
        run_agent("notes_the_refusal_and_waits", "payments.create", "erp.note"),
    ]
    tools = [payments(), tool("erp.read"), tool("erp.note", effect=Effect.WRITE)]
    world = make_world(database, agents=agents, tools=tools, rules=rules)
    for workflow in workflows:
        add_workflow(world, workflow)
    return world


def test_a_workflow_runs_from_its_input_to_its_output(database: Database) -> None:
    flow = WorkflowSpec(
        "flow",
        (
            TaskSpec("first", "double", input={"n": "${input.n}"}),
            TaskSpec("each", "double", input={"n": "${item}"}, for_each="${input.items}"),
            TaskSpec("last", "echo", input={"first": "${first.output.n}", "all": "${each.output}"}),
        ),
        output={"said": "n is ${first.output.n}", "last": "${last.output}"},
    )

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            run = await aos.ended(await aos.start("flow", input={"n": 4, "items": [1, 2, 3]}))
            assert run["state"] == "succeeded", aos.tasks(run["id"])
            assert run["output"] == {"said": "n is 8", "last": {"first": 8, "all": [{"n": 2}, {"n": 4}, {"n": 6}]}}
            tasks = aos.tasks(run["id"])
            assert set(tasks) == {"first", "each", "last", "each[0]", "each[1]", "each[2]"}
            assert all(task["state"] == "succeeded" for task in tasks.values())
            await aos.check_books()
            delegations = aos.rows("select state, outcome from action where kind = 'delegate'")
            assert len(delegations) == 5
            assert {row["state"] for row in delegations} == {"performed"}
            usage = aos.rows("select kind from usage_event order by kind")
            assert [row["kind"] for row in usage].count("task_runtime") == 5
            assert [row["kind"] for row in usage].count("workflow_execution") == 1

    asyncio.run(story())


def test_a_failed_task_skips_what_needs_it_and_fails_the_run(database: Database) -> None:
    flow = WorkflowSpec(
        "flow",
        (
            TaskSpec("bad", "fails", retry=RetrySpec(2, 0.01, 0.01)),
            TaskSpec("after", "echo", after=("bad",)),
            TaskSpec("later", "echo", after=("after",)),
            TaskSpec("apart", "echo", input=1),
        ),
    )

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["error_code"]) == ("failed", "raised")
            states = {label: task["state"] for label, task in aos.tasks(run["id"]).items()}
            assert states == {"bad": "failed", "after": "skipped", "later": "skipped", "apart": "succeeded"}
            bad = aos.tasks(run["id"])["bad"]
            assert bad["attempt"] == 2
            told: Any = aos.content(bad["error_content_id"])
            assert (told["code"], told["detail"].partition(" (")[0]) == ("raised", "ValueError: attempt 2 fails")
            assert re.fullmatch(r".* \(run_agents\.py:\d+\)", told["detail"]), "with the author's own line"
            await aos.check_books()

    asyncio.run(story())


def test_a_failed_attempt_is_made_again(database: Database) -> None:
    flow = WorkflowSpec("flow", (TaskSpec("once", "fails_once", retry=RetrySpec(3, 0.01, 0.01)),))

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["output"]) == ("succeeded", 2)
            await aos.check_books()

    asyncio.run(story())


def test_an_escalated_payment_parks_the_task_and_is_made_once_after_the_yes(database: Database) -> None:
    async def story() -> None:
        caller = Caller()
        async with working(company(database, LARGE), caller) as aos:
            run_id = await aos.start(agent="pays", input=PAYMENT)
            (approval,) = await aos.until(
                "select a.* from approval a join task t on t.id = a.task_id and t.state = 'waiting'"
            )
            assert not caller.calls
            await aos.answer(approval["id"])
            run = await aos.ended(run_id)
            assert (run["state"], run["output"]) == ("succeeded", "ok")
            assert len(caller.calls) == 1
            (task,) = aos.tasks(run_id).values()
            assert task["attempt"] == 1
            assert task["claims"] == 0
            assert run_agents.entered[f"pays:{task['id']}"] == 2
            assert aos.rows("select status from approval") == [{"status": "used"}]
            await aos.check_books()

    asyncio.run(story())


def test_a_denial_reaches_the_agent_with_the_persons_words(database: Database) -> None:
    async def story() -> None:
        caller = Caller()
        async with working(company(database, LARGE), caller) as aos:
            run_id = await aos.start(agent="pays_or_says_why", input=PAYMENT)
            (approval,) = await aos.until("select * from approval")
            await aos.answer(approval["id"], Answer.DENY, comment="not this vendor")
            run = await aos.ended(run_id)
            assert run["output"] == {"denied": "a person denied it: not this vendor"}
            assert not caller.calls
            assert aos.rows("select state, error_code from action where kind = 'tool'") == [
                {"state": "refused", "error_code": "denied"}
            ]
            await aos.check_books()

    asyncio.run(story())


def test_a_refusal_is_told_in_the_same_words_on_every_pass(database: Database) -> None:
    no_dollars = Rule(
        "no-dollars", 1, Outcome.DENY, (), ("tool:payments.create",), 'args.currency == "USD"', "no {args.currency}"
    )

    async def story() -> None:
        caller = Caller()
        async with working(company(database, LARGE, no_dollars), caller) as aos:
            run_id = await aos.start(agent="notes_the_refusal_and_waits", input=PAYMENT)
            (approval,) = await aos.until("select * from approval")
            await aos.answer(approval["id"], Answer.APPROVE)
            run = await aos.ended(run_id)
            assert run["state"] == "succeeded", aos.tasks(run_id)
            (noted, paid) = caller.calls
            assert (noted[0], paid[0]) == ("erp.note", "payments.create")
            assert noted[1]["rule"] == "no-dollars"
            assert noted[1]["detail"] == "no USD"

    asyncio.run(story())


def test_an_approval_is_answered_once_in_time_by_who_may_for_the_act_that_was_seen(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, LARGE)) as aos:
            await aos.start(agent="pays", input=PAYMENT)
            (approval,) = await aos.until("select * from approval")
            answer = aos.do.approvals.answer_approval
            viewer = Actor(aos.world.organization_id, aos.world.person_id, "x", frozenset({Role.VIEWER}))
            with pytest.raises(Forbidden):
                await answer(viewer, approval["id"], answer=Answer.APPROVE)
            with pytest.raises(Conflict, match="another act"):
                await answer(aos.approver, approval["id"], answer=Answer.APPROVE, digest="00")
            with pytest.raises(InvalidRequest, match="say why"):
                await answer(aos.approver, approval["id"], answer=Answer.DENY)
            with pytest.raises(NotFound):
                await answer(aos.approver, aos.world.person_id, answer=Answer.APPROVE)
            answers = [answer(aos.approver, approval["id"], answer=Answer.APPROVE) for _ in range(5)]
            done = await asyncio.gather(*answers, return_exceptions=True)
            assert sum(not isinstance(each, Exception) for each in done) == 1
            assert {type(each) for each in done if isinstance(each, Exception)} == {Conflict}

    asyncio.run(story())


def test_an_unanswered_approval_refuses_the_act_when_its_time_is_over(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, LARGE)) as aos:
            run_id = await aos.start(agent="pays_or_says_why", input=PAYMENT)
            await aos.until("select * from task where state = 'waiting'")
            aos.world.rows("update approval set expires_at = aos_now()")
            run = await aos.ended(run_id)
            assert run["output"] == {"denied": "nobody answered in time"}
            assert aos.rows("select status from approval") == [{"status": "expired"}]

    asyncio.run(story())


def test_spawned_tasks_run_apart_and_their_parent_goes_on_with_their_values(database: Database) -> None:
    async def story() -> None:
        async with working(company(database)) as aos:
            run = await aos.ended(await aos.start(agent="leads", input={"items": [1, 2, 3]}))
            assert (run["state"], run["output"]) == ("succeeded", 12), aos.tasks(run["id"])
            tasks = aos.tasks(run["id"])
            assert set(tasks) == {"leads", "double-1", "double-2", "double-3"}
            assert tasks["double-1"]["parent_id"] == tasks["leads"]["id"]
            assert [link["name"] for link in tasks["double-1"]["chain"]] == ["maria@larkspur.example", "leads"]
            assert run["tasks_total"] == 4
            assert len(aos.rows("select 1 from action where kind = 'delegate' and state = 'performed'")) == 4
            assert len(aos.rows("select 1 from report")) == 1
            await aos.check_books()

    asyncio.run(story())


def test_a_failed_child_is_its_parents_to_judge(database: Database) -> None:
    async def story() -> None:
        async with working(company(database)) as aos:
            run = await aos.ended(await aos.start(agent="leads_carefully"))
            assert run["state"] == "succeeded"
            assert "raised" in str(run["output"])

    asyncio.run(story())


def test_an_agent_spawns_only_whom_it_may(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world) as aos:
            world.rows("update agent_version set spec = jsonb_set(spec, '{delegates}', '[]')")
            world.rows("update organization set epoch = epoch + 1")
            await aos.running.facts.refresh()
            run = await aos.ended(await aos.start(agent="leads", input={"items": [1]}))
            assert run["state"] == "failed"
            assert len(aos.tasks(run["id"])) == 1
            assert aos.rows("select state from action where kind = 'delegate' order by id desc limit 1") == [
                {"state": "refused"}
            ]

    asyncio.run(story())


def test_a_payment_made_in_a_failed_attempt_is_not_made_again(database: Database) -> None:
    flow = WorkflowSpec("flow", (TaskSpec("pay", "pays_then_fails", input=PAYMENT, retry=RetrySpec(2, 0.01, 0.01)),))

    async def story() -> None:
        caller = Caller()
        async with working(company(database, workflows=(flow,)), caller) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["output"]) == ("succeeded", "ok")
            assert len(caller.calls) == 1

    asyncio.run(story())


def test_a_payment_that_the_next_attempt_leaves_out_stops_the_task(database: Database) -> None:
    flow = WorkflowSpec(
        "flow", (TaskSpec("pay", "pays_first_time_only", input=PAYMENT, retry=RetrySpec(3, 0.01, 0.01)),)
    )

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            run = await aos.ended(await aos.start("flow"))
            assert (run["state"], run["error_code"]) == ("failed", "diverged")
            assert aos.tasks(run["id"])["pay"]["attempt"] == 2

    asyncio.run(story())


def test_a_step_runs_once_however_many_passes_there_are(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, LARGE)) as aos:
            run_id = await aos.start(agent="counts_steps", input=PAYMENT)
            (approval,) = await aos.until(
                "select a.* from approval a join task t on t.id = a.task_id and t.state = 'waiting'"
            )
            await aos.answer(approval["id"])
            run = await aos.ended(run_id)
            assert run["output"] == 1

    asyncio.run(story())


def test_a_finding_enters_the_log_by_its_code(database: Database) -> None:
    async def story() -> None:
        async with working(company(database)) as aos:
            await aos.ended(await aos.start(agent="observes"))
            (record,) = aos.rows("select bytes from record where kind = 'finding.reported'")
            assert b'"finding":"double-payment"' in record["bytes"]
            assert b"two payments" not in record["bytes"]

    asyncio.run(story())


def test_a_tool_that_fails_is_tried_again_under_the_same_key(database: Database) -> None:
    async def story() -> None:
        caller = Caller(lambda tool, arguments: ToolOutcome(ok=False, error="down"))
        async with working(company(database), caller) as aos:
            run = await aos.ended(await aos.start(agent="survives_failure"))
            assert run["output"] == 2
            assert len({key for _, _, key in caller.calls}) == 1

    asyncio.run(story())


def test_a_delegation_that_policy_denies_fails_the_task_and_one_that_it_escalates_waits(database: Database) -> None:
    deny = Rule("no-echo", 1, Outcome.DENY, (), ("delegate:echo",), reason="not today")
    ask = Rule("ask-double", 1, Outcome.ESCALATE, (), ("delegate:double",), reason="ask", approvers=Approvers())

    async def story() -> None:
        async with working(company(database, deny, ask)) as aos:
            denied = await aos.ended(await aos.start(agent="echo", input=1))
            assert (denied["state"], denied["error_code"]) == ("failed", "denied")
            for answer, state in ((Answer.APPROVE, "succeeded"), (Answer.DENY, "failed")):
                run_id = await aos.start(agent="double", input={"n": 1})
                (approval,) = await aos.until("select * from approval where status = 'pending'")
                await aos.answer(approval["id"], answer, comment="because")
                run = await aos.ended(run_id)
                assert run["state"] == state
            await aos.check_books()

    asyncio.run(story())


# --- starting and steering -----------------------------------------------------------------------------------------


def test_the_same_key_starts_one_run(database: Database) -> None:
    async def story() -> None:
        async with working(company(database)) as aos:
            request = RunRequest(agent="echo", input=1, idempotency_key="monday")
            answers = await asyncio.gather(
                *(aos.do.runs.start_run(aos.person, request) for _ in range(4)), return_exceptions=True
            )
            again = await aos.do.runs.start_run(aos.person, request)
            assert isinstance(again, RunStarted)
            assert again.replayed
            assert {each.run_id for each in answers if isinstance(each, RunStarted)} == {again.run_id}
            assert len(aos.rows("select 1 from run")) == 1

    asyncio.run(story())


def test_a_run_is_refused_where_what_is_asked_cannot_be(database: Database) -> None:
    flow = WorkflowSpec("flow", (TaskSpec("a", "echo"),), input={"type": "object", "required": ["month"]})

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            start = aos.do.runs.start_run
            for request, error in (
                (RunRequest(), InvalidRequest),
                (RunRequest(agent="nobody"), NotFound),
                (RunRequest(workflow="nothing"), NotFound),
                (RunRequest(workflow="flow", input={}), InvalidRequest),
            ):
                with pytest.raises(error):
                    await start(aos.person, request)
            viewer = replace(aos.person, roles=("viewer",))
            refused = await start(viewer, RunRequest(agent="echo"))
            assert type(refused).__name__ == "Refused"
            assert not aos.rows("select 1 from run")

    asyncio.run(story())


def test_a_cancelled_run_ends_at_once_and_its_workers_write_nothing(database: Database) -> None:
    flow = WorkflowSpec("flow", (TaskSpec("w", "waits"), TaskSpec("after", "echo", after=("w",))))

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            run_id = await aos.start("flow")
            await aos.until("select 1 from task where started_at is not null")
            while str(run_id) not in run_agents.gates:
                await asyncio.sleep(0.01)
            await aos.do.runs.cancel_run(aos.person, run_id)
            run = aos.run(run_id)
            assert run["state"] == "cancelled"
            assert {task["state"] for task in aos.tasks(run_id).values()} == {"cancelled"}
            run_agents.gates[str(run_id)].set()
            await aos.worker.tasks.finish(2.0)
            assert aos.tasks(run_id)["w"]["output"] is None
            assert await aos.do.runs.cancel_run(aos.person, run_id) == Steered()
            await aos.check_books()

    asyncio.run(story())


def test_the_passes_of_a_cancelled_run_are_cut_off_without_their_agents_having_to_end(database: Database) -> None:
    flow = WorkflowSpec("flow", (TaskSpec("w", "waits"),))

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            run_id = await aos.start("flow")
            while str(run_id) not in run_agents.gates:
                await asyncio.sleep(0.01)
            await aos.do.runs.cancel_run(aos.person, run_id)
            while aos.worker.tasks.held:
                await asyncio.sleep(0.01)
            assert not run_agents.gates[str(run_id)].is_set()

    asyncio.run(story())


def test_no_task_of_a_paused_run_is_claimed_until_it_goes_on(database: Database) -> None:
    flow = WorkflowSpec("flow", (TaskSpec("w", "waits"), TaskSpec("after", "echo", after=("w",), input=1)))

    async def story() -> None:
        async with working(company(database, workflows=(flow,))) as aos:
            run_id = await aos.start("flow")
            while str(run_id) not in run_agents.gates:
                await asyncio.sleep(0.01)
            await aos.do.runs.pause_run(aos.person, run_id)
            run_agents.gates[str(run_id)].set()
            await aos.until("select 1 from task where label = 'after' and state = 'ready'")
            assert await aos.do.tasks.claim(10) == []
            assert aos.run(run_id)["state"] == "paused"
            await aos.do.runs.resume_run(aos.person, run_id)
            assert (await aos.ended(run_id))["state"] == "succeeded"

    asyncio.run(story())


def test_a_worker_that_stops_gives_its_tasks_back_uncounted(database: Database) -> None:
    world = company(database)

    async def story() -> None:
        async with working(world) as aos:
            run_id = await aos.start(agent="waits")
            while str(run_id) not in run_agents.gates:
                await asyncio.sleep(0.01)
            await aos.worker.tasks.finish(0.01)
            (task,) = aos.tasks(run_id).values()
            assert (task["state"], task["claims"], task["attempt"]) == ("ready", 0, 1)
        run_agents.gates[str(run_id)] = asyncio.Event()
        run_agents.gates[str(run_id)].set()
        async with working(world) as other:
            assert (await other.ended(run_id))["state"] == "succeeded"

    asyncio.run(story())


def test_an_ended_run_leaves_the_hot_tables(database: Database) -> None:
    async def story() -> None:
        async with working(company(database, LARGE)) as aos:
            run_id = await aos.start(agent="leads", input={"items": [1, 2]})
            await aos.ended(run_id)
            assert await aos.do.housekeeping.archive_runs(after_seconds=0) == 3
            assert not aos.rows("select 1 from task")
            assert len(aos.rows("select 1 from task_finished where run_id = %s", run_id)) == 3
            for table in ("call", "edge", "origin_token"):
                assert not aos.rows(f"select 1 from {table}")
            assert aos.run(run_id)["archived_at"] is not None

    asyncio.run(story())
