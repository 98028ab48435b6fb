"""Who may speak at the tool door, and until when: what ends a credential ends it for the very next call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from aos.drivers.key_file import KeyFile
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.operations.tokens import TaskToken, make_task_token, token_hash
from tests.databases import Database
from tests.doors import Door, claim_task, open_door, revoke, until
from tests.worlds import World, agent, make_world, payments, tool

PAY = {"iban": "DE89370400440532013000", "amount": "5000.00", "currency": "EUR"}
ASK = Rule("ask", 1, Outcome.ESCALATE, (), ("tool:payments.create",), reason="ask", approvers=Approvers())
ENDINGS = {
    "revoked": ("update api_key set revoked_at = aos_now() where key_hash = %s", token_hash),
    "expired": ("update api_key set expires_at = aos_now() where key_hash = %s", token_hash),
    "retired": ("update agent set status = 'retired' where name = %s", lambda key: "finance"),
}


@pytest.fixture
def world(database: Database) -> World:
    return company(database)


def company(database: Database, keys: KeyFile | None = None) -> World:
    """Return an organization with two agents that may do the same."""
    return make_world(
        database,
        agents=[agent("finance", "payments.create", "erp.*"), agent("clerk", "payments.create", "erp.*")],
        tools=[payments(), tool("erp.read")],
        rules=[ASK],
        keys=keys,
    )


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world) as opened:
        yield opened


def refused(door: Door, token: str | None, **more: Any) -> str:
    """Call, and return why nobody was let in, having seen that nothing was written."""
    before = door.written()
    answer = door.call("erp.read", token=token, **more)
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer resource_metadata=")
    assert answer.json()["type"] == "urn:aos:problem:unauthenticated"
    assert door.written() == before
    return str(answer.json()["detail"])


@pytest.mark.parametrize(
    "token",
    [None, "aos_", "aos_test_unknown", "aosp_unknown", "aost_short", "aost_" + "A" * 107, "aosx_" + "A" * 86, "Basic",
     "aosl_unknown", "x" * 8_000],
)  # fmt: skip
def test_what_is_no_token_lets_nobody_in(door: Door, token: str | None) -> None:
    assert refused(door, token)


def test_a_token_is_bearer_or_nothing(door: Door) -> None:
    key = door.api_key("finance")
    for scheme in ("Basic", "bearerx", ""):
        headers = {"Authorization": f"{scheme} {key}".strip()}
        assert door.client.post("/tools/erp.read/call", json={}, headers=headers).status_code == 401
    assert door.client.post("/tools/erp.read/call", json={}, headers={"Authorization": f"bearer {key}"}).is_success


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_key_that_ends_counts_no_more_for_the_very_next_call(world: World, door: Door, ending: str) -> None:
    key = door.api_key("finance")
    assert door.call("erp.read", token=key).status_code == 200
    statement, param = ENDINGS[ending]
    revoke(world, statement, param(key))
    assert refused(door, key)
    assert world.states() == [("erp.read", "performed")]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_key_that_ends_counts_no_more_in_another_process_that_heard_no_bell(world: World, ending: str) -> None:
    with open_door(world) as one, open_door(world) as other:
        key = one.api_key("finance")
        assert [each.call("erp.read", token=key).status_code for each in (one, other)] == [200, 200]
        statement, param = ENDINGS[ending]
        revoke(world, statement, param(key))
        assert [each.call("erp.read", token=key).status_code for each in (one, other)] == [401, 401]
    assert world.states() == [("erp.read", "performed")] * 2


def test_a_key_expires_by_itself_though_the_door_knows_it(world: World, door: Door) -> None:
    key = door.api_key("finance", expires=timedelta(seconds=1))
    assert door.call("erp.read", token=key).status_code == 200
    until(lambda: door.call("erp.read", token=key).status_code == 401)
    assert refused(door, key) == "the API key is unknown, expired or revoked"


def test_other_changes_of_the_organization_leave_a_key_standing(world: World, door: Door) -> None:
    key = door.api_key("finance")
    for _ in range(3):
        assert door.call("erp.read", token=key).status_code == 200
        revoke(world, "select 1")


def task_token(door: Door, world: World, agent: str) -> tuple[str, Any]:
    """Return the token of a claimed task, and the task's id."""
    run, task, claim = claim_task(world, agent)
    facts = door.run(door.services.facts.of(world.organization_id))
    return make_task_token(TaskToken(world.organization_id, run, task, claim), facts.key("token").private), task


def test_a_task_token_dies_with_its_claim(world: World, door: Door) -> None:
    token, task = task_token(door, world, "finance")
    principal = door.run(door.services.authenticator.principal(token))
    assert principal.claim is not None
    assert principal.claim.task_id == task
    world.rows("update task set claim_token = null, state = 'ready' where id = %s", task)
    assert refused(door, token) == "the task token is unknown or its task has ended"


def test_a_task_token_of_a_foreign_key_is_not_genuine(world: World, door: Door) -> None:
    run, task, claim = claim_task(world, "finance")
    forged = make_task_token(TaskToken(world.organization_id, run, task, claim), b"x" * 32)
    assert refused(door, forged) == "the task token is unknown or its task has ended"


def test_a_key_acts_in_its_own_organization_only(database: Database, world: World, door: Door) -> None:
    other = company(database, world.keys)
    with open_door(other) as theirs:
        key = theirs.api_key("finance")
    headers = {"Authorization": f"Bearer {key}", "AOS-Organization": str(world.organization_id)}
    assert door.client.post("/tools/erp.read/call", json={}, headers=headers).status_code == 200
    assert world.rows("select distinct organization_id from action") == [(other.organization_id,)]


def test_an_approval_of_another_agent_or_organization_is_not_there(
    database: Database, world: World, door: Door
) -> None:
    key, clerk = door.api_key("finance"), door.api_key("clerk")
    other = company(database, world.keys)
    with open_door(other) as theirs:
        foreign = theirs.api_key("finance")
    approval = door.call("payments.create", PAY, token=key).json()["approval_id"]
    world.rows("update approval set status = 'approved'")
    before = door.written()
    for token in (clerk, foreign):
        answer = door.call("payments.create", PAY, token=token, approval_id=approval)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:aos:problem:not-found")
    assert door.written() == before
    assert door.caller.calls == []
    assert door.call("payments.create", PAY, token=key, approval_id=approval).status_code == 200


def test_a_person_calls_what_a_rule_of_a_role_allows_and_nothing_else(world: World, door: Door) -> None:
    answer = door.call("erp.read", token=door.personal_token("viewer"))
    assert answer.status_code == 403
    assert "no rule allows `tool:erp.read`" in answer.json()["detail"]
    assert world.states() == [("erp.read", "refused")]
    assert door.caller.calls == []


def test_a_person_who_is_no_member_is_not_signed_in(world: World, door: Door) -> None:
    token = door.personal_token("admin")
    world.rows("delete from member")
    assert refused(door, token) == "the personal token is unknown, expired or revoked"
