"""What holds for every path: who asks, in which version, how bad input is answered, how writes are repeated."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aos.kernel.limits import BODY_BYTES_MAX
from tests.planes import ADMIN, Plane

AGENT = {"name": "finance", "type": "functional"}
PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Basic bWFyaWE6eA==", "Bearer aosp_unknown", "Bearer nonsense", "Bearer aos_key_x"],
)
def test_without_a_credential_that_counts_nothing_is_shown(plane: Plane, given: str) -> None:
    refused = plane.client.get("/agents", headers={"Authorization": given} if given else {})
    assert (refused.status_code, refused.headers["content-type"]) == (401, PROBLEM)
    assert refused.headers["www-authenticate"] == 'Bearer realm="aos"'
    assert refused.json()["title"] == "Not signed in"


def test_an_expired_a_revoked_and_a_used_up_credential_count_no_more(plane: Plane) -> None:
    made = plane.post("/tokens", {"label": "ci"}).json()
    assert plane.get("/whoami", token=made["token"]).status_code == 200
    plane.run("update person_token set expires_at = now() where id = %s", made["id"])
    expired = plane.get("/whoami", token=made["token"])
    assert (expired.status_code, "expired" in expired.json()["detail"]) == (401, True)
    other = plane.post("/tokens", {}).json()
    assert plane.delete(f"/tokens/{other['id']}").status_code == 200
    assert plane.get("/whoami", token=other["token"]).status_code == 401
    link = plane.post("/people", {"email": "dan@larkspur.example"}).json()["link"]
    assert plane.client.post("/people/link", json={"link": link}).status_code == 201
    assert plane.client.post("/people/link", json={"link": link}).status_code == 401
    assert plane.get("/whoami", token=link).status_code == 401


def test_a_token_revoked_in_one_organization_raises_the_epoch_of_all(plane: Plane) -> None:
    plane.post("/organizations", {"name": "Second"})
    made = plane.post("/tokens", {}, AOS_Organization="Larkspur").json()
    before = dict(plane.rows("select name, epoch from organization"))
    plane.delete(f"/tokens/{made['id']}", AOS_Organization="Larkspur")
    after = dict(plane.rows("select name, epoch from organization"))
    assert {name: after[name] - before[name] for name in after} == {"Larkspur": 1, "Second": 1}


def test_a_link_that_was_renewed_and_the_whole_address_of_one_are_both_taken(plane: Plane) -> None:
    sam = plane.post("/people", {"email": "sam@larkspur.example"}).json()["link"]
    again = plane.post("/people/sam@larkspur.example/link").json()["link"]
    assert sam != again
    address = f"http://127.0.0.1:8470/console/sign-in#{sam}"
    assert plane.client.post("/people/link", json={"link": address}).status_code == 201
    assert plane.client.post("/people/link", json={"link": again}).status_code == 201


@pytest.mark.parametrize(
    ("roles", "method", "path", "body"),
    [
        ((), "GET", "/agents", None),
        (("viewer",), "POST", "/agents", AGENT),
        (("viewer",), "POST", "/departments", {"name": "finance"}),
        (("developer",), "POST", "/people", {"email": "x@larkspur.example"}),
        (("developer",), "POST", "/agents/finance/kill", None),
        (("developer",), "POST", "/organizations", {"name": "Other"}),
        (("developer",), "GET", "/audit/records", None),
        (("operator",), "POST", "/budgets", {"name": "b", "scope": "organization", "limit": "1 EUR", "per": "day"}),
        (("finance",), "POST", "/secrets", {"name": "openai", "value": "x"}),
    ],
)
def test_what_no_role_permits_is_forbidden_and_changes_nothing(
    plane: Plane, roles: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    token = plane.as_person("sam@larkspur.example", *roles)
    before = plane.epoch(), plane.records()
    refused = plane.request(method, path, body, token=token)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:aos:problem:forbidden")
    assert (plane.epoch(), plane.records()) == before


def test_another_organizations_things_are_not_there(plane: Plane) -> None:
    plane.post("/organizations", {"name": "Other"})
    other = {"AOS_Organization": "Other"}
    here = {"AOS_Organization": "Larkspur"}
    agent = plane.post("/agents", AGENT, **other).json()
    plane.post("/secrets", {"name": "openai", "value": "x"}, **other)
    for path in (f"/agents/{agent['id']}", "/agents/finance", "/agents/finance/versions", "/agents/finance/keys"):
        assert plane.get(path, **here).status_code == 404
        assert plane.get(path, **other).status_code == 200
    for verb in ("pause", "kill", "resume", "api-keys"):
        assert plane.post(f"/agents/{agent['id']}/{verb}", {}, **here).status_code == 404
    assert plane.patch(f"/agents/{agent['id']}", {"goal": "mine"}, **here).status_code == 404
    assert plane.delete(f"/agents/{agent['id']}", **here).status_code == 404
    assert plane.get("/secrets", **here).json()["items"] == []
    assert plane.get("/agents/finance", **other).json()["version"] == 1
    assert plane.get("/agents", AOS_Organization="Nowhere").status_code == 404
    stranger = plane.post("/people", {"email": "sam@larkspur.example", "roles": ["admin"]}, **here).json()["link"]
    token = plane.client.post("/people/link", json={"link": stranger}).json()["token"]
    assert plane.get("/agents", token=token, **other).status_code == 404
    assert plane.get("/whoami", token=token).json()["organization"]["name"] == "Larkspur"


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"{" + b" " * BODY_BYTES_MAX + b"}", "application/json", 413, "1000000 bytes"),
        (b" " * 10_000_000, "application/json", 413, "1000000 bytes"),
        (b'{"name": "\xff\xfe"}', "application/json", 400, "UTF-8"),
        (b'{"name": ', "application/json", 400, "JSON"),
        (b"", "application/json", 400, "JSON"),
        (b'["finance"]', "application/json", 400, "object"),
        (b'{"name": "a\\u0000b", "type": "functional"}', "application/json", 400, "U+0000"),
        (b'{"name": "\\ud800", "type": "functional"}', "application/json", 400, "JSON"),
        (b'{"x":' * 100 + b"1" + b"}" * 100, "application/json", 400, "deep"),
        (b"[" * 100_000, "application/json", 400, "JSON"),
        (b'{"name": "finance", "type": "functional"}', "text/plain", 415, "text/plain"),
        (b"name=finance", "application/x-www-form-urlencoded", 415, "application/json"),
    ],
    ids=["big", "10 MB", "not utf-8", "cut", "empty", "list", "nul", "surrogate", "deep", "deeper", "text", "form"],
)
def test_a_body_that_cannot_be_read_is_refused_and_changes_nothing(
    plane: Plane, content: bytes, kind: str, status: int, words: str
) -> None:
    before = plane.epoch(), plane.records()
    refused = plane.post("/agents", content, Content_Type=kind)
    assert (refused.status_code, refused.headers["content-type"]) == (status, PROBLEM)
    assert words in refused.json()["detail"]
    assert (plane.epoch(), plane.records()) == before


def test_unknown_paths_and_wrong_methods_are_problems_too(plane: Plane) -> None:
    missing = plane.get("/no/such/path")
    assert (missing.status_code, missing.headers["content-type"], missing.json()["instance"]) == (
        404,
        PROBLEM,
        "/no/such/path",
    )
    wrong = plane.request("PUT", "/agents", {})
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, PROBLEM)
    assert "POST" in wrong.headers["allow"]


def test_a_crash_is_a_problem_that_says_nothing_but_its_trace(plane: Plane) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    plane.run("alter table department rename to vanished")
    crashed = plane.get("/departments", traceparent=f"00-{trace}-b7ad6b7169203331-01")
    problem = crashed.json()
    assert (crashed.status_code, crashed.headers["content-type"]) == (500, PROBLEM)
    assert (problem["trace_id"], problem["type"]) == (trace, "urn:aos:problem:internal")
    assert "vanished" not in crashed.text
    assert "department" not in problem["detail"]


def test_a_body_without_a_length_is_read_to_its_limit(plane: Plane) -> None:
    def pieces(size: int) -> Iterator[bytes]:
        yield b'{"name": "finance", "cost_center": "'
        for _ in range(size):
            yield b"x" * 100
        yield b'"}'

    headers = {"Authorization": f"Bearer {plane.token}", "Content-Type": "application/json"}
    assert plane.client.post("/departments", content=pieces(20_000), headers=headers).status_code == 413
    assert plane.client.post("/departments", content=pieces(1), headers=headers).status_code == 201


def test_only_version_1_is_served_and_every_answer_names_it(plane: Plane) -> None:
    for headers in ({}, {"AOS_Version": "1"}, {"Accept": "application/json;version=1"}):
        answer = plane.get("/agents", **headers)
        assert (answer.status_code, answer.headers["aos-version"]) == (200, "1")
    for headers in ({"AOS_Version": "2"}, {"Accept": "application/json; version=2"}):
        refused = plane.get("/agents", **headers)
        assert (refused.status_code, refused.headers["aos-version"]) == (406, "1")


def test_a_write_under_a_key_is_done_once_and_answered_the_same(plane: Plane) -> None:
    first = plane.post("/departments", {"name": "finance"}, Idempotency_Key="one")
    again = plane.post("/departments", {"name": "finance"}, Idempotency_Key="one")
    assert (again.status_code, again.json(), again.headers["location"]) == (201, first.json(), "/departments/finance")
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    other = plane.post("/departments", {"name": "sales"}, Idempotency_Key="one")
    assert (other.status_code, other.json()["type"]) == (422, "urn:aos:problem:idempotency-mismatch")
    assert plane.post("/agents", {"name": "finance"}, Idempotency_Key="one").status_code == 422
    assert [each["name"] for each in plane.get("/departments").json()["items"]] == ["finance"]


def test_a_write_that_failed_leaves_no_trace_of_its_key(plane: Plane) -> None:
    body = {**AGENT, "department": "finance"}
    assert plane.post("/agents", body, Idempotency_Key="two").status_code == 400
    plane.post("/departments", {"name": "finance"})
    assert plane.post("/agents", body, Idempotency_Key="two").status_code == 201


def test_what_is_shown_once_is_not_in_the_stored_answer(plane: Plane) -> None:
    first = plane.post("/agents", AGENT, Idempotency_Key="three").json()
    again = plane.post("/agents", AGENT, Idempotency_Key="three").json()
    assert first["private_key"]["d"]
    assert again["private_key"] is None
    assert "shown once" in again["note"]
    assert plane.rows("select count(*) from agent_key") == [(1,)]
    assert plane.rows("select sealed from content where purpose = 'idempotent-answer'")[0][0].find(b"finance") == -1


def test_a_second_request_is_told_that_the_first_is_still_at_work(plane: Plane) -> None:
    import psycopg

    lock = (
        "select pg_advisory_xact_lock(hashtextextended(%s::text || ' ' || %s::text || ' ' || 'four', 8470))",
        (plane.actor.organization_id, plane.actor.person_id),
    )
    with psycopg.connect(plane.database.owner) as rival:
        rival.execute(*lock)
        waits = plane.post("/departments", {"name": "finance"}, Idempotency_Key="four")
    assert (waits.status_code, waits.json()["type"]) == (409, "urn:aos:problem:still-running")
    assert plane.post("/departments", {"name": "finance"}, Idempotency_Key="four").status_code == 201


def test_of_many_requests_under_one_key_at_once_one_is_done(plane: Plane) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(plane.post("/departments", {"name": "finance"}, Idempotency_Key="five").status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert plane.rows("select count(*) from department") == [(1,)]


def test_a_dry_run_does_everything_and_undoes_it(plane: Plane) -> None:
    before = plane.epoch(), plane.records()
    tried = plane.post("/agents?dry_run=true", AGENT)
    assert (tried.status_code, tried.json()["name"], tried.json()["private_key"]) == (200, "finance", None)
    assert plane.post("/organizations?dry_run=true", {"name": "Other"}).status_code == 200
    assert plane.post("/agents?dry_run=true", {**AGENT, "type": "boss"}).status_code == 400
    assert plane.post("/agents?dry_run=perhaps", AGENT).status_code == 400
    assert plane.get("/agents").json()["items"] == []
    assert len(plane.get("/organizations").json()["items"]) == 1
    assert (plane.epoch(), plane.records()) == before


def test_a_list_is_read_to_its_end_by_pages_without_gap_or_repetition(plane: Plane) -> None:
    names = [f"d{number:02}" for number in range(7)]
    for name in names:
        plane.post("/departments", {"name": name})
    for order, wanted in (("created", names), ("-created", names[::-1]), ("name", names), ("-name", names[::-1])):
        found: list[str] = []
        cursor = ""
        while True:
            page = plane.get(f"/departments?limit=3&order={order}{cursor and '&cursor=' + cursor}").json()
            found += [each["name"] for each in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert found == wanted


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("cursor=nonsense", "/cursor"),
        ("cursor=eyJhIjoxfQ", "/cursor"),
        ("order=size", "/order"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=-5", "/limit"),
        ("limit=many", "/limit"),
        ("from=yesterday", "/from"),
        ("from=2026-11-23T09:00:00", "/from"),
        ("colour=red", "/colour"),
        ("status=asleep", "/status"),
        ("limit=1&limit=2", "/limit"),
        ("name=%00", "/name"),
    ],
)
def test_a_wrong_query_parameter_is_named(plane: Plane, query: str, pointer: str) -> None:
    refused = plane.get(f"/agents?{query}")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)


def test_a_cursor_of_one_order_is_refused_in_another(plane: Plane) -> None:
    for name in ("a", "b"):
        plane.post("/departments", {"name": name})
    cursor = plane.get("/departments?limit=1&order=name").json()["next"]
    assert plane.get(f"/departments?limit=1&order=name&cursor={cursor}").status_code == 200
    assert plane.get(f"/departments?limit=1&order=-name&cursor={cursor}").status_code == 400
    assert plane.get(f"/departments?limit=1&cursor={cursor}").status_code == 400


def test_lists_are_narrowed_by_the_fields_names_and_by_time(plane: Plane) -> None:
    plane.post("/departments", {"name": "finance", "cost_center": "CC-1"})
    plane.post("/agents", {**AGENT, "department": "finance"})
    plane.post("/agents", {"name": "watcher", "type": "observer"})
    plane.post("/agents/watcher/pause")

    def names(query: str) -> list[str]:
        return [each["name"] for each in plane.get(f"/agents?{query}").json()["items"]]

    assert names("type=observer") == names("status=paused") == names("name=watcher") == ["watcher"]
    assert names("department=finance") == ["finance"]
    assert names(f"owner={ADMIN}&order=name") == ["finance", "watcher"]
    assert names("from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z") == []
    assert names("from=2020-01-01T00:00:00%2B01:00&order=name") == ["finance", "watcher"]


@pytest.mark.parametrize("path", ["/agents/{}", "/people/{}", "/schedules/{}", "/hooks/{}", "/workflows/{}/versions"])
def test_a_name_that_cannot_be_stored_is_not_found(plane: Plane, path: str) -> None:
    assert plane.get(path.format("a%00b")).status_code == 404


def test_a_session_may_read_and_writes_only_from_our_own_pages(plane: Plane) -> None:
    import hashlib

    plane.run(
        "insert into session (id, person_id, issuer_id, token_hash, expires_at)"
        " values (%s, %s, %s, %s, now() + interval '1 hour')",
        *(plane.drivers.ids.new(), plane.actor.person_id, plane.actor.organization_id),
        hashlib.sha256(b"aoss_x").digest(),
    )
    cookie = {"Cookie": "aos_session=aoss_x"}
    assert plane.client.get("/whoami", headers=cookie).json()["email"] == ADMIN
    body = json.dumps({"name": "finance"}).encode()
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 201)):
        headers = {**cookie, "Sec-Fetch-Site": site, "Content-Type": "application/json"}
        assert plane.client.post("/departments", content=body, headers=headers).status_code == status
    bare = {**cookie, "Content-Type": "application/json"}
    assert plane.client.post("/departments", content=body, headers=bare).status_code == 403
    assert plane.client.get("/whoami", headers={"Cookie": "aos_session=other"}).status_code == 401
