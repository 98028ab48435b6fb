"""Runs, traces, actions, approvals and usage by REST: what a reader relies on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from aos.kernel.acts import Pending, Refused
from aos.kernel.policy.values import Outcome, Rule
from tests.planes import Plane
from tests.run_worlds import Company, TestRun, make_company
from tests.worlds import agent, payments, tool

PAY: dict[str, Any] = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
LARGE = Rule(
    "large-payments",
    1,
    Outcome.ESCALATE,
    ("finance",),
    ("tool:payments.create",),
    "args.amount > 1000",
    "payment of {args.amount} {args.currency} is over the limit",
)
NEVER_USD = Rule("no-dollars", 1, Outcome.DENY, (), ("tool:payments.create",), 'args.currency == "USD"', "no dollars")


@pytest.fixture
def company(plane: Plane) -> Company:
    return make_company(
        plane,
        agents=[agent("finance", "payments.create", "erp.*")],
        tools=[payments(sinks=("iban", "amount")), tool("erp.read")],
        rules=[LARGE, NEVER_USD],
    )


@pytest.fixture
def month(company: Company) -> TestRun:
    """A run of two tasks in which one act was done, one refused, and one waits."""
    run = company.start("month-end", "plan", "pay", agent="finance", parent="plan", goal="close the month")
    wanted = [("k1", PAY), ("k2", {**PAY, "currency": "USD"}), ("k3", {**PAY, "amount": "18240.00"})]
    company.done = company.perform(  # type: ignore[attr-defined]
        *(
            company.act_in(run, "pay", "finance", tool="payments.create", arguments=arguments, key=key)
            for key, arguments in wanted
        )
    )
    return run


def answer(response: Any, status: int = 200) -> Any:
    """Return the body of a response of that status."""
    assert response.status_code == status, response.text
    return response.json()


def test_a_run_is_shown_with_tasks_counts_cost_goal_and_what_waits(
    plane: Plane, company: Company, month: TestRun
) -> None:
    shown = answer(plane.get(f"/runs/{month.id}"))
    assert (shown["id"], shown["state"], shown["goal"]) == (str(month.id), "running", "close the month")
    assert shown["started_by"] == "maria@larkspur.example"
    assert (shown["actions"], shown["refused"], shown["waiting"]) == (3, 1, 1)
    assert shown["cost"] == {"amount": "0.002", "currency": "EUR"}
    assert shown["states"] == {"running": 2}
    plan, pay = shown["tasks"]
    assert (plan["label"], plan["parent_id"], plan["agent"]) == ("plan", None, "finance")
    assert (pay["label"], pay["parent_id"]) == ("pay", plan["id"])
    (waits,) = shown["approvals"]
    assert waits["status"] == "pending"


def test_runs_are_found_by_state_label_and_name(plane: Plane, month: TestRun) -> None:
    for query in ("", "state=running", "label=month", "label=month=2026-11", "name=month-end"):
        assert [item["id"] for item in answer(plane.get(f"/runs?{query}"))["items"]] == [str(month.id)], query
    for query in (
        "state=failed",
        "label=year",
        "label=month=2026-10",
        "agent=finance",
        "workflow=x",
        "to=2020-01-01T00:00:00Z",
    ):
        assert answer(plane.get(f"/runs?{query}"))["items"] == [], query
    assert plane.get("/runs?colour=red").status_code == 400


def test_runs_and_tasks_are_paged(plane: Plane, company: Company) -> None:
    made = [company.start(f"run-{n}", *(f"t{m}" for m in range(5)), agent="finance") for n in range(3)]
    first = answer(plane.get("/runs?limit=2"))
    rest = answer(plane.get(f"/runs?limit=2&cursor={first['next']}"))
    assert [item["id"] for item in first["items"] + rest["items"]] == [str(run.id) for run in reversed(made)]
    assert rest["next"] is None
    tasks = answer(plane.get(f"/runs/{made[0].id}/tasks?limit=3"))
    more = answer(plane.get(f"/runs/{made[0].id}/tasks?limit=3&cursor={tasks['next']}"))
    assert [item["label"] for item in tasks["items"] + more["items"]] == ["t0", "t1", "t2", "t3", "t4"]


def test_an_approval_says_what_the_approver_must_know(plane: Plane, company: Company, month: TestRun) -> None:
    (item,) = answer(plane.get("/approvals?status=pending"))["items"]
    shown = answer(plane.get(f"/approvals/{item['id']}"))
    assert shown["act"] == "pay 18,240.00 EUR to DE89370400440532013000 with payments.create"
    assert shown["arguments"] == {**PAY, "amount": "18240.00"}
    assert item["subject"] == shown["subject"]
    assert shown["subject"].startswith("payments.create: amount 18240.00")
    assert [(rule["id"], rule["reason"]) for rule in shown["rules"]] == [
        ("large-payments", "payment of 18240.00 EUR is over the limit")
    ]
    assert shown["facts"]["args.amount"] in ("18240.00", "18240")
    assert [link["name"] for link in shown["chain"]] == ["maria@larkspur.example", "finance"]
    assert len(shown["digest"]) == 64
    assert shown["action_id"] == str(company.done[2].action_id)  # type: ignore[attr-defined]
    assert (shown["task"], shown["run_id"]) == ("pay", str(month.id))
    assert answer(plane.get(f"/approvals?run={month.id}"))["items"] == [item]
    assert answer(plane.get("/approvals?status=denied"))["items"] == []


def test_an_approval_whose_time_is_over_counts_as_expired(plane: Plane, company: Company, month: TestRun) -> None:
    company.world.rows("update approval set expires_at = aos_now() - interval '1 second'")
    assert answer(plane.get("/approvals?status=pending"))["items"] == []
    assert [item["status"] for item in answer(plane.get("/approvals?status=expired"))["items"]] == ["expired"]
    assert answer(plane.get(f"/runs/{month.id}"))["approvals"] == []


def test_a_trace_tells_every_act_in_order_with_its_reasons_facts_cost_and_places(
    plane: Plane, company: Company, month: TestRun
) -> None:
    performed, refused, waiting = answer(plane.get(f"/traces/{month.id}"))["actions"]
    assert [each["state"] for each in (performed, refused, waiting)] == ["performed", "refused", "waiting"]
    assert performed["decision"]["outcome"] == "allow"
    assert performed["cost"] == {"amount": "0.002", "currency": "EUR"}
    assert performed["summary"] == "ok"
    assert [place["kind"] for place in performed["records"]] == ["act.intended", "act.performed"]
    assert [place["index"] for place in performed["records"]] == sorted(
        place["index"] for place in performed["records"]
    )
    assert refused["decision"]["rules"][0]["reason"] == "no dollars"
    assert refused["decision"]["facts"] == {"args.currency": "USD"}
    assert refused["error"] == "denied"
    assert waiting["approval"]["status"] == "pending"
    assert (waiting["task"], waiting["agent"]) == ("pay", "finance")
    only = answer(plane.get(f"/traces/{month.id}?state=refused"))["actions"]
    assert [each["id"] for each in only] == [refused["id"]]


def test_a_trace_is_paged(plane: Plane, month: TestRun) -> None:
    first = answer(plane.get(f"/traces/{month.id}?limit=2"))
    rest = answer(plane.get(f"/traces/{month.id}?limit=2&cursor={first['next']}"))
    whole = answer(plane.get(f"/traces/{month.id}"))
    assert first["actions"] + rest["actions"] == whole["actions"]
    assert plane.get(f"/traces/{month.id}?limit=2001").status_code == 400


def test_an_act_outside_of_runs_is_a_trace_of_its_own(plane: Plane, company: Company) -> None:
    (done,) = company.perform(company.world.act("finance", "erp.read"))
    shown = answer(plane.get(f"/traces/{done.action_id}"))
    assert shown["run"] is None
    assert [each["id"] for each in shown["actions"]] == [str(done.action_id)]
    assert [each["id"] for each in answer(plane.get("/actions?run=none"))["items"]] == [str(done.action_id)]
    assert answer(plane.get(f"/actions/{done.action_id}"))["result"] == "ok"
    assert len(answer(plane.get(f"/traces/{done.action_id}/tree"))["actions"]) == 1


def test_the_tree_hangs_tasks_below_their_parents_and_acts_below_their_tasks(plane: Plane, month: TestRun) -> None:
    tree = answer(plane.get(f"/traces/{month.id}/tree"))
    (plan,) = tree["tasks"]
    (pay,) = plan["tasks"]
    assert (plan["task"]["label"], pay["task"]["label"]) == ("plan", "pay")
    assert plan["actions"] == []
    assert [each["state"] for each in pay["actions"]] == ["performed", "refused", "waiting"]
    assert pay["actions"][1]["decision"]["rules"][0]["id"] == "no-dollars"
    assert tree["actions"] == []


def test_the_tree_says_why_a_task_failed_to_those_who_may_read_it(
    plane: Plane, company: Company, month: TestRun
) -> None:
    company.world.rows(
        "update task t set error_code = 'tool-failed', error_content_id = r.goal_content_id from run r"
        " where r.id = t.run_id and t.name = 'pay'"
    )
    viewer = plane.as_person("vera@larkspur.example", "viewer")
    for token, detail in ((None, "close the month"), (viewer, None)):
        asked = {"token": token} if token else {}
        (plan,) = answer(plane.get(f"/traces/{month.id}/tree", **asked))["tasks"]
        (pay,) = plan["tasks"]
        assert (pay["task"]["error"], pay["task"]["detail"]) == ("tool-failed", detail)


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ("state=refused", ["refused"]),
        ("outcome=escalate", ["waiting"]),
        ("agent=finance&name=payments.create", ["waiting", "refused", "performed"]),
        ("agent=nobody", []),
        ("kind=model", []),
        ("to=2020-01-01T00:00:00Z", []),
        ("order=created", ["performed", "refused", "waiting"]),
    ],
)
def test_actions_are_found_by_what_they_are(plane: Plane, month: TestRun, query: str, states: list[str]) -> None:
    assert [item["state"] for item in answer(plane.get(f"/actions?{query}"))["items"]] == states
    assert [item["state"] for item in answer(plane.get(f"/actions?run={month.id}&{query}"))["items"]] == states


def test_content_is_closed_to_those_who_may_not_read_it(plane: Plane, company: Company, month: TestRun) -> None:
    viewer = plane.as_person("vera@larkspur.example", "viewer")
    run = answer(plane.get(f"/runs/{month.id}", token=viewer))
    assert run["goal"] is None
    (waits,) = run["approvals"]
    assert (waits["arguments"], waits["reason"], waits["facts"]) == (None, None, None)
    assert (waits["act"], waits["subject"]) == ("pay with payments.create", "payments.create")
    assert [rule["id"] for rule in waits["rules"]] == ["large-payments"]
    refused = answer(plane.get(f"/traces/{month.id}", token=viewer))["actions"][1]
    first = refused["decision"]["rules"][0]
    assert (first["id"], first["reason"]) == ("no-dollars", None)
    assert (refused["arguments"], refused["decision"]["facts"]) == (None, None)


@pytest.mark.parametrize("path", ["/runs/{run}", "/runs/{run}/tasks", "/traces/{run}", "/traces/{run}/tree",
    "/traces/{action}", "/actions/{action}", "/approvals/{approval}", "/runs/{run}/tasks/{task}"])  # fmt: skip
def test_what_belongs_to_another_organization_is_not_there(
    plane: Plane, company: Company, month: TestRun, path: str
) -> None:
    (approval,) = company.world.rows("select id from approval")[0]
    ids = {"run": month.id, "task": month.tasks["pay"], "approval": approval}
    filled = path.format(**ids, action=company.done[0].action_id)  # type: ignore[attr-defined]
    assert plane.get(filled).status_code == 200
    made = answer(plane.post("/organizations", {"name": "Rival"}), 201)
    for_rival = {"AOS-Organization": made["id"]}
    assert plane.get(filled, **for_rival).status_code == 404
    for listed in ("/runs", "/traces", "/actions", "/approvals"):
        assert answer(plane.get(listed, **for_rival))["items"] == []
    assert answer(plane.get("/usage", **for_rival))["totals"]["events"] == 0


def test_the_results_of_the_gate_are_what_is_read(company: Company, month: TestRun) -> None:
    _, refused, pending = company.done  # type: ignore[attr-defined]
    assert isinstance(refused, Refused)
    assert isinstance(pending, Pending)
    assert isinstance(pending.approval_id, UUID)


def test_what_is_answered_has_the_shape_that_the_document_describes(
    plane: Plane, company: Company, month: TestRun
) -> None:
    document = answer(plane.get("/openapi.json"))
    (approval,) = company.world.rows("select id from approval")[0]
    asked = {
        "/runs/{id}": month.id,
        "/runs/{id}/tasks": month.id,
        "/runs": None,
        "/traces": None,
        "/traces/{id}": month.id,
        "/traces/{id}/tree": month.id,
        "/actions": None,
        "/actions/{id}": company.done[0].action_id,  # type: ignore[attr-defined]
        "/approvals": None,
        "/approvals/{id}": approval,
        "/usage": None,
    }
    for path, id in asked.items():
        described = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**described, "components": document["components"]})
        errors = [error.message for error in validator.iter_errors(answer(plane.get(path.replace("{id}", str(id)))))]
        assert errors == [], path
