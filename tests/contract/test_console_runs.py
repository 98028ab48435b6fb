"""What the console says of a run: why it failed, how far it is, and a graph that stays as it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.console.graph import draw_graph
from aos.console.run import lineage
from aos.console.run_words import quiet_words, reason_of, run_answer
from aos.operations.archive import Housekeeping
from aos.operations.contents import seal_content
from aos.operations.run_views import SHOWN_TASKS_MAX, RunDetail, count_task_kinds, show_run
from aos.store.hot.database import Database, DatabaseConfig
from tests.planes import Plane
from tests.run_worlds import CONTENT, Company, TestRun, make_company
from tests.worlds import IDS, agent


@pytest.fixture
def company(plane: Plane) -> Company:
    return make_company(plane, agents=[agent("finance", "erp.*")])


def keep_error(company: Company, detail: str) -> Any:
    """Write the text of an error and return its id."""

    async def go() -> Any:
        async with company.world.running(company.caller) as aos:
            keys = (await aos.facts.of(company.world.organization_id)).data_keys
            more: dict[str, Any] = {
                "organization_id": company.world.organization_id,
                "keys": keys,
                "crypto": aos.drivers.crypto,
            }
            return seal_content({"detail": detail}, purpose="error", ids=IDS, **more).row

    row = asyncio.run(go())
    company.plane.run(CONTENT, company.world.organization_id, row.id, "error", row.data_key_id, row.salt, row.sealed)
    return row.id


def end(company: Company, run: TestRun, task: str, state: str, *, error: str | None = None, detail: str = "") -> None:
    """End a task, its error's text kept as content."""
    company.plane.run(
        "update task set state = %s, claim_token = null, error_code = %s, error_content_id = %s, finished_at = aos_now()"
        " where id = %s", state, error, keep_error(company, detail) if detail else None, run.tasks[task],
    )  # fmt: skip


def end_run(company: Company, run: TestRun, state: str, error: str | None = None) -> None:
    """End a run."""
    query = "update run set state = %s, error_code = %s, tasks_open = 0, finished_at = aos_now() where id = %s"
    company.plane.run(query, state, error, run.id)


def shown(company: Company, run: TestRun, actor: Any = None) -> RunDetail:
    return show_run(company.plane.drivers, actor or company.plane.actor, run.id)


def said(detail: RunDetail) -> str:
    now = detail.run.finished_at or detail.run.created_at
    return run_answer(detail.run, now, failed=detail.failed, states=detail.states)


def test_a_failed_run_says_which_task_failed_and_why(company: Company) -> None:
    run = company.start("deliver", "load", "drive", agent="finance")
    end(company, run, "load", "succeeded")
    end(company, run, "drive", "failed", error="agent-failed", detail="RuntimeError: the van is broken")
    end_run(company, run, "failed", "agent-failed")
    detail = shown(company, run)
    assert [(task.label, reason_of(task)) for task in detail.failed] == [
        ("drive", "agent-failed: RuntimeError: the van is broken")
    ]
    assert "task drive failed (agent-failed: RuntimeError: the van is broken); nothing was refused" in said(detail)


def test_a_stuck_task_is_said_while_the_run_goes_on(company: Company) -> None:
    run = company.start("deliver", "drive", "wash", agent="finance")
    end(company, run, "drive", "stuck", error="lease-lost")
    detail = shown(company, run)
    assert said(detail).startswith("Under way for 0 ms: task drive is stuck (lease-lost); ")
    assert [task.state for task in detail.failed] == ["stuck"]


def test_what_failed_for_want_of_another_names_that_one_and_counts_the_rest(company: Company) -> None:
    run = company.start("deliver", "fan", *(f"van{n}" for n in range(9)), agent="finance", parent="fan")
    for name in run.tasks:
        end(company, run, name, "failed", error="agent-failed", detail=f"{name} is broken")
    end_run(company, run, "failed", "agent-failed")
    detail = shown(company, run)
    assert "task van0 failed (agent-failed: van0 is broken) and 9 more tasks failed; " in said(detail)
    assert len(detail.failed) == 6
    assert detail.states == {"failed": 10}


