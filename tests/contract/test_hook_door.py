"""The door for signed messages: who may pass, what starts, once, and that its every word stays an outsider's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from aos.drivers.crypto import StandardCrypto
from aos.kernel.policy.values import Approvers, Outcome, Rule
from tests.databases import Database
from tests.doors import Door, open_door
from tests.worlds import IDS, World, agent, make_world, payments

SECRET = bytes(range(32))
EVENT = {"specversion": "1.0", "id": "e-1", "source": "/erp", "type": "invoice.created", "data": {"number": "INV-7"}}
IBAN = "DE71500105175813421938"
HOOKED = "application/cloudevents+json"


@dataclass
class Hook:
    """One open hook and how a sender signs for it."""

    door: Door
    id: UUID
    secret: bytes = SECRET

    @property
    def path(self) -> str:
        return f"/hooks/{self.door.world.organization_id}/{self.id}"

    def now(self) -> int:
        """Return the database's time in seconds."""
        return int(self.door.world.rows("select extract(epoch from aos_now())")[0][0])

    def headers(self, body: bytes, *, id: str, late_seconds: int = 0, secret: bytes | None = None) -> dict[str, str]:
        """Sign a body as the specification of Standard Webhooks says, written out here once more."""
        timestamp = str(self.now() - late_seconds)
        mac = hmac.new(secret or self.secret, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(mac).decode()
        return {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}

    def send(
        self,
        event: Any = EVENT,
        *,
        id: str | None = None,
        kind: str = HOOKED,
        path: str | None = None,
        late_seconds: int = 0,
        secret: bytes | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Send an event, signed; `headers` are put over the signed ones."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        signed = self.headers(body, id=id or f"msg_{uuid4().hex}", late_seconds=late_seconds, secret=secret)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": kind, **signed, **given}
        return self.door.client.post(path or self.path, content=body, headers=sent)


def add_hook(world: World, *, agent: str = "finance", mapping: Any = None, accepts: Any = None, **more: Any) -> UUID:
    """Write a hook with a sealed secret, as the registry does."""
    org, id, secret_id = world.organization_id, IDS.new(), IDS.new()
    ((data_key_id, wrapping, wrapped),) = world.rows(
        "select id, key_encryption_key, wrapped from data_key where organization_id = %s", org
    )
    data_key = world.keys.unwrap(wrapping, bytes(wrapped))
    sealed = StandardCrypto().seal(data_key, SECRET, bound_to=org.bytes + secret_id.bytes)
    world.rows(
        "insert into secret (organization_id, id, name, data_key_id, sealed) values (%s, %s, %s, %s, %s)",
        org,
        secret_id,
        f"hook/{id}",
        data_key_id,
        sealed,
    )
    columns = {
        "organization_id": org,
        "id": id,
        "name": f"h-{id.hex[-8:]}",
        "does": "run",
        "target_kind": "agent",
        "target": agent,
        "mapping": json.dumps({"input": "${event.data}", "goal": "", "labels": {}} | (mapping or {})),
        "accepts": json.dumps(accepts or {}),
        "secret_id": secret_id,
        "owner_id": world.person_id,
        **more,
    }
    names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    world.rows(f"insert into hook ({names}) values ({marks})", *columns.values())
    return id


def company(database: Database, *roles: str, rules: list[Rule] | None = None) -> World:
    """Return an organization whose owner has these roles."""
    world = make_world(
        database,
        agents=[agent("finance", "payments.create")],
        tools=[payments(sinks=("iban",))],
        rules=rules or [],
    )
    world.rows(
        "insert into member (organization_id, id, person_id, roles) values (%s, %s, %s, %s)",
        world.organization_id,
        IDS.new(),
        world.person_id,
        list(roles or ("operator",)),
    )
    return world


@pytest.fixture
def hook(database: Database) -> Iterator[Hook]:
    """A hook that takes every event and gives its data to an agent."""
    world = company(database)
    with open_door(world) as door:
        yield Hook(door, add_hook(world))


def runs(hook: Hook) -> int:
    """Return how many runs there are."""
    return int(hook.door.world.rows("select count(*) from run")[0][0])


def test_a_signed_event_starts_a_run_and_says_which(hook: Hook) -> None:
    response = hook.send()
    answer = response.json()
    assert (response.status_code, answer["status"]) == (201, "started")
    assert response.headers["location"] == f"/runs/{answer['run_id']}"
    ((run_id, name, chain),) = hook.door.world.rows("select id, name, chain from run")
    assert (str(run_id), name, chain[0]["id"]) == (answer["run_id"], "finance", str(hook.door.world.person_id))
    assert hook.door.world.rows("select 1 from hook where last_at is not null")


def test_one_of_several_signatures_is_enough(hook: Hook) -> None:
    body = json.dumps(EVENT).encode()
    good = hook.headers(body, id="m")["webhook-signature"]
    assert hook.send(body, id="m", webhook_signature=f"v1,AAAA v1a,BBBB {good}").status_code == 201


@pytest.mark.parametrize(
    ("change", "secret", "late"),
    [
        ({}, b"another secret of thirty-two byte", 0),
        ({"webhook_signature": ""}, None, 0),
        ({"webhook_signature": "v1,"}, None, 0),
        ({"webhook_signature": "v1,Zm9v"}, None, 0),
        ({"webhook_signature": "v1,\u00e9".encode("latin-1").decode("latin-1")}, None, 0),
        ({"webhook_id": "msg_other"}, None, 0),
        ({"webhook_timestamp": "1"}, None, 0),
        ({"webhook_timestamp": "soon"}, None, 0),
    ],
)
def test_a_message_that_is_not_signed_with_the_secret_starts_nothing(
    hook: Hook, change: dict[str, str], secret: bytes | None, late: int
) -> None:
    body = json.dumps(EVENT).encode()
    signed = hook.headers(body, id="msg_1", secret=secret)
    sent = signed | {name.replace("_", "-"): value for name, value in change.items()}
    raw = {name.encode(): value.encode("latin-1") for name, value in sent.items()}
    response = hook.door.client.post(hook.path, content=body, headers=raw)
    assert response.status_code == 401
    assert runs(hook) == 0


def test_a_changed_body_is_not_the_signed_one(hook: Hook) -> None:
    signed = hook.headers(json.dumps(EVENT).encode(), id="m")
    headers: Any = {name.replace("-", "_"): value for name, value in signed.items()}
    assert hook.send({**EVENT, "data": {"number": "INV-8"}}, **headers).status_code == 401
    assert runs(hook) == 0


@pytest.mark.parametrize("late", [330, -330, 86_400])
def test_an_old_message_is_refused_though_its_signature_is_right(hook: Hook, late: int) -> None:
    response = hook.send(late_seconds=late)
    assert response.status_code == 401
    assert "300 seconds" in response.json()["detail"]
    assert runs(hook) == 0


def test_an_id_that_could_be_read_in_two_ways_is_refused(hook: Hook) -> None:
    assert hook.send(id="msg.1").status_code == 401


def test_a_stranger_learns_nothing_from_a_hook_that_there_is_not(hook: Hook) -> None:
    org, other = hook.door.world.organization_id, uuid4()
    bad = hook.send(secret=b"x" * 32)
    closed = add_hook(hook.door.world, enabled=False)
    paths = [f"/hooks/{org}/{other}", f"/hooks/{other}/{hook.id}", f"/hooks/{org}/{closed}", f"/hooks/{org}/{'x' * 36}"]
    for path in paths:
        missing = hook.send(path=path)
        assert missing.status_code == 404
        for name in ("detail",):
            assert missing.json()[name] == bad.json()[name]
        assert missing.json().keys() == bad.json().keys()
    assert runs(hook) == 0


def test_the_same_event_counts_once_however_often_it_is_delivered(hook: Hook) -> None:
    first = hook.send().json()
    again = hook.send()
    assert (again.status_code, again.json()) == (200, {"status": "duplicate", "run_id": first["run_id"]})
    assert hook.send({**EVENT, "data": {"number": "INV-8"}}).json() == {"status": "duplicate"}
    assert hook.send({**EVENT, "source": "/shop"}).json()["status"] == "started"
    assert hook.send({**EVENT, "id": "e-2"}).json()["status"] == "started"
    assert runs(hook) == 3
    other = Hook(hook.door, add_hook(hook.door.world))
    assert other.send().json()["status"] == "started"


def test_a_binary_event_is_read_from_its_headers(hook: Hook) -> None:
    headers: Any = {"ce_specversion": "1.0", "ce_id": "e-9", "ce_source": "/erp", "ce_type": "invoice.created"}
    response = hook.send({"number": "INV-9"}, kind="application/json", **headers)
    assert response.json()["status"] == "started"
    assert hook.send({"number": "INV-9"}, kind="application/json", **headers).json()["status"] == "duplicate"
    assert hook.send({**EVENT, "id": "e-9"}).json()["status"] == "duplicate"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"accepts": {"types": ["invoice.*"]}}, "its type"),
        ({"accepts": {"types": ["*"], "sources": ["/erp"]}}, "its type and its source"),
        ({"mapping": {"goal": "book what ${event.source} sent"}}, "more than `event.data`"),
        ({"mapping": {"input": {"of": ["${event['type']}"]}}}, "more than `event.data`"),
        ({"mapping": {"labels": {"all": "${size(event)}"}}}, "more than `event.data`"),
    ],
)
def test_a_hook_that_reads_what_is_in_headers_takes_no_binary_event(hook: Hook, more: Any, said: str) -> None:
    careful = Hook(hook.door, add_hook(hook.door.world, **more))
    headers: Any = {"ce_specversion": "1.0", "ce_id": "e-9", "ce_source": "/erp", "ce_type": "invoice.created"}
    refused = careful.send({"number": "INV-9"}, kind="application/json", **headers)
    assert refused.status_code == 415
    assert f"reads {said}, which" in refused.json()["detail"]
    assert "application/cloudevents+json" in refused.json()["detail"]
    assert runs(hook) == 0


