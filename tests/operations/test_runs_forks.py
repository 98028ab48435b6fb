"""A run that is forked goes on from the record of another; one task is tried again without the rest."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from aos.kernel.acts import Act, ActKind
from aos.kernel.errors import Conflict, InvalidRequest, NotFound
from aos.kernel.money import Money
from aos.kernel.tools import ResultTrust
from aos.kernel.workflow.plan import plan_workflow
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.forks import ForkRequest, TriedAgain
from aos.operations.own_acts import Allowed
from aos.operations.run_rows import Lineage, Planned, RunRequest, RunRows, run_rows
from aos.operations.runs import RunStarted
from aos.operations.undo import RolledBack
from tests.databases import Database
from tests.operations.test_runs_worker import run_agent
from tests.working import Working, add_workflow, working
from tests.worlds import IDS, make_world, payments, tool

FLOW = WorkflowSpec(
    "flow",
    (
        TaskSpec("first", "double", input={"n": "${input.n}"}),
        TaskSpec("aside", "counted", after=("first",)),
        TaskSpec("each", "double", input={"n": "${item}"}, for_each="${[first.output.n, 5]}"),
        TaskSpec("last", "echo", input={"all": "${each.output}", "n": "${input.n}"}),
    ),
    input={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    output={"last": "${last.output}", "aside": "${aside.output}"},
)
BROKEN = WorkflowSpec(
    "broken", (TaskSpec("good", "counted"), TaskSpec("bad", "fails", after=("good",)), TaskSpec("end", "echo", after=("bad",)))
)  # fmt: skip


async def forked(aos: Working, run_id: object, task: str, **more: object) -> dict[str, object]:
    """Fork a run and return the fork once it has ended."""
    begun = await aos.do.forks.fork_run(aos.person, run_id, ForkRequest(task, **more))  # type: ignore[arg-type]
    assert isinstance(begun, RunStarted), begun
    return await aos.ended(begun.run_id)


def passes(aos: Working, run_id: object) -> set[str]:
    """Return which tasks of a run were run."""
    started = aos.rows("select label from task where run_id = %s and started_at is not null", run_id)
    return {row["label"] for row in started}


def test_a_fork_runs_a_task_and_what_comes_after_it_and_takes_the_rest_from_the_record(database: Database) -> None:
    async def story() -> None:
        async with working(company_of_forks(database)) as aos:
            run = await aos.ended(
                await aos.start("flow", input={"n": 4}, goal="double", labels={"month": "11"}, budget=Money(5, "EUR"))
            )
            assert run["output"] == {"last": {"all": [{"n": 16}, {"n": 10}], "n": 4}, "aside": 1}
            fork = await forked(aos, run["id"], "each")
            assert fork["output"] == run["output"]
            assert passes(aos, fork["id"]) == {"each", "each[0]", "each[1]", "last"}
            named = ("workflow_id", "workflow_version", "labels", "forked_from_id", "forked_task", "tasks_open")
            assert [fork[name] for name in named] == [
                run["workflow_id"], 1, {"month": "11"}, run["id"], "each", 0
            ]  # fmt: skip
            assert aos.content(fork["goal_content_id"]) == "double"  # type: ignore[arg-type]
            assert aos.rows("select limit_nanos from budget where scope_id = %s", fork["id"]) == [{"limit_nanos": 5}]
            assert aos.run(run["id"])["state"] == "succeeded"
            for part in ("each[1]", str(aos.tasks(run["id"])["each[1]"]["id"])):
                with pytest.raises(
                    InvalidRequest, match=r"`each\[1\]` is part of `each`.* all done again: name `each`"
                ):
                    await aos.do.forks.fork_run(aos.person, run["id"], ForkRequest(part))
            await aos.check_books()

    asyncio.run(story())


def company_of_forks(database: Database):
    """Return the shared company with an agent that counts its passes."""
    world = make_world(
        database, agents=[run_agent(name) for name in ("echo", "double", "counted", "fails", "fails_once", "waits")]
    )
    for workflow in (FLOW, BROKEN):
        add_workflow(world, workflow)
    return world


def test_a_fork_may_have_another_input_that_fits(database: Database) -> None:
    async def story() -> None:
        async with working(company_of_forks(database)) as aos:
            run = await aos.ended(await aos.start("flow", input={"n": 4}))
            fork = await forked(aos, run["id"], "last", input={"n": 7}, has_input=True)
            assert fork["output"] == {"last": {"all": [{"n": 16}, {"n": 10}], "n": 7}, "aside": 1}
            with pytest.raises(InvalidRequest, match="input of workflow `flow`"):
                await aos.do.forks.fork_run(aos.person, run["id"], ForkRequest("last", {"n": "x"}, has_input=True))

    asyncio.run(story())


def test_a_fork_of_an_archived_run_is_the_same(database: Database) -> None:
    async def story() -> None:
        async with working(company_of_forks(database)) as aos:
            run = await aos.ended(await aos.start("flow", input={"n": 4}))
            await aos.do.housekeeping.archive_runs(after_seconds=0)
            assert not aos.rows("select 1 from task")
            fork = await forked(aos, run["id"], "last")
            assert fork["output"] == run["output"]
            assert fork["origin_incomplete"] is True
            with pytest.raises(InvalidRequest, match=r"name `each`"):
                await aos.do.forks.fork_run(aos.person, run["id"], ForkRequest("each[0]"))

    asyncio.run(story())


def test_a_join_that_what_is_kept_satisfies_waits_for_nothing_else(database: Database) -> None:
    flow = WorkflowSpec(
        "join",
        (
            TaskSpec("a", "counted"),
            TaskSpec("b", "waits"),
            TaskSpec("first", "echo", after=("a", "b"), join="any", input=1),
        ),
    )

    async def story() -> None:
        world = company_of_forks(database)
        add_workflow(world, flow)
        async with working(world) as aos:
            run_id = await aos.start("join")
            await aos.until("select 1 from task where label = 'first' and state = 'succeeded'")
            begun = await aos.do.forks.fork_run(aos.person, run_id, ForkRequest("first"))
            assert isinstance(begun, RunStarted)
            await aos.until(
                "select 1 from task where run_id = %s and label = 'first' and state = 'succeeded'", begun.run_id
            )
            assert aos.tasks(begun.run_id)["b"]["state"] in ("ready", "running")
            for each in (run_id, begun.run_id):
                await aos.do.runs.cancel_run(aos.person, each)

    asyncio.run(story())


def test_what_a_run_saw_is_known_to_its_fork(database: Database) -> None:
    flow = WorkflowSpec(
        "pay", (TaskSpec("read", "reads"), TaskSpec("pay", "pays", input={"iban": "${read.output}", "amount": "1", "currency": "EUR"}))
    )  # fmt: skip

    async def story() -> None:
        world = make_world(
            database,
            agents=[run_agent("reads", "erp.read"), run_agent("pays", "payments.create")],
            tools=[tool("erp.read", result_trust=ResultTrust.UNTRUSTED), payments(sinks=("iban",))],
        )
        add_workflow(world, flow)
        async with working(world) as aos:
            run = await aos.ended(await aos.start("pay"))
            fork = await forked(aos, run["id"], "pay")
            assert fork["state"] == "succeeded"
            tokens = aos.rows("select token, origin from origin_token where run_id = %s order by 1, 2", run["id"])
            kept = aos.rows("select token, origin from origin_token where run_id = %s", fork["id"])
            assert "untrusted" in {row["origin"] for row in tokens}
            assert all(row in kept for row in tokens)

    asyncio.run(story())


@pytest.mark.parametrize("change", ["origin_incomplete = true", "archived_at = now()"])
def test_a_fork_knows_what_its_source_lost_of_origins_while_it_was_asked_for(database: Database, change: str) -> None:
    async def story() -> None:
        async with working(company_of_forks(database)) as aos:
            run = await aos.ended(await aos.start("flow", input={"n": 4}))
            planned = Planned("flow", plan_workflow(FLOW), workflow_id=run["workflow_id"], workflow_version=1)

            async def rows_of(allowed: Allowed) -> RunRows:
                lineage = Lineage(run["id"], bytes(32), origin_incomplete=False, task="last")
                request, drivers = RunRequest(input={"n": 4}), aos.do.drivers
                rows = run_rows(planned, request, allowed, now=aos.do.facts.now(), drivers=drivers, lineage=lineage)
                aos.rows(f"update run set {change} where id = %s returning 1", run["id"])
                return rows

            begun = await aos.do.runs.begin(Act(aos.person, ActKind.RUN, "flow", {"forks": str(run["id"])}), rows_of)
            assert isinstance(begun, RunStarted)
            assert aos.run(begun.run_id)["origin_incomplete"]

    asyncio.run(story())


def test_a_fork_of_a_nested_run_has_the_budget_that_its_source_spent_from(database: Database) -> None:
    outer = WorkflowSpec("outer", (TaskSpec("inner", workflow="flow", input={"n": 4}),))

    async def story() -> None:
        world = company_of_forks(database)
        add_workflow(world, outer)
        async with working(world) as aos:
            top = await aos.start("outer", budget=Money(5, "EUR"))
            await aos.ended(top)
            (nested,) = aos.rows("select id from run where parent_run_id = %s", top)
            fork = await forked(aos, nested["id"], "last")
            assert aos.rows("select limit_nanos from budget where scope_id = %s", fork["id"]) == [{"limit_nanos": 5}]

    asyncio.run(story())


async def undone(aos: Working, run_id: object) -> UUID:
    """Have a run undone, and return the run that did it."""
    begun = await aos.do.undos.roll_back(aos.person, run_id)  # type: ignore[arg-type]
    assert isinstance(begun, RolledBack), begun
    await aos.ended(begun.run_id)
    return begun.run_id


def test_nothing_is_taken_over_from_a_run_that_is_undone(database: Database) -> None:
    outer = WorkflowSpec(
        "outer", (TaskSpec("inner", workflow="flow", input={"n": 4}), TaskSpec("last", "fails", after=("inner",)))
    )

    async def story() -> None:
        world = company_of_forks(database)
        add_workflow(world, outer)
        async with working(world) as aos:
            top = (await aos.ended(await aos.start("outer")))["id"]
            (nested,) = aos.rows("select id from run where parent_run_id = %s", top)
            keyed = ForkRequest("last", idempotency_key="once")
            before = await aos.do.forks.fork_run(aos.person, nested["id"], keyed)
            by = await undone(aos, nested["id"])
            told = f"run `{by}` undoes run `{nested['id']}`"
            with pytest.raises(Conflict, match=f"{told}: .* begin afresh with `aos run flow`"):
                await aos.do.forks.fork_run(aos.person, nested["id"], ForkRequest("last"))
            for order in (aos.do.forks.fork_run, aos.do.forks.retry_task):
                with pytest.raises(Conflict, match=f"{told}, which task `inner` had started: fork at `inner`"):
                    await order(aos.person, top, ForkRequest("last"))
            again = await aos.do.forks.fork_run(aos.person, nested["id"], keyed)
            assert isinstance(before, RunStarted)
            assert isinstance(again, RunStarted)
            assert again.run_id == before.run_id
            fork = await forked(aos, top, "inner")
            assert aos.rows("select 1 from run where parent_run_id = %s and state = 'succeeded'", fork["id"])
            by = await undone(aos, top)
            with pytest.raises(Conflict, match=f"run `{by}` undoes run `{top}`: .* `aos run outer`"):
                await aos.do.forks.retry_task(aos.person, top, ForkRequest("last"))

    asyncio.run(story())


def test_a_run_that_is_not_there_or_has_no_such_task_is_not_forked(database: Database) -> None:
    async def story() -> None:
        async with working(company_of_forks(database)) as aos:
            run = await aos.ended(await aos.start("flow", input={"n": 4}))
            with pytest.raises(NotFound, match="did you mean `first`"):
                await aos.do.forks.fork_run(aos.person, run["id"], ForkRequest("frist"))
            with pytest.raises(NotFound):
                await aos.do.forks.fork_run(aos.person, IDS.new(), ForkRequest("first"))
            keyed = ForkRequest("last", idempotency_key="once")
            begun = [await aos.do.forks.fork_run(aos.person, run["id"], keyed) for _ in range(2)]
            assert begun[0].run_id == begun[1].run_id  # type: ignore[union-attr]

    asyncio.run(story())


def test_a_task_that_failed_is_tried_again_in_a_fork_and_only_that_and_what_follows(database: Database) -> None:
    async def story() -> None:
        async with working(company_of_forks(database)) as aos:
            run = await aos.ended(await aos.start("broken"))
            assert run["state"] == "failed"
            begun = await aos.do.forks.retry_task(aos.person, run["id"], ForkRequest("bad"))
            assert isinstance(begun, RunStarted)
            fork = await aos.ended(begun.run_id)
            assert (fork["forked_from_id"], fork["forked_task"]) == (run["id"], "bad")
            assert passes(aos, fork["id"]) == {"bad"}
            with pytest.raises(Conflict, match="`good` .* has succeeded"):
                await aos.do.forks.retry_task(aos.person, run["id"], ForkRequest("good"))

    asyncio.run(story())


def test_a_task_of_an_open_run_is_tried_again_where_it_was_given_up_on_alone(database: Database) -> None:
    async def story() -> None:
        async with working(company_of_forks(database), started=False) as aos:
            started = await aos.do.runs.start_run(aos.person, RunRequest(agent="waits"))
            assert isinstance(started, RunStarted)
            run_id = started.run_id
            (task,) = aos.tasks(run_id).values()
            with pytest.raises(Conflict, match="`waits` is ready in run .*, which is running"):
                await aos.do.forks.retry_task(aos.person, run_id, ForkRequest("waits"))
            aos.rows("update task set state = 'stuck', claims = 10 returning 1")
            tried = await aos.do.forks.retry_task(aos.person, run_id, ForkRequest(str(task["id"])))
            assert tried == TriedAgain(run_id, task["id"])
            assert aos.tasks(run_id)["waits"]["state"] == "ready"

    asyncio.run(story())
