"""Runs started and steered, and approvals answered, by REST: what a person who orders relies on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from aos.control_plane.binding import Services, bind
from aos.kernel.acts import ActionState, Pending, Refused
from aos.kernel.policy.values import Outcome, Rule
from aos.operations.bridge import Bridge, Hot, open_hot
from aos.store.hot.database import DatabaseConfig
from tests.planes import Plane
from tests.run_worlds import Company, make_company
from tests.worlds import agent, payments, tool

PAY: dict[str, Any] = {"iban": "DE89370400440532013000", "amount": "18240.00", "currency": "EUR"}
LARGE = Rule("large", 1, Outcome.ESCALATE, (), ("tool:payments.create",), "args.amount > 1000", "over the limit")
CLOSE = {"name": "close", "tasks": {"match": {"agent": "finance"}, "report": {"agent": "finance", "after": ["match"]}}}


def bridge_of(plane: Plane) -> Bridge[Hot]:
    """Return a control plane's way to what is hot."""
    return Bridge(lambda: open_hot(DatabaseConfig(plane.database.app, plane.database.machine), plane.drivers))


@pytest.fixture
def company(plane: Plane) -> Iterator[Company]:
    """Larkspur, whose control plane has its bridge to what is hot."""
    bridge = bridge_of(plane)
    bind(Services(plane.drivers, bridge=bridge))
    made = make_company(plane, agents=[agent("finance", "*")], tools=[payments(), tool("erp.read")], rules=[LARGE])
    assert plane.post("/workflows", CLOSE).status_code == 201
    yield made
    bridge.close()


def answer(response: Any, status: int = 200) -> Any:
    """Return the body of a response of that status."""
    assert response.status_code == status, response.text
    return response.json()


def escalate(company: Company, key: str = "k1") -> Pending:
    """Ask for a payment that needs a person, and return what it waits for."""
    (pending,) = company.perform(company.world.act("finance", "payments.create", PAY, idempotency_key=key))
    assert isinstance(pending, Pending)
    return pending


def digest_of(plane: Plane, pending: Pending) -> str:
    """Return the digest that the approver sees."""
    digest: str = answer(plane.get(f"/approvals/{pending.approval_id}"))["digest"]
    return digest


def test_a_run_starts_with_its_tasks_and_says_where_it_is(plane: Plane, company: Company) -> None:
    body = {
        "workflow": "close",
        "input": {"month": "2026-11"},
        "goal": "close the month",
        "labels": {"month": "2026-11"},
        "thread": "books",
        "budget": {"amount": "5.00", "currency": "EUR"},
    }
    response = plane.post("/runs", body)
    made = answer(response, 201)
    assert response.headers["Location"] == f"/runs/{made['id']}"
    assert (made["state"], made["workflow"], made["goal"], made["thread"]) == (
        "running",
        "close",
        "close the month",
        "books",
    )
    assert (made["input"], made["labels"]) == ({"month": "2026-11"}, {"month": "2026-11"})
    assert made["started_by"] == plane.actor.email
    match, report = sorted(made["tasks"], key=lambda task: task["name"])
    assert (match["state"], report["state"], report["after"]) == ("ready", "blocked", [match["id"]])
    (budget,) = made["budgets"]
    assert (budget["limit"], budget["used"]) == (body["budget"], {"amount": "0.00", "currency": "EUR"})
    again = answer(plane.get(f"/runs/{made['id']}"))
    assert again == made
    (act,) = answer(plane.get(f"/traces/{made['id']}"))["actions"]
    assert (act["kind"], act["name"], act["state"]) == ("run", "close", "performed")


def test_an_agent_runs_by_itself(plane: Plane, company: Company) -> None:
    made = answer(plane.post("/runs", {"agent": "finance", "input": {"n": 1}}), 201)
    assert (made["agent"], made["workflow"], len(made["tasks"])) == ("finance", None, 1)


