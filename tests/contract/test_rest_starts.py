"""Schedules and hooks by REST and in the manifest: what who writes them relies on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from aos.control_plane.binding import Services, bind
from aos.kernel.policy.values import Outcome, Rule
from aos.operations.bridge import Bridge, open_hot
from aos.store.hot.database import DatabaseConfig
from tests.planes import ADMIN, Plane
from tests.run_worlds import Company, make_company
from tests.worlds import agent

NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "agent": "finance",
    "cron": "30 2 * * MON-FRI",
    "input": {"month": "${due.month}"},
    "goal": "close ${due.date}",
    "labels": {"by": "time"},
    "priority": 5,
}
INVOICES: dict[str, Any] = {
    "name": "invoices",
    "agent": "finance",
    "accepts": {"types": ["invoice.*"], "sources": ["/erp"]},
    "mapping": {"input": {"number": "${event.data.number}"}, "goal": "book ${event.data.number}"},
}


@pytest.fixture
def company(plane: Plane) -> Iterator[Company]:
    """Larkspur, whose control plane has its bridge to what is hot."""
    bridge = Bridge(lambda: open_hot(DatabaseConfig(plane.database.app, plane.database.machine), plane.drivers))
    bind(Services(plane.drivers, bridge=bridge))
    asked = Rule("asked", 1, Outcome.ESCALATE, (), ("run:watcher",), "", "a person first")
    yield make_company(plane, agents=[agent("finance", "*"), agent("watcher")], rules=[asked])
    bridge.close()


def answer(response: Any, status: int = 200) -> Any:
    """Return the body of a response of that status."""
    assert response.status_code == status, response.text
    return response.json()


def pointers(response: Any) -> list[str]:
    """Return where a refused body is wrong."""
    return [each["pointer"] for each in response.json()["errors"]]


def test_a_schedule_is_made_shown_changed_paused_and_ended(plane: Plane, company: Company) -> None:
    response = plane.post("/schedules", NIGHTLY)
    made = answer(response, 201)
    assert response.headers["Location"] == "/schedules/nightly"
    assert {name: made[name] for name in NIGHTLY} == NIGHTLY
    assert (made["timezone"], made["catch_up"], made["overlap"]) == ("Europe/Berlin", "last", "skip")
    assert (made["owner"], made["enabled"], made["last_run_id"]) == (ADMIN, True, None)
    assert answer(plane.get("/schedules/nightly")) == made
    assert answer(plane.get(f"/schedules/{made['id']}")) == made
    assert answer(plane.get("/schedules"))["items"] == [made]
    times = answer(plane.get("/schedules/nightly/times?count=3"))
    assert (times["timezone"], len(times["items"]), times["items"][0]) == ("Europe/Berlin", 3, made["next_at"])
    assert plane.post("/schedules", NIGHTLY).status_code == 409
    changed = answer(plane.patch("/schedules/nightly", {"cron": "0 0 1 1 *", "catch_up": "all"}))
    assert changed["next_at"] != made["next_at"]
    kept = answer(plane.patch("/schedules/nightly", {"goal": "else"}))
    assert (kept["next_at"], kept["input"]) == (changed["next_at"], NIGHTLY["input"])
    paused = answer(plane.patch("/schedules/nightly", {"enabled": False}))
    assert paused["enabled"] is False
    assert answer(plane.get("/schedules/nightly/times"))["items"] == []
    assert answer(plane.get("/schedules?enabled=true"))["items"] == []
    ended = answer(plane.delete("/schedules/nightly"))
    assert (ended["retired_at"] is not None, ended["next_at"]) == (True, None)
    assert plane.get("/schedules/nightly").status_code == 404
    assert answer(plane.post("/schedules", NIGHTLY), 201)["id"] != made["id"]
    changes = [row[0] for row in plane.rows("select convert_from(bytes, 'UTF8') from record order by id")]
    told = ["created", "changed", "changed", "paused", "retired", "created"]
    assert [each.split('"change":"schedule.')[1].split('"')[0] for each in changes if "schedule." in each] == told


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "Nightly run"}, "/name"),
        ({"cron": "61 * * * *"}, "/cron"),
        ({"cron": "0 0 30 2 *"}, "/cron"),
        ({"cron": "@daily"}, "/cron"),
        ({"timezone": "Europe/Atlantis"}, "/timezone"),
        ({"agent": "nobody"}, "/agent"),
        ({"workflow": "close"}, ""),
        ({"catch_up": "some"}, "/catch_up"),
        ({"priority": 101}, "/priority"),
        ({"owner": "stranger@larkspur.example"}, "/owner"),
        ({"input": "${now.month}"}, "/input"),
        ({"goal": "${due."}, "/goal"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused_where_it_does_not(
    plane: Plane, company: Company, change: Any, pointer: str
) -> None:
    refused = plane.post("/schedules", {**NIGHTLY, **change})
    assert refused.status_code == 400, refused.text
    assert pointer in pointers(refused)
    assert answer(plane.get("/schedules"))["items"] == []


def test_a_schedule_runs_by_hand_as_the_one_who_asks_and_once_under_a_key(plane: Plane, company: Company) -> None:
    answer(plane.post("/schedules", {**NIGHTLY, "input": {"n": 1}, "goal": "", "overlap": "allow"}), 201)
    first = plane.post("/schedules/nightly/run", Idempotency_Key="now")
    run = answer(first, 201)
    assert (run["agent"], run["input"], run["started_by"], run["labels"]) == (
        "finance",
        {"n": 1},
        ADMIN,
        {"by": "time"},
    )
    again = plane.post("/schedules/nightly/run", Idempotency_Key="now")
    assert (answer(again, 201)["id"], again.headers["Idempotency-Replayed"]) == (run["id"], "true")
    shown = answer(plane.get("/schedules/nightly"))
    assert (shown["last_run_id"], shown["last_run_state"]) == (run["id"], "running")
    answer(plane.patch("/schedules/nightly", {"overlap": "skip"}))
    assert "still open" in answer(plane.post("/schedules/nightly/run"), 409)["detail"]
    assert plane.post("/schedules/nothing/run").status_code == 404
    answer(plane.post("/schedules", {**NIGHTLY, "name": "asks", "agent": "watcher"}), 201)
    waits = plane.post("/schedules/asks/run")
    assert answer(waits, 202)["approval_id"] in waits.headers["Location"]


def test_nobody_gains_rights_by_writing_what_acts_for_another(plane: Plane, company: Company) -> None:
    dan = plane.as_person("dan@larkspur.example", "developer")
    for path, body in (("/schedules", NIGHTLY), ("/hooks", INVOICES)):
        at = f"{path}/{body['name']}"
        assert plane.post(path, {**body, "owner": ADMIN}, token=dan).status_code == 403
        answer(plane.post(path, body), 201)
        assert plane.patch(at, {"agent": "watcher"}, token=dan).status_code == 403
        assert answer(plane.patch(at, {"enabled": False}, token=dan))["owner"] == ADMIN
        assert plane.patch(at, {"enabled": True}, token=dan).status_code == 403
        taken = answer(
            plane.patch(at, {"agent": "watcher", "owner": "dan@larkspur.example", "enabled": True}, token=dan)
        )
        assert taken["owner"] == "dan@larkspur.example"
        assert (
            answer(plane.patch(at, {"goal": "x"} if path == "/schedules" else {"accepts": {}}))["owner"]
            == taken["owner"]
        )
        viewer = plane.as_person(f"eve{len(path)}@larkspur.example", "viewer")
        assert plane.post(path, {**body, "name": "other"}, token=viewer).status_code == 403
        assert plane.delete(at, token=viewer).status_code == 403
        assert plane.get(at, token=viewer).status_code == 200
    hooked = plane.post("/hooks/invoices/rotate", token=dan)
    assert answer(hooked)["secret"].startswith("whsec_")


def test_what_a_schedule_gives_its_runs_is_shown_to_who_may_read_content_alone(plane: Plane, company: Company) -> None:
    answer(plane.post("/schedules", NIGHTLY), 201)
    finance = plane.as_person("flo@larkspur.example", "finance")
    assert answer(plane.get("/schedules/nightly", token=finance))["input"] is None
    assert answer(plane.get("/schedules", token=finance))["items"][0]["input"] is None
    stored = plane.rows("select array_agg(row_to_json(s)::text) from schedule s")
    assert "due.month" not in str(stored)


def test_a_hook_shows_its_secret_once_and_never_again(plane: Plane, company: Company) -> None:
    response = plane.post("/hooks", INVOICES, Idempotency_Key="open")
    made = answer(response, 201)
    assert made["secret"].startswith("whsec_")
    assert made["path"] == f"/hooks/{plane.actor.organization_id}/{made['id']}"
    assert {name: made[name] for name in ("name", "agent", "accepts")} == {
        name: INVOICES[name] for name in ("name", "agent", "accepts")
    }
    again = answer(plane.post("/hooks", INVOICES, Idempotency_Key="open"), 201)
    assert (again["id"], again["secret"]) == (made["id"], None)
    shown = answer(plane.get("/hooks/invoices"))
    assert "secret" not in shown
    turned = answer(plane.post("/hooks/invoices/rotate"))
    assert turned["secret"] not in (None, made["secret"])
    assert turned["secret_version"] == made["secret_version"] + 1
    assert answer(plane.get("/secrets"))["items"] == []
    assert plane.post("/secrets", {"name": f"hook/{made['id']}", "value": "mine"}).status_code == 400
    stored = str(plane.rows("select array_agg(row_to_json(s)::text) from secret s"))
    assert made["secret"].removeprefix("whsec_") not in stored
    closed = answer(plane.delete("/hooks/invoices"))
    assert closed["retired_at"] is not None
    assert plane.rows("select length(sealed) from secret where name like 'hook/%%'") == [(0,)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"agent": "nobody"}, "/agent"),
        ({"mapping": {"input": "${input.x}"}}, "/mapping/input"),
        ({"mapping": {"labels": {"a": "${event.}"}}}, "/mapping/labels/a"),
        ({"accepts": {"types": [""]}}, "/accepts/types/0"),
        ({"does": "harm"}, "/does"),
    ],
)
def test_a_hook_that_does_not_fit_is_refused_where_it_does_not(
    plane: Plane, company: Company, change: Any, pointer: str
) -> None:
    refused = plane.post("/hooks", {**INVOICES, **change})
    assert refused.status_code == 400
    assert pointer in pointers(refused)
    assert plane.rows("select 1 from secret where name like 'hook/%%'") == []


def test_a_hook_that_signals_is_made_shown_changed_and_said_in_a_manifest(plane: Plane, company: Company) -> None:
    paid = {"name": "paid", "signal": "payment-received"}
    made = answer(plane.post("/hooks", paid), 201)
    assert (made["signal"], made["workflow"], made["agent"]) == ("payment-received", None, None)
    assert made["mapping"] == {"input": "${event.data}", "run": "${event.data.run_id}"}
    changed = answer(plane.patch("/hooks/paid", {"mapping": {"run": "${event.subject}"}}))
    assert changed["mapping"]["run"] == "${event.subject}"
    said = manifest(hooks={"paid": {"signal": "payment-received", "mapping": {"run": "${event.subject}"}}})
    assert answer(plane.post("/manifest", said))["changes"] == []
    wider = manifest(hooks={"paid": {"signal": "other", "mapping": {"run": "${event.subject}"}}})
    (change,) = answer(plane.post("/manifest", {**wider, "dry_run": True}))["changes"]
    assert (change["mark"], "may send runs the signal `other`" in change["detail"]) == ("!", True)
    assert [each["name"] for each in answer(plane.get("/hooks"))["items"]] == ["paid"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"signal": "s", "agent": "finance"}, ""),
        ({"signal": "s", "mapping": {"goal": "pay"}}, "/mapping/goal"),
        ({"signal": "s", "mapping": {"labels": {"a": "b"}}}, "/mapping/labels"),
        ({"agent": "finance", "mapping": {"run": "${event.data.run_id}"}}, "/mapping/run"),
        ({"signal": "s", "mapping": {"run": "${input.x}"}}, "/mapping/run"),
    ],
)
def test_a_hook_either_starts_a_run_or_signals_one(plane: Plane, company: Company, body: Any, pointer: str) -> None:
    refused = plane.post("/hooks", {"name": "both", **body})
    assert (refused.status_code, pointers(refused)) == (400, [pointer])


def manifest(**parts: Any) -> dict[str, Any]:
    """Return a manifest body."""
    return {"manifest": {"aos": 1, **parts}}


def test_a_manifest_says_schedules_and_hooks_and_applying_it_again_changes_nothing(
    plane: Plane, company: Company
) -> None:
    nightly = {name: value for name, value in NIGHTLY.items() if name != "name"}
    invoices = {name: value for name, value in INVOICES.items() if name != "name"}
    said = manifest(schedules={"nightly": nightly}, hooks={"invoices": invoices})
    changes = answer(plane.post("/manifest", said))["changes"]
    assert [(each["mark"], each["kind"], each["name"]) for each in changes] == [
        ("+", "schedule", "nightly"),
        ("!", "hook", "invoices"),
    ]
    assert "may start `finance`" in changes[1]["detail"]
    assert answer(plane.post("/manifest", said))["changes"] == []
    wider = manifest(hooks={"invoices": {**invoices, "accepts": {}}})
    assert [each["mark"] for each in answer(plane.post("/manifest", {**wider, "dry_run": True}))["changes"]] == ["!"]
    said["manifest"]["schedules"]["nightly"]["input"] = {"month": "2026-01"}
    (change,) = answer(plane.post("/manifest", said))["changes"]
    assert (change["mark"], change["kind"]) == ("~", "schedule")
    assert answer(plane.get("/schedules/nightly"))["input"] == {"month": "2026-01"}
    refused = plane.post("/manifest", manifest(schedules={"nightly": {**nightly, "cron": "0 0 31 2 *"}}))
    assert (refused.status_code, pointers(refused)) == (422, ["/manifest/schedules/nightly/cron"])
    removed = answer(plane.post("/manifest", {**manifest(), "prune": True, "dry_run": True}))["changes"]
    assert {("-", "schedule", "nightly"), ("-", "hook", "invoices")} <= {
        (each["mark"], each["kind"], each["name"]) for each in removed
    }


def test_times_are_told_in_utc_and_grow(plane: Plane, company: Company) -> None:
    answer(plane.post("/schedules", {**NIGHTLY, "cron": "*/15 * * * *"}), 201)
    times = [datetime.fromisoformat(each) for each in answer(plane.get("/schedules/nightly/times?count=100"))["items"]]
    assert len(times) == 100
    assert all(early < late for early, late in itertools.pairwise(times))
    assert plane.get("/schedules/nightly/times?count=101").status_code == 400
