"""Who may not publish policies cannot widen rights under a new name: what gives more is stored and does not count."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aos.operations.facts import FactsCache, OrganizationFacts
from aos.store.hot.database import Database, DatabaseConfig
from tests.planes import ADMIN, Plane

PAYMENTS: dict[str, Any] = {
    "name": "payments.create",
    "python": "example.erp:pay",
    "effect": "pay",
    "sinks": ["iban"],
    "args": {"properties": {"iban": {"type": "string"}, "amount": {"type": "string", "format": "money"}}},
    "price": {"per_call": {"amount": "0.01", "currency": "EUR"}},
}
FINANCE: dict[str, Any] = {"name": "finance", "type": "functional", "tools": ["payments.create"]}
QUIET: dict[str, Any] = {**PAYMENTS, "name": "erp.read_pay", "effect": "read", "sinks": [], "result_trust": "trusted"}


def facts(plane: Plane) -> OrganizationFacts:
    """Return what the gate decides on."""

    async def load() -> OrganizationFacts:
        database = Database(DatabaseConfig(plane.database.app, plane.database.machine))
        await database.open()
        try:
            return await FactsCache(database, plane.drivers).of(plane.actor.organization_id)
        finally:
            await database.close()

    return asyncio.run(load())


def publish(plane: Plane, path: str) -> dict[str, Any]:
    """Put what waits in force, as whoever looked at it: asked without its number, the answer names it."""
    asked = plane.post(f"{path}/publish", {})
    assert (asked.status_code, asked.json()["type"].rpartition(":")[2]) == (422, "version-required"), asked.json()
    assert [error["pointer"] for error in asked.json()["errors"]] == ["/version"]
    waits = plane.get(path).json()["draft_version"]
    assert asked.json()["draft_version"] == waits
    assert f"version {waits} of" in asked.json()["detail"]
    done = plane.post(f"{path}/publish", {"version": waits})
    assert done.status_code == 200, done.json()
    return dict(done.json())


@pytest.fixture
def developer(plane: Plane) -> str:
    """A developer in a company with one payment tool and one agent that may use it."""
    assert plane.post("/tools", PAYMENTS).status_code == plane.post("/agents", FINANCE).status_code == 201
    return plane.as_person("dan@larkspur.example", "developer")


def test_a_new_tool_counts_for_the_gate_only_once_somebody_who_may_publish_accepts_it(
    plane: Plane, developer: str
) -> None:
    made = plane.post("/tools", QUIET, token=developer)
    assert (made.status_code, made.json()["version"], made.json()["draft_version"]) == (201, 0, 1)
    assert set(facts(plane).tools) == {"payments.create"}
    assert plane.post("/tools/erp.read_pay/publish", {}, token=developer).status_code == 403
    assert plane.post("/tools", QUIET, token=developer).status_code == 409
    assert plane.post("/tools/erp.read_pay/publish", {"version": 2}).status_code == 409
    published = plane.post("/tools/erp.read_pay/publish", {"version": 1}).json()
    assert (published["version"], published["draft_version"]) == (1, None)
    assert set(facts(plane).tools) == {"payments.create", "erp.read_pay"}
    assert plane.post("/tools/erp.read_pay/publish", {}).status_code == 409


@pytest.mark.parametrize(
    "patch",
    [
        {"effect": "read"},
        {"sinks": []},
        {"result_trust": "trusted"},
        {"repeat": "safe"},
        {"reversible": True},
        {"python": "example.erp:other"},
        {"fixed": {"bank": "other"}},
        {"args": {"properties": {"memo": {"type": "string"}}}},
        {"price": None},
    ],
)
def test_a_weaker_declaration_of_a_tool_waits(plane: Plane, developer: str, patch: dict[str, Any]) -> None:
    before = facts(plane).tools["payments.create"]
    changed = plane.patch("/tools/payments.create", patch, token=developer)
    assert (changed.status_code, changed.json()["version"], changed.json()["draft_version"]) == (200, 1, 2)
    assert facts(plane).tools["payments.create"] == before
    assert publish(plane, "/tools/payments.create")["version"] == 2
    assert facts(plane).tools["payments.create"] != before


def test_what_takes_nothing_from_the_rules_counts_at_once(plane: Plane, developer: str) -> None:
    for patch in ({"description": "Pays"}, {"sinks": ["iban", "amount"]}, {"timeout": "5s"}):
        assert plane.patch("/tools/payments.create", patch, token=developer).json()["draft_version"] is None
    assert plane.patch("/agents/finance", {"goal": "Pay"}, token=developer).json()["version"] == 2
    assert plane.patch("/agents/finance", {"tools": []}, token=developer).json()["version"] == 3
    empty = plane.post("/agents", {"name": "helper", "type": "functional"}, token=developer).json()
    assert (empty["version"], empty["status"]) == (1, "running")


@pytest.mark.parametrize(
    "body",
    [
        {"tools": ["payments.create"]},
        {"tools": ["*"]},
        {"models": ["gpt-4-turbo"]},
        {"delegates": ["finance"]},
        {"permissions": ["content.read"]},
        {"roles": ["payer"]},
        {"runtime": {"python": "example.agents:other", "inline": True}},
    ],
)
def test_a_new_agent_with_rights_does_not_exist_for_the_gate_until_it_is_accepted(
    plane: Plane, developer: str, body: dict[str, Any]
) -> None:
    made = plane.post("/agents", {"name": "finance-2", "type": "functional", **body}, token=developer).json()
    assert (made["version"], made["draft_version"], made["status"]) == (0, 1, "paused")
    assert "finance-2" not in facts(plane).agents_by_name
    assert plane.post("/agents/finance-2/resume", {}).status_code == 409
    assert plane.post("/agents/finance-2/publish", {}, token=developer).status_code == 403
    assert publish(plane, "/agents/finance-2")["status"] == "running"
    assert "finance-2" in facts(plane).agents_by_name


@pytest.mark.parametrize(
    "patch",
    [{"tools": ["payments.*"]}, {"type": "executive"}, {"department": "sales"}, {"owner": ADMIN}, {"risk": "low"}],
)
def test_an_agent_keeps_its_rights_and_its_place_until_a_change_that_frees_it_is_accepted(
    plane: Plane, developer: str, patch: dict[str, Any]
) -> None:
    plane.post("/departments", {"name": "sales"})
    plane.patch("/agents/finance", {"owner": "dan@larkspur.example"})
    before = facts(plane).agents_by_name["finance"]
    changed = plane.patch("/agents/finance", patch, token=developer).json()
    assert (changed["version"], changed["draft_version"]) == (before.version, before.version + 1)
    assert facts(plane).agents_by_name["finance"] == before
    name, value = next(iter(patch.items()))
    waiting = plane.get("/agents/finance/versions").json()["items"][0]
    assert (waiting["version"], waiting[name]) == (before.version + 1, value)
    assert publish(plane, "/agents/finance")[name] == value


def test_a_policy_that_allows_every_agent_makes_a_new_agent_wait(plane: Plane, developer: str) -> None:
    plane.post("/policies", {"name": "reads", "agents": ["type:functional"], "outcome": "allow"})
    made = plane.post("/agents", {"name": "helper", "type": "functional"}, token=developer).json()
    assert (made["version"], made["draft_version"]) == (0, 1)


def test_a_retired_tool_stays_retired_until_its_return_is_accepted(plane: Plane, developer: str) -> None:
    plane.delete("/tools/payments.create", token=developer)
    again = plane.post("/tools", {**PAYMENTS, "effect": "read"}, token=developer).json()
    assert again["retired_at"] is not None
    assert not facts(plane).tools
    assert publish(plane, "/tools/payments.create")["retired_at"] is None
    assert facts(plane).tools["payments.create"].effect == "read"


def test_a_developers_manifest_says_what_waits_and_for_whom_and_says_it_again(plane: Plane, developer: str) -> None:
    quiet = {name: value for name, value in QUIET.items() if name not in ("name", "price")}
    manifest = {
        "aos": 1,
        "tools": {"erp.read_pay": quiet},
        "agents": {"clerk": {"type": "functional", "tools": ["erp.read_pay"]}, "helper": {"type": "functional"}},
        "policies": [{"id": "no-reads", "actions": ["tool:erp.read_pay"], "outcome": "deny"}],
        "workflows": {"close": {"tasks": {"one": {"agent": "clerk"}}}},
    }
    planned = plane.post("/manifest", {"manifest": manifest, "dry_run": True}, token=developer).json()
    applied = plane.post("/manifest", {"manifest": manifest}, token=developer).json()
    assert applied == planned
    assert (applied["waits"], applied["waits_for"]) == (["erp.read_pay", "clerk", "no-reads"], [ADMIN])
    marks = {each["name"]: (each["mark"], each["waits"]) for each in applied["changes"]}
    assert marks == {
        "erp.read_pay": ("!", True),
        "clerk": ("!", True),
        "helper": ("+", False),
        "no-reads": ("+", True),
        "close": ("+", False),
    }
    records = plane.records()
    again = plane.post("/manifest", {"manifest": manifest}, token=developer).json()
    assert (again["waits"], plane.records()) == (applied["waits"], records)
    assert set(facts(plane).agents_by_name) == {"finance", "helper"}
    accepted = plane.post("/manifest", {"manifest": manifest}).json()
    assert (accepted["waits"], accepted["waits_for"]) == ([], [])
    assert set(facts(plane).agents_by_name) == {"finance", "helper", "clerk"}
    assert plane.get("/agents/clerk").json()["status"] == "running"
    assert plane.post("/manifest", {"manifest": manifest}, token=developer).json()["changes"] == []


def test_a_plan_warns_of_a_trusted_tool_that_has_sinks_and_holds_nothing_up(plane: Plane, developer: str) -> None:
    tool = {name: value for name, value in PAYMENTS.items() if name not in ("name", "price")}
    manifest: Any = {"aos": 1, "tools": {"pay.echo": {**tool, "result_trust": "trusted"}, "pay.own": tool}}
    for document in ({"manifest": manifest, "dry_run": True}, {"manifest": manifest}):
        (warning,) = plane.post("/manifest", document).json()["warnings"]
        assert warning.startswith("tool `pay.echo` is `result_trust: trusted` and has the sinks `iban`")
    assert plane.get("/tools/pay.echo").json()["version"] == 1
    assert plane.post("/manifest", {"manifest": manifest}).json()["warnings"] == []


def test_a_part_may_refer_to_what_waits(plane: Plane, developer: str) -> None:
    plane.post("/tools", QUIET, token=developer)
    made = plane.post("/agents", {"name": "clerk", "type": "functional", "tools": ["erp.read_pay"]}, token=developer)
    assert made.json()["draft_version"] == 1