def test_the_same_key_starts_one_run(plane: Plane, company: Company) -> None:
    headers = {"Idempotency-Key": "november"}
    first = plane.post("/runs", {"workflow": "close"}, **headers)
    second = plane.post("/runs", {"workflow": "close"}, **headers)
    assert answer(first, 201)["id"] == answer(second, 201)["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert answer(plane.post("/runs", {"workflow": "close", "goal": "else"}, **headers), 422)["type"].endswith(
        "mismatch"
    )
    assert len(answer(plane.get("/runs"))["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"workflow": "close", "agent": "finance"}, 400),
        ({"workflow": "close", "colour": "red"}, 400),
        ({"workflow": "nothing"}, 404),
        ({"agent": "nobody"}, 404),
        ({"workflow": "close", "clock": "yesterday"}, 400),
        ({"workflow": "close", "clock": "2026-01-31T12:00:00Z"}, 400),
        ({"workflow": "close", "budget": {"amount": "x", "currency": "EUR"}}, 400),
        ({"workflow": "close", "budget": {"amount": "-1", "currency": "EUR"}}, 400),
        ({"workflow": "close", "labels": {"a": 1}}, 400),
    ],
)
def test_a_run_that_cannot_start_is_a_problem_and_leaves_nothing(
    plane: Plane, company: Company, body: Any, status: int
) -> None:
    response = plane.post("/runs", body)
    assert response.headers["Content-Type"] == "application/problem+json"
    answer(response, status)
    assert answer(plane.get("/runs"))["items"] == []


def test_a_run_that_policy_denies_is_refused_with_reasons(plane: Plane, company: Company) -> None:
    rule = {"name": "no-close", "actions": ["run:close"], "outcome": "deny", "reason": "the books are closed"}
    assert plane.post("/policies", rule).status_code == 201
    problem = answer(plane.post("/runs", {"workflow": "close"}), 403)
    assert "the books are closed" in problem["detail"]
    assert problem["reasons"] == ["no-close: the books are closed"]
    assert answer(plane.get(f"/actions/{problem['action_id']}"))["state"] == "refused"


def test_a_run_that_needs_a_person_starts_after_the_yes(plane: Plane, company: Company) -> None:
    rule = {"name": "ask", "actions": ["run:close"], "outcome": "escalate", "reason": "ask first"}
    assert plane.post("/policies", rule).status_code == 201
    headers = {"Idempotency-Key": "november"}
    waits = plane.post("/runs", {"workflow": "close"}, **headers)
    pending = answer(waits, 202)
    assert waits.headers["Location"] == f"/approvals/{pending['approval_id']}"
    shown = answer(plane.get(waits.headers["Location"]))
    assert shown["act"] == "start a run of close"
    answer(plane.post(f"/approvals/{shown['id']}/approve", {"digest": shown["digest"]}))
    answer(plane.post("/runs", {"workflow": "close"}, **headers), 201)
    assert answer(plane.get(f"/approvals/{shown['id']}"))["status"] == "used"