def test_a_run_under_way_is_not_spoken_of_as_done(company: Company) -> None:
    run = company.start("deliver", "drive", agent="finance")
    assert "still under way" in quiet_words(shown(company, run).run)
    assert "done" not in quiet_words(shown(company, run).run)
    end(company, run, "drive", "succeeded")
    end_run(company, run, "failed", "invalid-request")
    assert "The run itself failed (invalid-request)" in quiet_words(shown(company, run).run)
    assert "invalid-request; " in said(shown(company, run))


def test_a_run_of_more_tasks_than_are_drawn_counts_them_all(company: Company) -> None:
    run = company.start("deliver", "fan", *(f"van{n}" for n in range(250)), agent="finance", parent="fan")
    company.plane.run("update task set kind = 'fan' where id = %s", run.tasks["fan"])
    company.plane.run("update task set name = 'fan' where run_id = %s", run.id)
    company.plane.run("update task set state = 'succeeded' where label in ('van1', 'van249')")
    detail = shown(company, run)
    assert len(detail.tasks.items) == SHOWN_TASKS_MAX
    tasks = detail.tasks.items
    counts = count_task_kinds(company.plane.actor, run.id, [task.id for task in tasks])
    (drawn,) = draw_graph(tasks, counts).boxes
    assert drawn.note == "2 of 250 succeeded"


def test_the_graph_of_a_run_is_the_same_once_it_is_archived(company: Company) -> None:
    run = company.start("deliver", "load", "drive", "wash", "bill", agent="finance")
    needs = [("load", "drive"), ("load", "wash"), ("drive", "bill"), ("wash", "bill")]
    for source, target in needs:
        company.plane.run(
            "insert into edge (organization_id, source_id, target_id, run_id, kind) values (%s, %s, %s, %s, 'after')",
            company.world.organization_id, run.tasks[source], run.tasks[target], run.id,
        )  # fmt: skip
    for name in run.tasks:
        end(company, run, name, "succeeded")
    end_run(company, run, "succeeded")
    before = shown(company, run)
    archive(company)
    after = shown(company, run)
    assert company.plane.rows("select count(*) from edge") == [(0,)]
    assert company.plane.rows("select count(*) from task") == [(0,)]
    assert len(draw_graph(before.tasks.items).arrows) == 4
    assert draw_graph(after.tasks.items) == draw_graph(before.tasks.items)
    assert after.tasks == before.tasks


def archive(company: Company) -> None:
    """Archive what has ended."""
    database = company.plane.database

    async def go() -> None:
        hot = Database(DatabaseConfig(database.app, database.machine))
        await hot.open()
        try:
            await Housekeeping(hot).archive_runs(after_seconds=0)
        finally:
            await hot.close()

    asyncio.run(go())


def test_a_run_that_is_undone_and_its_fork_lead_to_one_another(company: Company) -> None:
    source, fork = company.start("close", "match", agent="finance"), company.start("close", "match", agent="finance")
    undoing = company.start("undo", "match", agent="finance")
    company.plane.run("update run set forked_from_id = %s, forked_task = 'match' where id = %s", source.id, fork.id)
    company.plane.run("update run set undoes_id = %s where id = %s", source.id, undoing.id)

    def told(run: TestRun) -> list[tuple[str, str]]:
        return [(each.words, each.label) for each in lineage(shown(company, run))]

    end_of = {run.id: str(run.id)[-8:] for run in (source, fork, undoing)}
    assert told(source) == [
        ("undone by run", end_of[undoing.id]),
        ("forked before that, and not undone with it, as run", end_of[fork.id]),
    ]
    assert told(fork) == [
        ("forked at match from run", end_of[source.id]),
        ("which was undone since by run", end_of[undoing.id]),
    ]