def test_a_signed_message_cannot_be_made_another_event_by_its_headers(hook: Hook) -> None:
    body = b'{"number": "INV-9"}'
    headers: Any = {"ce_specversion": "1.0", "ce_source": "/erp", "ce_type": "invoice.created"}
    first = hook.send(body, id="msg_1", kind="application/json", ce_id="e-1", **headers)
    assert first.json()["status"] == "started"
    for change in ({"ce_id": "e-2"}, {"ce_id": "e-1", "ce_source": "/elsewhere"}):
        replay = hook.send(body, id="msg_1", kind="application/json", **{**headers, **change})
        assert (replay.status_code, replay.json()) == (200, {"status": "duplicate"})
    assert runs(hook) == 1


@pytest.mark.parametrize("kind", [HOOKED, "application/json"])
def test_a_signed_message_starts_one_run_however_its_headers_have_it_read(hook: Hook, kind: str) -> None:
    """Headers are not signed: without its content type a structured event is plain JSON, with others it is a binary one."""
    body = json.dumps(EVENT).encode()
    signed: Any = {name.replace("-", "_"): value for name, value in hook.headers(body, id="msg_1").items()}
    chosen: Any = {"ce_specversion": "1.0", "ce_id": "e-2", "ce_source": "/chosen", "ce_type": "chosen"}
    assert hook.send(body, kind=kind, **signed).json()["status"] == "started"
    for other, headers in ((HOOKED, {}), ("application/json", {}), ("application/json", chosen)):
        assert hook.send(body, kind=other, **signed, **headers).json()["status"] == "duplicate"
    assert runs(hook) == 1


