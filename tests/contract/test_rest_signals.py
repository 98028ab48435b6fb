"""Signals sent by REST and by the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from aos.control_plane.binding import Services, bind
from aos.kernel.limits import SIGNALS_OPEN_MAX
from aos.kernel.policy.values import Outcome, Rule
from aos.operations.bridge import Bridge, open_hot
from aos.store.hot.database import DatabaseConfig
from tests.planes import Plane
from tests.run_worlds import Company, make_company
from tests.worlds import agent

WARY = Rule("wary", 1, Outcome.ESCALATE, (), ("message:pay-now",), "", "somebody must agree")
NEVER = Rule("never", 1, Outcome.DENY, (), ("message:stop-all",), "", "nobody says this")


@pytest.fixture
def company(plane: Plane) -> Iterator[Company]:
    """Larkspur, whose control plane has its bridge to what is hot."""
    bridge = Bridge(lambda: open_hot(DatabaseConfig(plane.database.app, plane.database.machine), plane.drivers))
    bind(Services(plane.drivers, bridge=bridge))
    yield make_company(plane, agents=[agent("finance", "*")], rules=[WARY, NEVER])
    bridge.close()


def answer(response: Any, status: int = 200) -> Any:
    """Return the body of a response of that status."""
    assert response.status_code == status, response.text
    return response.json()


def test_a_signal_is_sent_once_for_its_key(plane: Plane, company: Company) -> None:
    run = company.start("close", "match", agent="finance")
    path = f"/runs/{run.id}/signals"
    body = {"name": "go", "value": {"amount": "3"}, "key": "k1"}
    sent = answer(plane.post(path, body), 201)
    assert (sent["run_id"], sent["name"]) == (str(run.id), "go")
    again = plane.post(path, body)
    assert answer(again, 201)["id"] == sent["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert answer(plane.post(path, {**body, "value": 4}), 422)["type"].endswith("idempotency-mismatch")
    assert len(company.world.rows("select id from signal")) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "x" * 201}, {"name": "go", "more": 1}, {"name": "go", "key": ""}],
)
def test_a_signal_that_is_none_is_refused(plane: Plane, company: Company, body: Any) -> None:
    run = company.start("close", "match", agent="finance")
    refused = plane.post(f"/runs/{run.id}/signals", body)
    assert refused.status_code in (400, 422)
    assert refused.json()["errors"]


def test_a_task_that_waits_for_signals_names_them_in_its_run_its_list_and_its_tree(
    plane: Plane, company: Company
) -> None:
    run = company.start("close", "match", agent="finance")
    plane.run("update task set state = 'waiting', waits_for = 'signal', attempt = 2 where run_id = %s", run.id)
    for n, (name, attempt, state) in enumerate(
        (("go", 2, "waiting"), ("close", 2, "waiting"), ("old", 1, "waiting"), ("came", 2, "performed"))
    ):
        plane.run(
            "insert into call (organization_id, task_id, key, attempt, tries, kind, name, state)"
            " select organization_id, id, %s, %s, 1, 'signal', %s, %s from task where run_id = %s",
            f"signal:{n}",
            attempt,
            name,
            state,
            run.id,
        )
    (task,) = answer(plane.get(f"/runs/{run.id}"))["tasks"]
    (listed,) = answer(plane.get(f"/runs/{run.id}/tasks"))["items"]
    (node,) = answer(plane.get(f"/traces/{run.id}/tree"))["tasks"]
    for each in (task, listed, answer(plane.get(f"/runs/{run.id}/tasks/{task['id']}")), node["task"]):
        assert (each["waits_for"], each["signals"]) == ("signal", ["close", "go"])
    plane.run("update task set waits_for = 'approval' where run_id = %s", run.id)
    assert answer(plane.get(f"/runs/{run.id}"))["tasks"][0]["signals"] == []


def test_a_signal_to_no_run_is_not_found(plane: Plane, company: Company) -> None:
    answer(plane.post(f"/runs/{uuid4()}/signals", {"name": "go"}), 404)


def test_policies_decide_about_signals(plane: Plane, company: Company) -> None:
    run = company.start("close", "match", agent="finance")
    path = f"/runs/{run.id}/signals"
    refused = answer(plane.post(path, {"name": "stop-all"}), 403)
    assert "never" in str(refused["reasons"])
    waits = answer(plane.post(path, {"name": "pay-now", "value": 1}), 202)
    digest = answer(plane.get(f"/approvals/{waits['approval_id']}"))["digest"]
    answer(plane.post(f"/approvals/{waits['approval_id']}/approve", {"digest": digest}))
    assert company.world.rows("select id from signal") == []
    answer(plane.post(f"{path}?approval_id={waits['approval_id']}", {"name": "pay-now", "value": 1}), 201)
    ((state,),) = company.world.rows(
        "select a.state from signal s join action a on a.id = s.action_id where s.name = 'pay-now'"
    )
    assert state == "performed"


def test_a_run_keeps_so_many_signals_that_nobody_takes_and_no_more_whatever_their_names(
    plane: Plane, company: Company
) -> None:
    run = company.start("close", "match", agent="finance")
    path = f"/runs/{run.id}/signals"
    answer(plane.post(path, {"name": "go"}), 201)
    plane.run(
        "insert into signal (organization_id, id, run_id, name, sender, content_id, action_id)"
        " select organization_id, gen_random_uuid(), run_id, 'n' || n, sender, content_id, action_id"
        " from signal cross join generate_series(2, %s) n",
        SIGNALS_OPEN_MAX - 1,
    )
    answer(plane.post(path, {"name": "one-more"}), 201)
    refused = answer(plane.post(path, {"name": "too-many"}), 409)
    assert "wait already" in refused["detail"]
    plane.run("update signal set taken_by = gen_random_uuid() where name = 'n2'")
    answer(plane.post(path, {"name": "room-again"}), 201)
