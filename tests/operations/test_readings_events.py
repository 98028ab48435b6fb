"""A run's feed: its records in the log's order, each once, whoever else writes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.kernel.errors import InvalidRequest, NotFound
from aos.operations.run_events import NEAR_LEAVES, RunEvent, RunEvents, event_document
from aos.store.hot.database import Database, DatabaseConfig
from tests.planes import Plane
from tests.run_worlds import Company, TestRun, make_company
from tests.worlds import IDS, agent, tool


@pytest.fixture
def company(plane: Plane) -> Company:
    return make_company(plane, agents=[agent("finance", "erp.*")], tools=[tool("erp.read"), tool("mail.send")])


def read(
    company: Company, run: Any, *, organization: Any = None, near: int = NEAR_LEAVES, **asked: int
) -> list[RunEvent]:
    """Read the feed once."""

    async def go() -> list[RunEvent]:
        database = Database(DatabaseConfig(company.plane.database.app, company.plane.database.machine))
        await database.open()
        try:
            return await RunEvents(database, near_leaves=near).after(
                organization or company.world.organization_id, run, **asked
            )
        finally:
            await database.close()

    return asyncio.run(go())


def acts(company: Company, run: TestRun, *keys: str, name: str = "erp.read") -> list[Any]:
    """Return calls of the run's task."""
    return [company.act_in(run, "pay", "finance", tool=name, arguments={"n": key}, key=key) for key in keys]


def test_events_come_in_the_logs_order_with_task_action_decision_and_rules(company: Company) -> None:
    run = company.start("month-end", "pay", agent="finance")
    company.perform(*acts(company, run, "a"), *acts(company, run, "b", name="mail.send"))
    intended, performed, refused = [event_document(event) for event in read(company, run.id)]
    assert [each["kind"] for each in (intended, performed, refused)] == ["act.intended", "act.performed", "act.refused"]
    assert intended["index"] < performed["index"] < refused["index"]
    assert intended["task"] == {"id": str(run.tasks["pay"]), "label": "pay", "agent": "finance"}
    assert intended["action"]["id"] == performed["action"]["id"]
    assert (intended["action"]["decision"], intended["action"]["rules"]) == ("allow", ["permission/finance/erp.*@1"])
    assert (performed["action"]["kind"], performed["action"]["name"]) == ("tool", "erp.read")
    assert (refused["action"]["decision"], refused["action"]["error"]) == ("deny", "denied")
    assert str(intended["at"]).endswith("Z")


@pytest.mark.parametrize("near", [0, 2_000])
def test_a_reader_goes_on_where_it_stopped_and_misses_nothing(company: Company, near: int) -> None:
    run, other = (company.start(name, "pay", agent="finance") for name in ("one", "two"))
    company.perform(*(act for key in "abcd" for each in (run, other) for act in acts(company, each, key)))
    whole = read(company, run.id, near=near)
    assert len(whole) == 8
    found: list[RunEvent] = []
    while page := read(company, run.id, near=near, index=found[-1].index if found else -1, limit=3):
        found += page
    assert found == whole
    company.perform(*acts(company, run, "e"))
    assert [event.kind for event in read(company, run.id, near=near, index=found[-1].index)] == [
        "act.intended",
        "act.performed",
    ]


def test_a_record_whose_bytes_were_dropped_keeps_its_place(company: Company) -> None:
    run = company.start("month-end", "pay", agent="finance")
    company.perform(*acts(company, run, "a"))
    company.world.rows("update record set bytes = null where kind = 'act.intended'")
    gone, performed = read(company, run.id)
    assert (gone.kind, gone.at, gone.task) == ("act.intended", "", None)
    assert performed.kind == "act.performed"
    assert gone.index < performed.index


def test_another_organizations_run_is_not_there(company: Company) -> None:
    run = company.start("month-end", "pay", agent="finance")
    for wrong in ({"run": IDS.new()}, {"run": run.id, "organization": IDS.new()}):
        with pytest.raises(NotFound):
            read(company, wrong["run"], organization=wrong.get("organization"))


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 1_001}, {"index": -2}, {"index": 1 << 63}])
def test_what_is_out_of_range_is_refused(company: Company, asked: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest):
        read(company, IDS.new(), **asked)