def test_a_run_is_paused_resumed_and_cancelled_and_says_what_each_reached(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    nothing: dict[str, Any] = {"runs": [], "tasks": 0, "approvals": 0, "at_work": []}
    for _ in range(2):
        paused = answer(plane.post(f"/runs/{run}/pause"))
        assert (paused["state"], paused["reached"]) == ("paused", {**nothing, "runs": [run], "tasks": 2})
    resumed = answer(plane.post(f"/runs/{run}/resume"))
    assert (resumed["state"], resumed["reached"]["tasks"]) == ("running", 2)
    assert answer(plane.post(f"/runs/{run}/resume"))["reached"] == nothing
    cancelled = answer(plane.post(f"/runs/{run}/cancel"))
    assert (cancelled["state"], cancelled["states"], cancelled["tasks_open"]) == ("cancelled", {"cancelled": 2}, 0)
    assert cancelled["reached"] == {**nothing, "runs": [run], "tasks": 2}
    assert answer(plane.post(f"/runs/{run}/cancel"))["reached"] == nothing
    for order in ("pause", "resume"):
        problem = answer(plane.post(f"/runs/{run}/{order}"), 409)
        assert problem["detail"] == f"run `{run}` has ended: it is cancelled and cannot be {order}d"


def test_a_pause_is_202_while_a_pass_runs_and_names_it(plane: Plane, company: Company) -> None:
    run = company.start("month-end", "match", agent="finance")
    response = plane.post(f"/runs/{run.id}/pause")
    (at_work,) = answer(response, 202)["reached"]["at_work"]
    assert at_work == {"id": str(run.tasks["match"]), "run_id": str(run.id), "task": "match"}
    plane.run("update task set state = 'ready', claim_token = null where run_id = %s", run.id)
    assert answer(plane.post(f"/runs/{run.id}/pause"))["reached"]["at_work"] == []


def test_a_priority_is_given_at_the_start_and_changed_later(plane: Plane, company: Company) -> None:
    made = answer(plane.post("/runs", {"workflow": "close", "priority": 5}), 201)
    assert made["priority"] == 5
    changed = answer(plane.patch(f"/runs/{made['id']}", {"priority": -7}))
    assert (changed["priority"], changed["reached"]["tasks"]) == (-7, 2)
    for wrong in (101, "1", 1.5, None):
        answer(plane.patch(f"/runs/{made['id']}", {"priority": wrong}), 400)
    answer(plane.patch(f"/runs/{made['id']}", {"goal": "x"}), 400)
    answer(plane.post(f"/runs/{made['id']}/cancel"))
    assert "is cancelled" in answer(plane.patch(f"/runs/{made['id']}", {"priority": 1}), 409)["detail"]


def test_a_rollback_answers_with_the_one_run_that_undoes(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    response = plane.post(f"/runs/{run}/rollback")
    undoing = answer(response, 201)
    assert response.headers["Location"] == f"/runs/{undoing['id']}"
    assert (undoing["undoes_id"], [task["kind"] for task in undoing["tasks"]]) == (run, ["undo"])
    shown = answer(plane.get(f"/runs/{run}"))
    assert (shown["state"], shown["undone_by"]) == ("cancelled", undoing["id"])
    assert answer(plane.post(f"/runs/{run}/rollback"))["id"] == undoing["id"]
    assert "undoes run" in answer(plane.post(f"/runs/{undoing['id']}/rollback"), 409)["detail"]
    for order in ("fork", "retry"):
        told = answer(plane.post(f"/runs/{run}/{order}", {"task": "match"}), 409)["detail"]
        assert told.startswith(f"run `{undoing['id']}` undoes run `{run}`")
        assert "`aos run close`" in told


def test_a_run_that_is_undone_and_its_forks_from_before_name_one_another(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    forks = [answer(plane.post(f"/runs/{run}/fork", {"task": "match"}), 201)["id"] for _ in range(3)]
    before = answer(plane.get(f"/runs/{run}"))
    assert (before["standing_forks"], before["source_undone_by"]) == ([], None)
    answer(plane.post(f"/runs/{forks[0]}/rollback"), 201)
    undoing = answer(plane.post(f"/runs/{run}/rollback"), 201)["id"]
    assert answer(plane.get(f"/runs/{run}"))["standing_forks"] == forks[1:], "the first is undone as well"
    for fork in forks:
        assert answer(plane.get(f"/runs/{fork}"))["source_undone_by"] == undoing
    assert answer(plane.get(f"/runs/{undoing}"))["standing_forks"] == []


def test_runs_that_nothing_else_began_are_listed_alone(plane: Plane, company: Company) -> None:
    run, other = (answer(plane.post("/runs", {"workflow": "close"}), 201)["id"] for _ in range(2))
    undoing = answer(plane.post(f"/runs/{run}/rollback"), 201)["id"]
    nested = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    plane.run("update run set parent_run_id = %s where id = %s", other, nested)
    assert [each["id"] for each in answer(plane.get("/runs?order=-created&top=true"))["items"]] == [other, run]
    assert {each["id"] for each in answer(plane.get("/runs?top=false"))["items"]} == {undoing, nested}
    assert len(answer(plane.get("/runs"))["items"]) == 4


def test_a_failed_run_that_is_to_be_undone_says_so(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    plane.run("update run set state = 'failed' where id = %s", run)
    assert answer(plane.get(f"/runs/{run}"))["undo_due"] is False
    plane.run(
        "update task set state = 'failed', spec = spec || '{\"on_failure\": \"compensate\"}'"
        " where run_id = %s and name = 'match'",
        run,
    )
    assert answer(plane.get(f"/runs/{run}"))["undo_due"] is True
    undoing = answer(plane.post(f"/runs/{run}/rollback"), 201)["id"]
    shown = answer(plane.get(f"/runs/{run}"))
    assert (shown["undo_due"], shown["undone_by"]) == (False, undoing)


def test_a_fork_answers_with_the_run_that_goes_on(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close", "input": {"month": 1}}), 201)
    plane.run("update task set state = 'succeeded' where run_id = %s and name = 'match'", run["id"])
    response = plane.post(f"/runs/{run['id']}/fork", {"task": "report", "input": {"month": 2}})
    fork = answer(response, 201)
    assert response.headers["Location"] == f"/runs/{fork['id']}"
    assert (fork["forked_from_id"], fork["forked_task"], fork["input"]) == (run["id"], "report", {"month": 2})
    assert {task["name"]: task["state"] for task in fork["tasks"]} == {"match": "succeeded", "report": "ready"}
    assert (fork["tasks_open"], fork["tasks_total"]) == (1, 2)
    assert "did you mean `report`" in answer(plane.post(f"/runs/{run['id']}/fork", {"task": "reprt"}), 404)["detail"]
    answer(plane.post(f"/runs/{run['id']}/fork", {}), 400)
    keyed = [plane.post(f"/runs/{run['id']}/fork", {"task": "match"}, Idempotency_Key="k") for _ in range(2)]
    assert len({answer(each, 201)["id"] for each in keyed}) == 1


def test_one_task_is_tried_again_in_its_run_or_in_a_fork(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    assert "`match` is ready in run" in answer(plane.post(f"/runs/{run}/retry", {"task": "match"}), 409)["detail"]
    plane.run("update task set state = 'stuck' where run_id = %s and name = 'match'", run)
    tried = answer(plane.post(f"/runs/{run}/retry", {"task": "match"}))
    assert (tried["id"], tried["states"]) == (run, {"ready": 1, "blocked": 1})
    plane.run("update run set state = 'failed', tasks_open = 0 where id = %s", run)
    plane.run("update task set state = 'failed' where run_id = %s", run)
    fork = answer(plane.post(f"/runs/{run}/retry", {"task": "match"}), 201)
    assert (fork["forked_from_id"], fork["forked_task"]) == (run, "match")


def test_a_yes_lets_the_same_act_be_done_once(plane: Plane, company: Company) -> None:
    pending = escalate(company)
    digest = digest_of(plane, pending)
    shown = answer(plane.post(f"/approvals/{pending.approval_id}/approve", {"digest": digest, "comment": "checked"}))
    assert (shown["status"], shown["answered_by"], shown["comment"]) == ("approved", plane.actor.email, "checked")
    (done,) = company.perform(company.world.act("finance", "payments.create", PAY, idempotency_key="k1"))
    assert done.state is ActionState.PERFORMED
    assert answer(plane.get(f"/approvals/{pending.approval_id}"))["status"] == "used"
    (act,) = answer(plane.get(f"/traces/{pending.action_id}"))["actions"]
    assert (act["approval"]["status"], act["approval"]["answered_by"]) == ("used", plane.actor.email)


def test_a_no_refuses_the_act_and_keeps_what_was_said(plane: Plane, company: Company) -> None:
    pending = escalate(company)
    said = {"comment": "pay the smaller one", "suggested_args": {"amount": "900.00"}}
    shown = answer(plane.post(f"/approvals/{pending.approval_id}/deny", said))
    assert (shown["status"], shown["comment"], shown["suggested_args"]) == ("denied", *said.values())
    (again,) = company.perform(company.world.act("finance", "payments.create", PAY, idempotency_key="k1"))
    assert not isinstance(again, Pending)
    assert isinstance(again, Refused) or again.state is ActionState.REFUSED
    assert answer(plane.get(f"/actions/{pending.action_id}"))["approval"]["status"] == "denied"


def test_an_answer_to_another_act_than_was_seen_is_a_conflict(plane: Plane, company: Company) -> None:
    pending = escalate(company)
    answer(plane.post(f"/approvals/{pending.approval_id}/approve", {"digest": "0" * 64}), 409)
    assert answer(plane.get(f"/approvals/{pending.approval_id}"))["status"] == "pending"


def test_an_approval_is_answered_once(plane: Plane, company: Company) -> None:
    pending = escalate(company)
    digest = digest_of(plane, pending)
    answer(plane.post(f"/approvals/{pending.approval_id}/approve", {"digest": digest}))
    answer(plane.post(f"/approvals/{pending.approval_id}/approve", {"digest": digest}), 409)
    answer(plane.post(f"/approvals/{pending.approval_id}/deny", {"comment": "no"}), 409)


def test_an_approval_says_which_roles_must_still_say_yes(plane: Plane, company: Company) -> None:
    rule = {"name": "audited", "actions": ["tool:payments.create"], "outcome": "escalate"}
    answer(plane.post("/policies", {**rule, "approvers": {"role": "auditor"}}), 201)
    pending = escalate(company)
    path, digest = f"/approvals/{pending.approval_id}", digest_of(plane, pending)
    shown = answer(plane.get(path))
    assert (shown["roles"], shown["roles_left"], shown["answers"]) == (["auditor", "approver"],) * 2 + ([],)
    anna = plane.as_person("anna@larkspur.example", "approver")
    audrey = plane.as_person("audrey@larkspur.example", "approver", "auditor")
    shown = answer(plane.post(f"{path}/approve", {"digest": digest}, token=anna))
    assert (shown["status"], shown["roles_left"], shown["answered_by"]) == ("pending", ["auditor"], None)
    assert "`auditor`" in answer(plane.post(f"{path}/approve", {"digest": digest}, token=anna), 403)["detail"]
    shown = answer(plane.post(f"{path}/approve", {"digest": digest}, token=audrey))
    assert (shown["status"], shown["roles"], shown["roles_left"]) == ("approved", ["approver", "auditor"], [])
    given = [(each["answered_by"], each["roles"]) for each in shown["answers"]]
    assert given == [("anna@larkspur.example", ["approver"]), ("audrey@larkspur.example", ["auditor"])]


@pytest.mark.parametrize(
    ("order", "body"),
    [("approve", {}), ("approve", {"digest": "x"}), ("deny", {}), ("deny", {"comment": ""}), ("deny", [])],
)
def test_an_answer_without_what_it_needs_is_refused(plane: Plane, company: Company, order: str, body: Any) -> None:
    pending = escalate(company)
    answer(plane.post(f"/approvals/{pending.approval_id}/{order}", body), 400)


def test_who_has_no_role_for_it_orders_nothing(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    pending = escalate(company)
    digest = digest_of(plane, pending)
    viewer = plane.as_person("vera@larkspur.example", "viewer")
    answer(plane.post("/runs", {"workflow": "close"}, token=viewer), 403)
    for order, body in (
        ("cancel", None),
        ("rollback", None),
        ("fork", {"task": "match"}),
        ("retry", {"task": "match"}),
    ):
        answer(plane.post(f"/runs/{run}/{order}", body, token=viewer), 403)
    answer(plane.patch(f"/runs/{run}", {"priority": 1}, token=viewer), 403)
    answer(plane.post(f"/approvals/{pending.approval_id}/approve", {"digest": digest}, token=viewer), 403)
    approver = plane.as_person("anna@larkspur.example", "approver")
    answer(plane.post(f"/approvals/{pending.approval_id}/approve", {"digest": digest}, token=approver))


def test_another_organization_steers_and_answers_nothing(plane: Plane, company: Company) -> None:
    run = answer(plane.post("/runs", {"workflow": "close"}), 201)["id"]
    pending = escalate(company)
    digest = digest_of(plane, pending)
    rival = {"AOS-Organization": answer(plane.post("/organizations", {"name": "Rival"}), 201)["id"]}
    plane_headers = {"AOS-Organization": "Larkspur"}
    for order in ("pause", "resume", "cancel"):
        answer(plane.post(f"/runs/{run}/{order}", **rival), 404)
    answer(plane.post(f"/approvals/{pending.approval_id}/approve", {"digest": digest}, **rival), 404)
    answer(plane.post(f"/approvals/{pending.approval_id}/deny", {"comment": "no"}, **rival), 404)
    assert answer(plane.get(f"/runs/{run}", **plane_headers))["state"] == "running"
    answer(plane.post(f"/runs/{uuid4()}/cancel", **plane_headers), 404)


def test_no_run_starts_while_an_organization_has_too_many_open_tasks(plane: Plane, company: Company) -> None:
    first = answer(plane.post("/runs", {"workflow": "close"}, Idempotency_Key="first"), 201)
    plane.run("update run set tasks_open = 1000001")
    bind(Services(plane.drivers, bridge=(fresh := bridge_of(plane))))
    refused = plane.post("/runs", {"workflow": "close"})
    assert (answer(refused, 429)["retry_after_seconds"], refused.headers["Retry-After"]) == (5, "5")
    assert refused.json()["type"] == "urn:aos:problem:rate-limited"
    assert len(plane.rows("select id from run")) == 1
    replayed = plane.post("/runs", {"workflow": "close"}, Idempotency_Key="first")
    assert answer(replayed, 201)["id"] == first["id"]
    fresh.close()