def test_a_body_that_is_no_cloudevent_is_an_event_named_by_its_message(hook: Hook) -> None:
    body = {"type": "invoice.created", "data": {"number": "INV-1"}}
    assert hook.send(body, id="msg_7", kind="application/json").json()["status"] == "started"
    assert hook.send(body, id="msg_7", kind="application/json").json()["status"] == "duplicate"
    assert hook.send(body, id="msg_8", kind="application/json").json()["status"] == "started"


@pytest.mark.parametrize(
    ("event", "kind", "status"),
    [
        (b"{", HOOKED, 400),
        (b"[]", HOOKED, 400),
        (b"", HOOKED, 400),
        (b"\xff", HOOKED, 400),
        ({**EVENT, "specversion": "0.3"}, HOOKED, 400),
        ({**EVENT, "id": ""}, HOOKED, 400),
        ({**EVENT, "source": 7 * "x" * 1_000}, HOOKED, 400),
        ({name: value for name, value in EVENT.items() if name != "type"}, HOOKED, 400),
        ({**EVENT, "Bad-Name": "x"}, HOOKED, 400),
        ({**EVENT, "extra": {"nested": 1}}, HOOKED, 400),
        ({**EVENT, "data_base64": "e30="}, HOOKED, 400),
        ({name: value for name, value in EVENT.items() if name != "data"} | {"data_base64": "?"}, HOOKED, 400),
        ({**EVENT, "data": "a\x00b"}, HOOKED, 400),
        (b"[" * 200 + b"]" * 200, "application/json", 400),
        ([EVENT], "application/cloudevents-batch+json", 415),
        (EVENT, "application/cloudevents+xml", 415),
        (b"number=7", "application/x-www-form-urlencoded", 415),
        (b'"' + b"x" * 1_000_000 + b'"', "application/json", 413),
    ],
)
def test_what_is_no_event_is_refused_and_starts_nothing(hook: Hook, event: Any, kind: str, status: int) -> None:
    assert hook.send(event, kind=kind).status_code == status
    assert runs(hook) == 0


