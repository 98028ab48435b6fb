"""Hooks that signal: a signed message tells one run something, once, and its every word stays an outsider's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from aos.kernel.policy.values import Approvers, Outcome, Rule
from tests.contract.test_hook_door import EVENT, IBAN, Hook, add_hook, company
from tests.databases import Database
from tests.doors import open_door
from tests.worlds import World

SIGNAL: dict[str, Any] = {"does": "signal", "target_kind": None, "target": "paid"}


def signalling(hook: Hook, **more: Any) -> Hook:
    """Return a hook of the same organization that sends a signal."""
    return Hook(hook.door, add_hook(hook.door.world, **{**SIGNAL, **more}))


def told(run_id: str, **data: Any) -> dict[str, Any]:
    """Return an event about a run."""
    return {**EVENT, "id": f"e-{uuid4()}", "data": {"run_id": run_id, **data}}


def signals(world: World) -> list[tuple[Any, ...]]:
    """Return the signals there are: run, name, and whether somebody took them."""
    return world.rows("select run_id::text, name, taken_by from signal order by id")


@pytest.fixture
def hook(database: Database) -> Iterator[Hook]:
    """A hook that starts runs; nobody works on them, so they stay open."""
    world = company(database)
    with open_door(world) as door:
        yield Hook(door, add_hook(world))


@pytest.fixture
def run_id(hook: Hook) -> str:
    """An open run."""
    return str(hook.send().json()["run_id"])


def test_a_signed_event_sends_a_signal_to_the_run_that_it_names(hook: Hook, run_id: str) -> None:
    paid = signalling(hook)
    response = paid.send(told(run_id, amount=12))
    assert (response.status_code, response.json()) == (201, {"status": "sent", "run_id": run_id})
    assert response.headers["location"] == f"/runs/{run_id}"
    world = hook.door.world
    assert signals(world) == [(run_id, "paid", None)]
    ((chain, state),) = world.rows("select chain, state from action where kind = 'message' and name = 'paid'")
    assert (chain[-1]["id"], state) == (str(world.person_id), "performed")
    assert world.rows("select 1 from hook where id = %s and last_at is not null", paid.id)
    bad = paid.send(told(run_id), secret=b"x" * 32)
    assert (bad.status_code, len(signals(world))) == (401, 1)


def test_a_template_says_which_run_is_told(hook: Hook, run_id: str) -> None:
    paid = signalling(hook, mapping={"run": "${event.subject}", "input": "${event.data.amount}"})
    assert paid.send({**EVENT, "subject": run_id, "data": {"amount": 3}}).json()["status"] == "sent"
    for subject in ("no id", 7):
        refused = paid.send({**EVENT, "id": "e-2", "subject": subject, "data": {"amount": 3}})
        assert refused.status_code == 400
        assert "the id of a run" in refused.json()["detail"]
    assert paid.send({**EVENT, "id": "e-3", "subject": str(uuid4()), "data": {"amount": 3}}).status_code == 404
    hook.door.world.rows("update run set state = 'cancelled', finished_at = now()")
    ended = paid.send({**EVENT, "id": "e-4", "subject": run_id, "data": {"amount": 3}})
    assert (ended.status_code, "takes no signal" in ended.json()["detail"]) == (409, True)
    assert len(signals(hook.door.world)) == 1


def test_a_message_signals_once_however_often_it_is_delivered_and_whatever_its_headers_say(
    hook: Hook, run_id: str
) -> None:
    paid, event = signalling(hook), told(run_id)
    other = str(hook.send({**EVENT, "id": "another"}).json()["run_id"])
    assert paid.send(event, id="msg_1").json()["status"] == "sent"
    assert paid.send(event, id="msg_1").json() == {"status": "duplicate", "run_id": run_id}
    assert paid.send(event, id="msg_2").json()["status"] == "duplicate"
    assert paid.send({**event, "data": {"run_id": run_id, "more": 1}}, id="msg_3").json()["status"] == "duplicate"
    as_plain = paid.send({"run_id": run_id, "data": {"run_id": other}}, id="msg_1", kind="application/json")
    assert (as_plain.status_code, as_plain.json()) == (200, {"status": "duplicate"})
    assert signals(hook.door.world) == [(run_id, "paid", None)]


def test_what_a_signal_from_outside_says_is_untrusted_in_the_run(hook: Hook, run_id: str) -> None:
    world = hook.door.world
    assert signalling(hook).send(told(run_id, iban=IBAN)).json()["status"] == "sent"
    assert {
        origin for (origin,) in world.rows("select distinct origin from origin_token where run_id = %s", run_id)
    } == {"untrusted"}


def test_an_owner_who_may_not_steer_runs_signals_none(database: Database) -> None:
    world = company(database, "auditor")
    with open_door(world) as door:
        paid = Hook(door, add_hook(world, **SIGNAL))
        refused = paid.send(told(str(uuid4())))
        assert (refused.status_code, "may no longer steer runs" in refused.json()["detail"]) == (403, True)


def test_a_signal_that_needs_a_person_is_sent_when_the_message_comes_again_after_the_yes(database: Database) -> None:
    ask = Rule("ask", 1, Outcome.ESCALATE, (), ("message:paid",), "", "a person first", approvers=Approvers())
    world = company(database, "operator", "approver", rules=[ask])
    with open_door(world) as door:
        run_id = str(Hook(door, add_hook(world)).send().json()["run_id"])
        paid, event = Hook(door, add_hook(world, **SIGNAL)), told(run_id)
        asked = paid.send(event, id="msg_1")
        assert (asked.status_code, asked.json()["status"]) == (202, "pending")
        assert paid.send(event, id="msg_1").json() == asked.json()
        assert signals(world) == []
        world.rows("update approval set status = 'approved', answered_at = now()")
        assert paid.send(event, id="msg_1").json()["status"] == "sent"
        assert paid.send(event, id="msg_1").json()["status"] == "duplicate"
        assert len(signals(world)) == 1
        assert world.rows("select status from approval") == [("used",)]
