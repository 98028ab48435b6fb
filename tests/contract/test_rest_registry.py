"""Tools, policies, budgets, workflows, departments, people and secrets by REST, and the manifest that says all at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planes import ADMIN, Plane

PAYMENTS = {
    "name": "payments.create",
    "python": "example.erp:create_payment",
    "effect": "pay",
    "repeat": "keyed",
    "sinks": ["iban"],
    "args": {
        "type": "object",
        "properties": {
            "iban": {"type": "string"},
            "amount": {"type": "string", "format": "money"},
            "currency": {"type": "string"},
        },
        "required": ["iban", "amount"],
        "additionalProperties": False,
    },
    "price": {"per_call": {"amount": "0.002", "currency": "EUR"}},
}
LARGE = {
    "name": "large-payments",
    "actions": ["tool:payments.create"],
    "when": "args.amount > 1000",
    "outcome": "escalate",
    "approvers": {"role": "approver", "expires": "4h"},
    "reason": "payment of {args.amount} {args.currency} is over the limit of 1000",
}
WORKFLOW = {
    "name": "month-end",
    "input": {"type": "object", "properties": {"month": {"type": "string"}}},
    "tasks": {
        "match": {"agent": "finance", "input": {"month": "${input.month}"}, "timeout": "10m"},
        "report": {
            "agent": "finance",
            "input": {"found": "${match.output}"},
            "retry": {"attempts": 3, "backoff": "2s"},
        },
    },
}
MANIFEST: dict[str, Any] = {
    "aos": 1,
    "organization": {"currency": "EUR", "rates": {"USD": 0.92}},
    "departments": {"finance": {"cost_center": "CC-210"}},
    "people": [{"email": "sam@larkspur.example", "name": "Sam", "roles": ["approver"]}],
    "tools": {
        "payments.create": {name: value for name, value in PAYMENTS.items() if name not in ("name", "price")}
        | {"price": {"per_call": "0.002 EUR"}},
        "erp.read": {"python": "example.erp:read", "effect": "read"},
    },
    "agents": {
        "finance": {
            "type": "functional",
            "owner": "sam@larkspur.example",
            "department": "finance",
            "tools": [{"tools": "erp.*", "effects": ["read"]}, "payments.create"],
            "price": {"per_second": "0.001 USD"},
            "budget": {"limit": "50 EUR"},
        }
    },
    "policies": [{"id": "large-payments", **{name: value for name, value in LARGE.items() if name != "name"}}],
    "budgets": [{"id": "finance-month", "scope": "department:finance", "limit": "200 EUR", "per": "month"}],
    "workflows": {"month-end": {name: value for name, value in WORKFLOW.items() if name != "name"}},
}


def pointers(answer: Any) -> list[str]:
    return [each["pointer"] for each in answer.json()["errors"]]


def test_a_tool_is_registered_changed_by_versions_and_comes_back_after_retirement(plane: Plane) -> None:
    made = plane.post("/tools", PAYMENTS)
    assert (made.status_code, made.headers["location"]) == (201, "/tools/payments.create")
    shown = plane.get("/tools/payments.create").json()
    assert {name: shown[name] for name in PAYMENTS} == PAYMENTS
    assert (shown["version"], shown["result_trust"], shown["timeout"]) == (1, "untrusted", "1m")
    changed = plane.patch("/tools/payments.create", {"repeat": "never", "timeout": "90s"}).json()
    assert (changed["version"], changed["repeat"], changed["timeout"]) == (2, "never", "90s")
    moved = plane.patch("/tools/payments.create", {"python": "example.erp:pay"}).json()
    assert moved["python"] == "example.erp:pay"
    assert plane.delete("/tools/payments.create").json()["retired_at"]
    assert plane.delete("/tools/payments.create").status_code == 409
    assert plane.patch("/tools/payments.create", {"repeat": "keyed"}).status_code == 409
    assert plane.post("/tools", PAYMENTS).json()["version"] == 4
    versions = plane.get("/tools/payments.create/versions").json()["items"]
    assert [each["version"] for each in versions] == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "payments create"}, "/name"),
        ({"effect": "steal"}, "/effect"),
        ({"sinks": ["nowhere"]}, "/sinks/0"),
        ({"args": {"type": "object", "colour": "red"}}, "/args/colour"),
        ({"args": {"type": "array"}}, "/args/type"),
        ({"aos": "list_actions"}, ""),
        ({"price": {"per_call": {"amount": "-0.01", "currency": "EUR"}}}, "/price/per_call/amount"),
        ({"price": {"per_call": {"amount": "0.01", "currency": "USD"}}}, "/price/per_call"),
        ({"timeout": "soon"}, "/timeout"),
    ],
)
def test_a_tool_that_does_not_fit_is_refused_where_it_does_not(plane: Plane, change: Any, pointer: str) -> None:
    refused = plane.post("/tools", {**PAYMENTS, **change})
    assert refused.status_code == 400
    assert pointer in pointers(refused)
    assert plane.get("/tools").json()["items"] == []


def test_two_tools_that_look_alike_without_dots_are_refused(plane: Plane) -> None:
    assert plane.post("/tools", PAYMENTS).status_code == 201
    refused = plane.post("/tools", {**PAYMENTS, "name": "payments_create"})
    assert (refused.status_code, "payments_create" in refused.json()["detail"]) == (400, True)


def test_a_policy_is_compiled_with_all_others_before_it_is_in_force(plane: Plane) -> None:
    plane.post("/tools", PAYMENTS)
    made = plane.post("/policies", LARGE)
    assert (made.status_code, made.json()["state"], made.json()["active_version"]) == (201, "active", 1)
    for change, pointer in (
        ({"when": "args.colour > 1"}, "/when"),
        ({"when": "args.amount >"}, "/when"),
        ({"when": "args.amount"}, "/when"),
        ({"actions": ["tool:erp.read"]}, "/actions/0"),
        ({"agents": ["nobody"]}, "/agents/0"),
        ({"outcome": "perhaps"}, "/outcome"),
    ):
        refused = plane.patch("/policies/large-payments", change)
        assert refused.status_code in (400, 422)
        assert pointer in pointers(refused)
    assert plane.get("/policies/large-payments").json()["version"] == 1
    assert plane.post("/policies", LARGE).status_code == 409


def test_a_tools_change_that_would_break_a_policy_in_force_is_refused(plane: Plane) -> None:
    plane.post("/tools", PAYMENTS)
    plane.post("/policies", LARGE)
    refused = plane.patch(
        "/tools/payments.create", {"args": {"properties": {"amount": {"type": "boolean", "format": None}}}}
    )
    assert (refused.status_code, pointers(refused)) == (422, ["/policies/large-payments/when"])
    assert plane.get("/tools/payments.create").json()["version"] == 1


def test_who_may_not_publish_leaves_a_draft_that_waits(plane: Plane) -> None:
    developer = plane.as_person("dan@larkspur.example", "developer")
    plane.post("/tools", PAYMENTS)
    plane.post("/policies", LARGE)
    drafted = plane.patch("/policies/large-payments", {"when": "args.amount > 5"}, token=developer).json()
    assert (drafted["version"], drafted["state"], drafted["active_version"]) == (2, "draft", 1)
    assert plane.post("/policies/large-payments/publish", {}, token=developer).status_code == 403
    unnamed = plane.post("/policies/large-payments/publish", {})
    assert (unnamed.status_code, unnamed.json()["draft_version"]) == (422, 2)
    assert plane.get("/policies/large-payments").json()["active_version"] == 1
    published = plane.post("/policies/large-payments/publish", {"version": 2}).json()
    assert (published["state"], published["active_version"]) == ("active", 2)
    assert plane.post("/policies/large-payments/publish", {}).status_code == 409
    back = plane.post("/policies/large-payments/publish", {"version": 1}).json()
    assert back["active_version"] == 1
    assert plane.post("/policies/large-payments/publish", {"version": 9}).status_code == 404
    states = {each["version"]: each["state"] for each in plane.get("/policies/large-payments/versions").json()["items"]}
    assert states == {1: "active", 2: "retired"}
    assert plane.delete("/policies/large-payments", token=developer).status_code == 403
    assert plane.delete("/policies/large-payments").json()["active_version"] is None


def test_explaining_an_action_shows_policies_and_permissions_alike(plane: Plane) -> None:
    plane.post("/tools", PAYMENTS)
    plane.post("/agents", {"name": "finance", "type": "functional", "tools": ["payments.create"]})
    plane.post("/agents", {"name": "guest", "type": "functional"})
    plane.post("/policies", {**LARGE, "agents": ["finance"]})
    found = plane.get("/policies/explain?agent=finance&action=tool:payments.create").json()
    assert [(each["id"], each["outcome"]) for each in found["rules"]] == [
        ("large-payments", "escalate"),
        ("permission/finance/payments.create", "allow"),
    ]
    assert plane.get("/policies/explain?agent=guest&action=tool:payments.create").json()["rules"] == []
    assert plane.get("/policies/explain?agent=nobody&action=tool:x").status_code == 404
    assert plane.get("/policies/explain?agent=guest").status_code == 400
    assert plane.get("/policies/explain?agent=guest&action=payments").status_code == 400


def test_a_budget_limits_a_scope_that_exists(plane: Plane) -> None:
    plane.post("/departments", {"name": "finance"})
    body = {
        "name": "finance-month",
        "scope": "department:finance",
        "limit": {"amount": "200.00", "currency": "EUR"},
        "per": "month",
        "warn_at": ["80%"],
    }
    made = plane.post("/budgets", body).json()
    assert {name: made[name] for name in body} == body
    more = plane.patch("/budgets/finance-month", {"limit": "250 EUR"}).json()
    assert (more["limit"], more["revision"], more["scope"]) == (
        {"amount": "250.00", "currency": "EUR"},
        2,
        "department:finance",
    )
    assert plane.post("/budgets", body).status_code == 409
    for change, pointer in (
        ({"limit": {"amount": "-1", "currency": "EUR"}}, "/limit/amount"),
        ({"limit": "-1 EUR"}, "/limit"),
        ({"limit": 5}, "/limit"),
        ({"scope": "department:sales"}, "/scope"),
        ({"scope": "world"}, "/scope"),
        ({"per": "year"}, "/per"),
    ):
        refused = plane.post("/budgets", {**body, "name": "other", **change})
        assert (refused.status_code, pointer in pointers(refused)) == (400, True)
    assert plane.delete("/budgets/finance-month").json()["retired_at"]
    assert [each["name"] for each in plane.get("/budgets?retired=false").json()["items"]] == []


def test_a_workflow_is_filed_in_versions(plane: Plane) -> None:
    plane.post("/agents", {"name": "finance", "type": "functional"})
    made = plane.post("/workflows", WORKFLOW).json()
    assert list(made["tasks"]) == ["match", "report"]
    assert made["tasks"]["report"]["after"] == ["match"]
    assert plane.patch("/workflows/month-end", {"description": "closes a month"}).json()["version"] == 2
    again = plane.get("/workflows/month-end/versions").json()["items"]
    assert [each["tasks"] for each in again] == [made["tasks"], made["tasks"]]
    for change, pointer in (
        ({"match": {"agent": "nobody"}}, "/tasks/match/agent"),
        ({"match": {"agent": "finance", "after": ["report"]}}, "/tasks/match"),
        ({"match": {"agent": "finance", "input": "${nowhere.output}"}}, "/tasks/match/input"),
    ):
        refused = plane.patch("/workflows/month-end", {"tasks": change})
        assert (refused.status_code, pointer in pointers(refused)) == (400, True)
    assert plane.delete("/workflows/month-end").status_code == 200


def test_a_department_is_made_and_given_another_cost_centre(plane: Plane) -> None:
    assert plane.post("/departments", {"name": "finance", "cost_center": "CC-1"}).status_code == 201
    assert plane.post("/departments", {"name": "finance"}).status_code == 409
    assert plane.patch("/departments/finance", {"cost_center": "CC-2"}).json()["cost_center"] == "CC-2"
    assert plane.patch("/departments/finance", {"name": "sales"}).status_code == 400
    assert plane.patch("/departments/nowhere", {"cost_center": "CC-2"}).status_code == 404


def test_people_are_invited_with_roles_and_the_last_administrator_stays(plane: Plane) -> None:
    invited = plane.post("/people", {"email": "Sam@Larkspur.example", "name": "Sam", "roles": ["viewer"]})
    assert (invited.status_code, invited.json()["email"]) == (201, "sam@larkspur.example")
    assert plane.post("/people", {"email": "sam@larkspur.example"}).status_code == 409
    path = "/people/sam@larkspur.example"
    assert plane.post(f"{path}/roles", {"role": "approver"}).json()["roles"] == ["approver", "viewer"]
    assert plane.delete(f"{path}/roles/viewer").json()["roles"] == ["approver"]
    assert plane.delete(f"{path}/roles/viewer").status_code == 404
    assert plane.post(f"{path}/roles", {"role": "king"}).status_code == 400
    assert plane.patch(path, {"roles": ["admin"]}).json()["roles"] == ["admin"]
    assert plane.delete(f"/people/{ADMIN}/roles/admin").json()["roles"] == []
    assert plane.post("/people", {"email": "not an address"}).status_code == 403
    token = plane.post("/people/link", {"link": invited.json()["link"]}).json()["token"]
    last = plane.delete(f"{path}/roles/admin", token=token)
    assert (last.status_code, "last administrator" in last.json()["detail"]) == (409, True)
    assert pointers(plane.post("/people", {"email": "not an address"}, token=token)) == ["/email"]


def test_a_secret_goes_in_and_never_comes_out(plane: Plane) -> None:
    assert plane.post("/secrets", {"name": "openai", "value": "sk-one"}).json() == {"name": "openai", "version": 1}
    assert plane.request("PUT", "/secrets/openai", {"value": "sk-two"}).json()["version"] == 2
    assert plane.request("PUT", "/secrets/other", {"value": "x"}).status_code == 404
    listed = plane.get("/secrets")
    assert [each["name"] for each in listed.json()["items"]] == ["openai"]
    assert "sk-" not in listed.text
    assert all(b"sk-" not in sealed for (sealed,) in plane.rows("select sealed from secret"))
    for name in ("signing/token", "Bad Name", ""):
        assert plane.post("/secrets", {"name": name, "value": "x"}).status_code == 400
    assert plane.delete("/secrets/openai").status_code == 200
    assert plane.get("/secrets").json()["items"] == []
    assert plane.delete("/secrets/openai").status_code == 404
    assert plane.post("/secrets", {"name": "openai", "value": "sk-three"}).json()["version"] == 1


def test_a_manifest_is_applied_whole_and_then_changes_nothing(plane: Plane) -> None:
    planned = plane.post("/manifest", {"manifest": MANIFEST, "dry_run": True}).json()
    assert plane.get("/agents").json()["items"] == []
    applied = plane.post("/manifest", {"manifest": MANIFEST})
    assert applied.status_code == 200
    assert applied.json() == planned
    marks = {(each["kind"], each["name"]): each["mark"] for each in planned["changes"]}
    assert marks["tool", "payments.create"] == marks["budget", "agent-finance"] == "+"
    assert plane.post("/manifest", {"manifest": MANIFEST}).json()["changes"] == []
    agent = plane.get("/agents/finance").json()
    assert (agent["department"], agent["owner"], agent["identity"]["keys"]) == ("finance", "sam@larkspur.example", [])
    assert plane.rows("select spec->>'price_per_second_nanos' from agent_version") == [("920000",)]
    assert plane.get("/workflows/month-end").json()["tasks"]["report"]["retry"]["attempts"] == 3


def test_applying_a_change_makes_versions_of_what_changed_alone(plane: Plane) -> None:
    plane.post("/manifest", {"manifest": MANIFEST})
    wider = {**MANIFEST["agents"]["finance"], "goal": "pay", "tools": ["*"]}
    changed = {**MANIFEST, "agents": {"finance": wider}}
    changes = plane.post("/manifest", {"manifest": changed}).json()["changes"]
    assert [(each["mark"], each["kind"], each["name"]) for each in changes] == [("!", "agent", "finance")]
    assert plane.get("/agents/finance").json()["version"] == 2
    assert plane.get("/tools/payments.create").json()["version"] == 1
    smaller = {name: value for name, value in changed.items() if name != "workflows"}
    assert plane.post("/manifest", {"manifest": smaller}).json()["changes"] == []
    pruned = plane.post("/manifest", {"manifest": smaller, "prune": True}).json()["changes"]
    assert [(each["mark"], each["kind"]) for each in pruned] == [("-", "workflow")]
    assert plane.get("/workflows/month-end").json()["retired_at"]


def test_a_developers_manifest_leaves_its_policies_waiting(plane: Plane) -> None:
    developer = plane.as_person("dan@larkspur.example", "developer")
    plane.post("/tools", PAYMENTS)
    rules = {"aos": 1, "policies": MANIFEST["policies"]}
    applied = plane.post("/manifest", {"manifest": rules}, token=developer).json()
    assert applied["waits"] == ["large-payments"]
    assert plane.get("/policies/large-payments").json()["state"] == "draft"
    refused = plane.post("/manifest", {"manifest": MANIFEST}, token=developer)
    assert refused.status_code == 403
    assert plane.get("/departments").json()["items"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"aos": 2}, "/manifest/aos"),
        ({"colours": {}}, "/manifest/colours"),
        ({"agents": {"finance": {"type": "functional", "tools": ["nowhere"]}}}, "/manifest/agents/finance/tools/0"),
        ({"policies": [{**MANIFEST["policies"][0], "when": "args.x > 1"}]}, "/manifest/policies/0/when"),
        (
            {"budgets": [{"id": "b", "scope": "organization", "limit": "-1 EUR", "per": "day"}]},
            "/manifest/budgets/0/limit",
        ),
    ],
)
def test_a_manifest_with_a_mistake_is_refused_whole(plane: Plane, change: Any, pointer: str) -> None:
    before = plane.epoch(), plane.records()
    refused = plane.post("/manifest", {"manifest": {**MANIFEST, **change}})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert pointer in pointers(refused)
    assert plane.get("/tools").json()["items"] == []
    assert (plane.epoch(), plane.records()) == before