def test_data_in_base64_is_read_as_json(hook: Hook) -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}
    answer = hook.send({**event, "data_base64": base64.b64encode(b'{"number": "INV-7"}').decode()}).json()
    assert answer["status"] == "started"


@pytest.mark.parametrize(
    ("accepts", "status"),
    [
        ({"types": ["invoice.*"]}, "started"),
        ({"types": ["order.*", "invoice.created"]}, "started"),
        ({"types": ["order.*"]}, "ignored"),
        ({"types": ["invoice"]}, "ignored"),
        ({"sources": ["/erp"]}, "started"),
        ({"sources": ["/shop*"]}, "ignored"),
        ({"types": ["invoice.*"], "sources": ["/shop"]}, "ignored"),
    ],
)
def test_a_hook_takes_the_types_and_sources_that_it_names(database: Database, accepts: Any, status: str) -> None:
    world = company(database)
    with open_door(world) as door:
        response = Hook(door, add_hook(world, accepts=accepts)).send()
        assert response.json()["status"] == status
        assert response.status_code == (201 if status == "started" else 200)


def test_a_mapping_makes_input_goal_and_labels_of_an_event(database: Database) -> None:
    world = company(database)
    mapping = {
        "input": {"number": "${event.data.number}", "all": "${event.source + event.type}"},
        "goal": "book ${event.data.number}",
        "labels": {"number": "${event.data.number}", "fixed": "erp"},
    }
    with open_door(world) as door:
        hook = Hook(door, add_hook(world, mapping=mapping))
        assert hook.send().status_code == 201
        assert world.rows("select labels from run") == [({"number": "INV-7", "fixed": "erp"},)]
        missing = hook.send({**EVENT, "id": "e-2", "data": {}})
        assert missing.status_code == 422
        wrong = hook.send({**EVENT, "id": "e-3", "data": {"number": ["x"]}})
        assert wrong.status_code == 400
        assert runs(hook) == 1


def test_every_word_of_an_event_is_an_outsiders(database: Database) -> None:
    world = company(database)
    mapping = {"input": {"iban": "${event.data.iban}"}, "goal": "pay to ${event.data.iban}"}
    with open_door(world) as door:
        hook = Hook(door, add_hook(world, mapping=mapping))
        assert hook.send({**EVENT, "data": {"iban": IBAN}}).status_code == 201
    origins = {origin for (origin,) in world.rows("select origin from origin_token")}
    assert origins == {"untrusted"}


@pytest.mark.parametrize("roles", [["viewer"], None])
def test_a_hook_whose_owner_may_not_start_runs_starts_none(hook: Hook, roles: list[str] | None) -> None:
    world = hook.door.world
    world.rows("delete from member") if roles is None else world.rows("update member set roles = %s", roles)
    assert hook.send().status_code == 403
    assert runs(hook) == 0


def test_a_start_that_waits_for_a_person_is_said_and_happens_when_the_message_comes_again(database: Database) -> None:
    ask = Rule("ask", 1, Outcome.ESCALATE, (), ("run:finance",), "", "a person first", approvers=Approvers())
    world = company(database, "operator", rules=[ask])
    with open_door(world) as door:
        hook = Hook(door, add_hook(world))
        waits = hook.send()
        assert (waits.status_code, waits.json()["status"]) == (202, "pending")
        assert hook.send().json()["approval_id"] == waits.json()["approval_id"]
        world.rows("update approval set status = 'approved'")
        assert hook.send().json()["status"] == "started"
        assert hook.send().json()["status"] == "duplicate"
        assert runs(hook) == 1


def test_a_denied_start_is_refused_with_the_rule(database: Database) -> None:
    world = company(database, rules=[Rule("no", 1, Outcome.DENY, (), ("run:finance",), "", "not today")])
    with open_door(world) as door:
        response = Hook(door, add_hook(world)).send()
        assert response.status_code == 403
        assert "not today" in response.json()["detail"]


def test_deliveries_that_race_start_one_run(hook: Hook) -> None:
    answers: list[str] = []

    def deliver() -> None:
        with httpx.Client(base_url=hook.door.url, timeout=20) as client:
            body = json.dumps(EVENT).encode()
            signed = {"content-type": HOOKED, **hook.headers(body, id=f"m{uuid4().hex}")}
            answers.append(client.post(hook.path, content=body, headers=signed).json()["status"])

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(answers) == ["duplicate"] * 5 + ["started"]
    assert runs(hook) == 1
