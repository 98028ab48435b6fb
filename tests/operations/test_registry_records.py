"""Every write of the registry is one ledger record under a raised epoch, and the log it ends in can be proved."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aos.kernel.errors import AuditBroken, Conflict, Forbidden, InvalidRequest, NotFound
from aos.kernel.ledger.record import parse_record
from aos.kernel.manifest.values import DepartmentSpec
from aos.kernel.people import Actor, Role
from aos.operations.credentials import read_secret, set_secret
from aos.operations.data_keys import load_data_keys
from aos.operations.departments import create_department
from aos.operations.organizations import create_organization
from aos.operations.registry_records import edit_registry
from aos.store.cold.connection import run_sql, tenant
from tests.planes import ADMIN, Plane

CHECKER = Path(__file__).resolve().parents[2] / "examples" / "verify_proof.py"
TOOL = {"name": "erp.read", "python": "example.erp:read", "effect": "read"}
AGENT = {"name": "finance", "type": "functional"}
BUDGET = {"name": "month", "scope": "organization", "limit": "5 EUR", "per": "month"}
RULE = {"name": "no-reads", "actions": ["tool:erp.read"], "outcome": "deny"}
MODEL = {"name": "local/small", "provider": "local", "price": "free"}
PURPOSE = {"name": "quick", "models": ["local/small"]}
FLOW = {"name": "close", "tasks": {"only": {"agent": "finance"}}}

# Each write by its method, path and body, and the kind of record it leaves; each needs those before it.
WRITES: list[tuple[str, str, Any, str, str]] = [
    ("POST", "/departments", {"name": "finance"}, "registry.changed", "department.created"),
    ("PATCH", "/departments/finance", {"cost_center": "CC"}, "registry.changed", "department.changed"),
    ("POST", "/tools", TOOL, "registry.changed", "tool.registered"),
    ("PATCH", "/tools/erp.read", {"description": "reads"}, "registry.changed", "tool.changed"),
    ("POST", "/models", MODEL, "registry.changed", "model.registered"),
    ("PATCH", "/models/local/small", {"region": "eu"}, "registry.changed", "model.changed"),
    ("POST", "/purposes", PURPOSE, "registry.changed", "purpose.registered"),
    ("PATCH", "/purposes/quick", {"cache": "1m"}, "registry.changed", "purpose.changed"),
    ("DELETE", "/purposes/quick", None, "registry.changed", "purpose.retired"),
    ("DELETE", "/models/local/small", None, "registry.changed", "model.retired"),
    ("POST", "/agents", AGENT, "agent.changed", "registered"),
    ("PATCH", "/agents/finance", {"goal": "pay"}, "agent.changed", "changed"),
    ("POST", "/agents/finance/pause", None, "agent.changed", "paused"),
    ("POST", "/agents/finance/resume", None, "agent.changed", "resumed"),
    ("POST", "/agents/finance/kill", None, "agent.changed", "killed"),
    ("POST", "/agents/finance/keys", {}, "key.changed", "agent.key.added"),
    ("POST", "/agents/finance/api-keys", {}, "key.changed", "api_key.created"),
    ("POST", "/policies", RULE, "policy.published", "policy.published"),
    ("PATCH", "/policies/no-reads", {"reason": "no"}, "policy.published", "policy.published"),
    ("POST", "/policies/no-reads/publish", {"version": 1}, "policy.published", "policy.published"),
    ("DELETE", "/policies/no-reads", None, "registry.changed", "policy.retired"),
    ("POST", "/budgets", BUDGET, "budget.changed", "created"),
    ("PATCH", "/budgets/month", {"limit": "6 EUR"}, "budget.changed", "changed"),
    ("DELETE", "/budgets/month", None, "budget.changed", "retired"),
    ("POST", "/workflows", FLOW, "registry.changed", "workflow.created"),
    ("PATCH", "/workflows/close", {"description": "x"}, "registry.changed", "workflow.changed"),
    ("DELETE", "/workflows/close", None, "registry.changed", "workflow.retired"),
    ("POST", "/people", {"email": "sam@larkspur.example"}, "registry.changed", "person.invited"),
    ("PATCH", "/people/sam@larkspur.example", {"roles": ["viewer"]}, "registry.changed", "person.roles"),
    ("POST", "/people/sam@larkspur.example/roles", {"role": "finance"}, "registry.changed", "person.roles"),
    ("DELETE", "/people/sam@larkspur.example/roles/finance", None, "registry.changed", "person.roles"),
    ("POST", "/people/sam@larkspur.example/link", None, "token.changed", "link.created"),
    ("POST", "/tokens", {}, "token.changed", "token.created"),
    ("POST", "/secrets", {"name": "openai", "value": "x"}, "registry.changed", "secret.set"),
    ("PUT", "/secrets/openai", {"value": "y"}, "registry.changed", "secret.rotated"),
    ("DELETE", "/secrets/openai", None, "registry.changed", "secret.removed"),
    (
        "POST",
        "/manifest",
        {"manifest": {"aos": 1, "departments": {"sales": {}}}},
        "registry.changed",
        "department.created",
    ),
    ("DELETE", "/tools/erp.read", None, "registry.changed", "tool.retired"),
    ("DELETE", "/agents/finance", None, "agent.changed", "retired"),
]


def newest(plane: Plane) -> Any:
    """Return the record written last."""
    rows = plane.rows(
        "select bytes from record where organization_id = %s order by id desc limit 1", plane.actor.organization_id
    )
    return parse_record(rows[0][0])


def test_each_write_leaves_exactly_one_record_and_raises_the_epoch_by_one(plane: Plane) -> None:
    for method, path, body, kind, change in WRITES:
        records, epoch = plane.records(), plane.epoch()
        answer = plane.request(method, path, body)
        assert answer.status_code in (200, 201), (method, path, answer.text)
        record = newest(plane)
        assert (plane.records() - records, plane.epoch() - epoch) == (1, 1), (method, path)
        assert (record.kind.value, record.change) == (kind, change), (method, path)
        assert record.principal == (f"person:{plane.actor.person_id}",)
        assert record.epoch == plane.epoch()
        pending = plane.rows("select record_id from ledger_pending where record_id = %s", record.id)
        assert pending == [(record.id,)]


def test_no_record_names_a_person_or_holds_what_people_wrote(plane: Plane) -> None:
    for method, path, body, _, _ in WRITES:
        plane.request(method, path, body)
    everything = b"".join(data for (data,) in plane.rows("select bytes from record"))
    for word in (b"maria", b"sam", b"larkspur", b"pay", b"reads"):
        assert word not in everything.replace(b"no-reads", b"")


def test_what_is_refused_leaves_no_record_and_the_epoch_as_it_was(plane: Plane) -> None:
    plane.post("/agents", AGENT)
    before = plane.records(), plane.epoch()
    for method, path, body in (
        ("POST", "/agents", AGENT),
        ("POST", "/agents/nobody/kill", None),
        ("POST", "/agents/finance/resume", None),
        ("PATCH", "/agents/finance", {"type": "boss"}),
        ("DELETE", "/tools/erp.read", None),
        ("POST", "/policies", {**RULE, "when": "1 +"}),
    ):
        assert plane.request(method, path, body).status_code >= 400
    assert (plane.records(), plane.epoch()) == before


def test_a_write_rings_the_bell_of_the_epoch_when_it_is_committed(plane: Plane) -> None:
    with psycopg.connect(plane.database.machine, autocommit=True) as listener:
        listener.execute("listen aos_epoch")
        plane.post("/departments?dry_run=true", {"name": "finance"})
        plane.post("/departments", {"name": "finance"})
        heard = [notify.payload for notify in listener.notifies(timeout=5, stop_after=1)]
        assert heard == [str(plane.actor.organization_id)]


def verified(path: Path, *arguments: str) -> int:
    """Return the exit status of the checker that shares no code with AOS."""
    command = [sys.executable, "-I", str(CHECKER), *arguments, str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_proofs_and_the_exported_log_hold_for_an_outsider(plane: Plane, tmp_path: Path) -> None:
    for number in range(5):
        plane.post("/departments", {"name": f"d{number}"})
    record = plane.rows("select id from record order by id limit 1")[0][0]
    early = plane.get(f"/audit/proof/{record}")
    assert (early.status_code, early.json()["retry_after_seconds"], early.headers["retry-after"]) == (409, 1, "1")
    plane.integrate()
    head = plane.get("/audit/checkpoint").json()
    assert head["size"] == plane.records()
    proof, log = tmp_path / "proof.json", tmp_path / "log.jsonl"
    proof.write_bytes(plane.get(f"/audit/proof/{record}").content)
    log.write_bytes(plane.get("/audit/export").content)
    assert verified(proof, "--key", head["key"]) == 0
    assert verified(log, "--key", head["key"], "--log") == 0
    document = json.loads(proof.read_bytes())
    other = plane.rows("select id from record order by id desc limit 1")[0][0]
    document["record"] = plane.get(f"/audit/proof/{other}").json()["record"]
    proof.write_text(json.dumps(document))
    assert verified(proof, "--key", head["key"]) == 1


def test_the_log_is_listed_newest_first_and_shown_to_auditors_alone(plane: Plane) -> None:
    for number in range(4):
        plane.post("/departments", {"name": f"d{number}"})
    plane.integrate()
    first = plane.get("/audit/records?limit=3").json()
    rest = plane.get(f"/audit/records?limit=200&cursor={first['next']}").json()
    indices = [each["index"] for each in first["items"] + rest["items"]]
    assert indices == list(range(plane.records()))[::-1]
    assert first["items"][0]["record"]["change"] == "department.created"
    assert len(plane.get("/audit/records?kind=token.changed").json()["items"]) == 1
    auditor = plane.as_person("ada@larkspur.example", "auditor")
    assert plane.get("/audit/checkpoint", token=auditor).status_code == 200
    assert plane.get("/audit/export", token=plane.as_person("vic@larkspur.example", "viewer")).status_code == 403
    assert plane.get("/audit/proof/nonsense").status_code == 404
    assert plane.get(f"/audit/proof/{plane.drivers.ids.new()}").status_code == 404
    for query in ("order=created", "cursor=nonsense", "kind=unknown", "run=x"):
        assert plane.get(f"/audit/records?{query}").status_code == 400


def test_a_log_is_shown_to_extend_what_was_signed_before(plane: Plane) -> None:
    plane.integrate()
    old = plane.get("/audit/checkpoint").json()
    for number in range(3):
        plane.post("/departments", {"name": f"d{number}"})
    plane.integrate()
    found = plane.get(f"/audit/consistency?from={old['size']}").json()
    assert (found["old_size"], found["new_size"]) == (old["size"], old["size"] + 3)
    assert found["path"]
    for query, status in (("", 400), ("from=999", 400), ("from=-1", 400)):
        assert plane.get(f"/audit/consistency?{query}").status_code == status


def test_an_organization_begins_with_its_keys_its_log_and_one_record(plane: Plane) -> None:
    made = create_organization(
        plane.drivers, "Second", currency="USD", timezone="America/New_York", admin_email=ADMIN.upper()
    )
    id = made.organization_id
    assert made.person_id == plane.actor.person_id
    keys = plane.rows(
        "select purpose, state, public_key is null from signing_key where organization_id = %s order by 1, 2", id
    )
    assert keys == [
        ("access", "current", False),
        ("access", "next", False),
        ("checkpoint", "current", False),
        ("checkpoint", "next", False),
        ("token", "current", True),
        ("token", "next", True),
    ]
    assert plane.rows("select size from ledger_head where organization_id = %s", id) == [(0,)]
    assert plane.rows("select count(*) from record where organization_id = %s", id) == [(1,)]
    with tenant(id):
        data_keys = load_data_keys(plane.drivers, id)
        secrets = run_sql("list_secrets", _everything(id))
    assert len(data_keys.by_id) == 1
    assert secrets == []


def _everything(id: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("id", "name", "from", "to", "after_id", "after_name"))
    return {**nothing, "organization_id": id, "by_name": False, "descending": True, "limit": 10}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": "Larkspur"}, Conflict),
        ({"name": ""}, InvalidRequest),
        ({"name": "x" * 201}, InvalidRequest),
        ({"currency": "euro"}, InvalidRequest),
        ({"timezone": "Mars/Olympus"}, InvalidRequest),
        ({"timezone": "../etc/passwd"}, InvalidRequest),
    ],
)
def test_an_organization_that_does_not_fit_is_not_made(plane: Plane, change: Any, error: type[Exception]) -> None:
    good = {"name": "Other", "currency": "EUR", "timezone": "UTC", "admin_email": ADMIN}
    given = {**good, **change}
    with pytest.raises(error):
        create_organization(plane.drivers, given.pop("name"), **given)
    assert plane.rows("select name from organization") == [("Larkspur",)]


def test_a_secret_is_opened_for_a_driver_and_cannot_stand_for_another(plane: Plane) -> None:
    with edit_registry(plane.drivers, plane.actor) as edit:
        set_secret(edit, "openai", b"sk-one")
        set_secret(edit, "bank", b"pin")
    id = plane.actor.organization_id
    assert read_secret(plane.drivers, id, "openai") == b"sk-one"
    plane.run("update secret set sealed = (select sealed from secret where name = 'bank') where name = 'openai'")
    with pytest.raises(AuditBroken):
        read_secret(plane.drivers, id, "openai")
    with pytest.raises(NotFound):
        read_secret(plane.drivers, id, "nothing")


def test_an_edit_stands_or_falls_as_a_whole(plane: Plane) -> None:
    before = plane.records(), plane.epoch()

    def make_twice() -> None:
        with edit_registry(plane.drivers, plane.actor) as edit:
            create_department(edit, DepartmentSpec("finance"))
            create_department(edit, DepartmentSpec("finance"))

    with pytest.raises(Conflict):
        make_twice()
    with edit_registry(plane.drivers, plane.actor, dry_run=True) as edit:
        create_department(edit, DepartmentSpec("finance"))
    viewer = Actor(plane.actor.organization_id, plane.actor.person_id, ADMIN, frozenset({Role.VIEWER}))
    with pytest.raises(Forbidden), edit_registry(plane.drivers, viewer) as edit:
        create_department(edit, DepartmentSpec("finance"))
    assert plane.rows("select count(*) from department") == [(0,)]
    assert (plane.records(), plane.epoch()) == before


def test_changes_made_at_once_queue_and_none_is_lost(plane: Plane) -> None:
    plane.post("/agents", AGENT)
    before = plane.records(), plane.epoch()
    answers: list[int] = []

    def change(number: int) -> None:
        answers.append(plane.patch("/agents/finance", {"goal": f"goal {number}"}).status_code)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    assert plane.get("/agents/finance").json()["version"] == 5
    versions = plane.get("/agents/finance/versions").json()["items"]
    assert {each["goal"] for each in versions} == {"", *(f"goal {number}" for number in range(4))}
    assert (plane.records() - before[0], plane.epoch() - before[1]) == (4, 4)
