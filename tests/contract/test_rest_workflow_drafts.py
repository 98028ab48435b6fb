"""Nobody writes what is run with another person's rights: a workflow that others' schedules or hooks run waits as a draft."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planes import ADMIN, Plane

DAN, EVE = "dan@larkspur.example", "eve@larkspur.example"
AGENT = {"name": "clerk", "type": "functional"}
STARTS: dict[str, dict[str, Any]] = {
    "schedule": {"name": "nightly", "workflow": "close", "cron": "0 3 * * *"},
    "hook": {"name": "billed", "workflow": "close"},
}
CHANGED = {"output": {"all": True}}
WHOLE = {"tasks": {"once": {"agent": "clerk", "input": {"all": True}}}}


def workflow(name: str, **task: Any) -> dict[str, Any]:
    """Return a workflow of one task."""
    return {"name": name, "tasks": {"once": task or {"agent": "clerk"}}}


@pytest.fixture
def developer(plane: Plane) -> str:
    """A developer in a company with two workflows, one nested in the other."""
    assert plane.post("/agents", AGENT).status_code == 201
    assert plane.post("/workflows", workflow("inner")).status_code == 201
    assert plane.post("/workflows", workflow("close", workflow="inner")).status_code == 201
    return plane.as_person(DAN, "developer")


def numbers(answer: Any) -> tuple[int, int | None]:
    """Return the version in force and the one that waits."""
    assert answer.status_code in (200, 201), answer.json()
    return answer.json()["version"], answer.json()["draft_version"]


@pytest.mark.parametrize("kind", ["schedule", "hook"])
@pytest.mark.parametrize("name", ["close", "inner"])
def test_an_edit_of_what_anothers_schedule_or_hook_runs_waits_until_it_is_accepted(
    plane: Plane, developer: str, kind: str, name: str
) -> None:
    assert plane.post(f"/{kind}s", STARTS[kind]).status_code == 201
    assert numbers(plane.patch(f"/workflows/{name}", {"description": "The close"}, token=developer)) == (2, None)
    assert numbers(plane.patch(f"/workflows/{name}", CHANGED, token=developer)) == (2, 3)
    assert numbers(plane.patch(f"/workflows/{name}", CHANGED, token=developer)) == (2, 3)
    assert plane.get(f"/workflows/{name}").json()["output"] is None
    path = f"/workflows/{name}/publish"
    assert plane.post(path, {"version": 3}, token=developer).status_code == 403
    unnamed = plane.post(path, {})
    assert (unnamed.status_code, unnamed.json()["draft_version"]) == (422, 3)
    assert plane.post(path, {"version": 2}).status_code == 409
    assert numbers(plane.post(path, {"version": 3})) == (3, None)
    assert plane.get(f"/workflows/{name}").json()["output"] == {"all": True}


@pytest.mark.parametrize("kind", ["schedule", "hook"])
def test_an_edit_counts_at_once_where_nobody_elses_rights_are_used(plane: Plane, developer: str, kind: str) -> None:
    assert numbers(plane.patch("/workflows/close", CHANGED, token=developer)) == (2, None)
    assert plane.post(f"/{kind}s", STARTS[kind], token=developer).status_code == 201
    assert numbers(plane.patch("/workflows/close", {"output": 1}, token=developer))[1] is None
    assert numbers(plane.patch("/workflows/close", {"output": 3}))[1] is None


@pytest.mark.parametrize("kind", ["schedule", "hook"])
def test_what_is_off_holds_an_edit_as_well_for_who_edits_may_have_turned_it_off(
    plane: Plane, developer: str, kind: str
) -> None:
    off = {**STARTS[kind], "name": "off", "enabled": False}
    assert plane.post(f"/{kind}s", off).status_code == 201
    assert numbers(plane.patch("/workflows/close", {"output": 2}, token=developer)) == (1, 2)


def test_the_owner_of_all_that_runs_a_workflow_accepts_its_draft(plane: Plane, developer: str) -> None:
    owner = plane.as_person(EVE, "developer")
    assert plane.post("/schedules", STARTS["schedule"], token=owner).status_code == 201
    assert numbers(plane.patch("/workflows/close", CHANGED, token=developer)) == (1, 2)
    assert plane.post("/workflows/close/publish", {"version": 2}, token=developer).status_code == 403
    assert plane.post("/hooks", STARTS["hook"]).status_code == 201
    assert plane.post("/workflows/close/publish", {"version": 2}, token=owner).status_code == 403
    assert plane.delete("/hooks/billed").status_code == 200
    assert numbers(plane.post("/workflows/close/publish", {"version": 2}, token=owner)) == (2, None)


def test_a_retired_workflow_comes_back_under_the_same_rule(plane: Plane, developer: str) -> None:
    assert plane.post("/schedules", STARTS["schedule"]).status_code == 201
    assert plane.delete("/workflows/close", token=developer).status_code == 200
    back = plane.post("/workflows", {"name": "close", **WHOLE}, token=developer)
    assert numbers(back) == (1, 2)
    assert back.json()["retired_at"] is not None
    assert numbers(plane.post("/workflows/close/publish", {"version": 2})) == (2, None)
    assert plane.get("/workflows/close").json()["retired_at"] is None


def test_a_manifest_says_which_workflows_wait_and_why(plane: Plane, developer: str) -> None:
    assert plane.post("/hooks", STARTS["hook"]).status_code == 201
    document = {"aos": 1, "workflows": {"inner": WHOLE, "fresh": WHOLE}}
    for _ in range(2):
        applied = plane.post("/manifest", {"manifest": document}, token=developer).json()
        changes = {each["name"]: each for each in applied["changes"]}
        assert changes["inner"]["waits"], applied
        assert f"the hook `billed` runs it with the rights of {ADMIN}" in changes["inner"]["detail"]
        assert applied["waits_for"] == [ADMIN]
    assert numbers(plane.get("/workflows/inner")) == (1, 2)
    assert numbers(plane.get("/workflows/fresh")) == (1, None)
    assert plane.post("/manifest", {"manifest": document}).status_code == 200
    assert numbers(plane.get("/workflows/inner")) == (3, None)


@pytest.mark.parametrize("kind", ["schedule", "hook"])
def test_nobody_lets_a_schedule_or_hook_run_with_the_rights_of_another(plane: Plane, developer: str, kind: str) -> None:
    foreign = {**STARTS[kind], "owner": ADMIN}
    assert plane.post(f"/{kind}s", foreign, token=developer).status_code == 403
    assert plane.post(f"/{kind}s", foreign).status_code == 201
    path = f"/{kind}s/{STARTS[kind]['name']}"
    assert plane.patch(path, {"workflow": "inner"}, token=developer).status_code == 403
    taken = plane.patch(path, {"workflow": "inner", "owner": DAN}, token=developer)
    assert (taken.status_code, taken.json()["owner"]) == (200, DAN)
    assert plane.patch(path, {"owner": ADMIN}, token=developer).status_code == 403
