"""What a run's agents report, by REST: in its order, by kind, and only for those who may read content."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planes import Plane
from tests.run_worlds import Company, TestRun, make_company
from tests.worlds import IDS, agent

TOLD: Any = {"value": {"plan": ["match", "pay"]}, "fields": {"name": "plan"}}


@pytest.fixture
def company(plane: Plane) -> Company:
    return make_company(plane, agents=[agent("finance", "erp.*")], tools=[], rules=[])


@pytest.fixture
def month(plane: Plane, company: Company) -> TestRun:
    """A run whose one task reported five times; what it told stands where a test can seal it: in the run's goal."""
    run = company.start("month-end", "plan", agent="finance", goal=TOLD)
    for kind in ("progress", "kpi", "progress", "finding", "kpi"):
        plane.run(
            "insert into report (organization_id, id, run_id, task_id, agent_id, kind, content_id)"
            " select organization_id, %s, id, %s, (select id from agent limit 1), %s, goal_content_id from run",
            IDS.new(),
            run.tasks["plan"],
            kind,
        )
    return run


def test_reports_come_in_their_order_page_by_page(plane: Plane, month: TestRun) -> None:
    first = plane.get(f"/runs/{month.id}/reports?limit=3").json()
    rest = plane.get(f"/runs/{month.id}/reports?limit=3&cursor={first['next']}").json()
    found = first["items"] + rest["items"]
    assert [each["kind"] for each in found] == ["progress", "kpi", "progress", "finding", "kpi"]
    assert rest["next"] is None
    assert {(each["agent"], each["task"], each["task_id"]) for each in found} == {
        ("finance", "plan", str(month.tasks["plan"]))
    }
    assert (found[0]["value"], found[0]["fields"]) == (TOLD["value"], TOLD["fields"])


def test_one_kind_of_report_can_be_asked_for(plane: Plane, month: TestRun) -> None:
    assert len(plane.get(f"/runs/{month.id}/reports?kind=kpi").json()["items"]) == 2
    assert plane.get(f"/runs/{month.id}/reports?kind=rumour").status_code == 400
    assert plane.get(f"/runs/{month.id}/reports?order=-created").status_code == 400


def test_what_was_told_is_hidden_from_who_may_not_read_content(plane: Plane, month: TestRun) -> None:
    viewer = plane.as_person("viewer@larkspur.example", "viewer")
    found = plane.get(f"/runs/{month.id}/reports", token=viewer).json()["items"]
    assert {(each["value"], each["fields"]) for each in found} == {(None, None)}


def test_reports_of_another_organizations_run_are_not_there(plane: Plane, month: TestRun) -> None:
    made = plane.post("/organizations", {"name": "Rival"}).json()
    assert plane.get(f"/runs/{month.id}/reports", **{"AOS-Organization": made["id"]}).status_code == 404
