"""The console's doors without a browser: signing in, forms, headers, what is kept and what is not shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.console_pages import JONAS, MARIA, ROOT, VIKTOR, Console

OURS = {"Sec-Fetch-Site": "same-origin"}


def form_token(text: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', text)
    assert found is not None
    return found[1]


def test_who_is_not_signed_in_is_sent_to_do_so_and_back(console: Console) -> None:
    answer = httpx.get(f"{console.url}/console/approvals?status=all")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/console/sign-in?next=/console/approvals%3Fstatus%3Dall"


def test_looking_at_a_link_does_not_use_it_and_using_it_works_once(console: Console) -> None:
    address, sent = f"{console.url}/console/sign-in", {"link": console.links[JONAS]}
    for _ in range(2):
        assert console.links[JONAS] in httpx.get(address, params=sent).text
    first = httpx.post(address, data={**sent, "next": "/console/cost"}, headers=OURS)
    assert (first.status_code, first.headers["Location"]) == (302, "/console/cost")
    cookie = first.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    console.cookies[JONAS] = first.cookies["aos_session"]
    second = httpx.post(address, data=sent, headers=OURS)
    assert second.status_code == 401
    assert "was used" in second.text


@pytest.mark.parametrize("token", ["", "aosp_", "aosp_unknown", "aosl_unknown", "x" * 500])
def test_a_wrong_token_opens_nothing_and_says_what_to_do(console: Console, token: str) -> None:
    answer = httpx.post(f"{console.url}/console/sign-in", data={"token": token}, headers=OURS)
    assert answer.status_code == 401
    assert "aos tokens create" in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "/console/../x\\y", "/console/sign-out", "/runs"]
)
def test_signing_in_leads_to_the_console_and_nowhere_else(console: Console, next: str) -> None:
    shown = httpx.get(f"{console.url}/console/sign-in", params={"next": next}).text
    assert 'name="next" value="/console/"' in shown


def test_a_personal_token_opens_a_session_that_signing_out_ends(console: Console) -> None:
    console.client()
    link = console.rows("select id from person where email = %s", VIKTOR)
    assert link
    with console.client(VIKTOR) as client:
        token = client.post("/tokens", json={"label": "test"}).json()["token"]
        opened = httpx.post(f"{console.url}/console/sign-in", data={"token": token}, headers=OURS)
        cookies = {"aos_session": opened.cookies["aos_session"]}
        page = httpx.get(f"{console.url}/console/runs", cookies=cookies)
        assert "Viktor Ohm" in page.text
        gone = httpx.post(
            f"{console.url}/console/sign-out", data={"form_token": form_token(page.text)}, cookies=cookies, headers=OURS
        )
        assert gone.headers["Location"] == "/console/sign-in"
        assert httpx.get(f"{console.url}/console/runs", cookies=cookies).status_code == 302


def test_a_form_of_another_site_or_session_changes_nothing(console: Console) -> None:
    approval = console.approval("large-payments")
    digest = console.rows("select encode(digest, 'hex') from approval where id = %s", approval)[0][0]
    with console.client() as maria, console.client(VIKTOR) as viktor:
        own = form_token(maria.get(f"/console/approvals/{approval}").text)
        foreign = form_token(viktor.get("/console/runs").text)
        sent = {"answer": "approve", "digest": digest}
        for token, headers in (
            (own, {"Sec-Fetch-Site": "cross-site"}),
            (foreign, OURS),
            ("", OURS),
            (own, {"Sec-Fetch-Site": "same-site"}),
        ):
            answer = maria.post(f"/console/approvals/{approval}", data={**sent, "form_token": token}, headers=headers)
            assert answer.status_code == 403
        large = {**sent, "form_token": own, "comment": "x" * 30_000}
        assert maria.post(f"/console/approvals/{approval}", data=large).status_code == 413
        seen_other = {**sent, "form_token": own, "digest": "00" * 32}
        assert maria.post(f"/console/approvals/{approval}", data=seen_other).status_code == 409
        without_reason = {"answer": "deny", "digest": digest, "form_token": own, "comment": " "}
        assert maria.post(f"/console/approvals/{approval}", data=without_reason).status_code == 400
    assert console.rows("select status from approval where id = %s", approval) == [("pending",)]


def test_who_lacks_the_role_sees_no_buttons_and_cannot_answer(console: Console) -> None:
    approval = console.approval("large-payments")
    digest = console.rows("select encode(digest, 'hex') from approval where id = %s", approval)[0][0]
    with console.client(VIKTOR) as viktor:
        page = viktor.get(f"/console/approvals/{approval}").text
        assert "Approve this" not in page
        assert "with the role <b>approver</b>" in page
        sent = {"answer": "approve", "digest": digest, "form_token": form_token(page)}
        assert viktor.post(f"/console/approvals/{approval}", data=sent).status_code == 403
    assert console.rows("select status from approval where id = %s", approval) == [("pending",)]


def test_who_may_not_read_content_sees_no_arguments_and_who_may_not_audit_no_log(console: Console) -> None:
    address = console.addresses()["act"]
    with console.client(VIKTOR) as viktor, console.client() as maria:
        assert "LT121000011101001000" in maria.get(address).text
        hidden = viktor.get(address)
        assert hidden.status_code == 200
        assert "LT121000011101001000" not in hidden.text
        assert "account-from-record" in hidden.text
        refused = viktor.get("/console/audit")
        assert refused.status_code == 403
        assert "auditor" in refused.text


def test_no_other_organization_is_seen(console: Console) -> None:
    foreign = console.rows("select id from approval where run_id = %s", console.other_run_id)[0][0]
    act = console.rows("select id from action where run_id = %s limit 1", console.other_run_id)[0][0]
    with console.client() as client:
        for path in (
            f"/console/runs/{console.other_run_id}",
            f"/console/runs/{console.other_run_id}?view=acts",
            f"/console/runs/{console.run_id}?action={act}",
            f"/console/approvals/{foreign}",
        ):
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert "umbra" not in answer.text.lower()
        for path in ("/console/runs", "/console/approvals?status=all", "/console/audit", "/console/search?q=umbra"):
            assert "umbra-secret" not in client.get(path).text, path
        moved = client.get(f"/console/search?q={console.other_run_id}")
        assert moved.status_code == 200


def test_pages_are_small_guarded_and_never_kept(console: Console) -> None:
    with console.client() as client:
        for name, path in console.addresses().items():
            answer = client.get(path)
            assert len(answer.content) < 100_000, name
            assert answer.headers["Cache-Control"] == "no-store"
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|<style", answer.text), name


def test_static_files_are_kept_for_good_under_the_name_of_their_content(console: Console) -> None:
    with console.client() as client:
        page = client.get("/console/runs").text
        for address in re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page):
            kept = client.get(address)
            assert kept.status_code == 200
            assert "immutable" in kept.headers["Cache-Control"]
            old = re.sub(r"\.[0-9a-f]{12}\.", ".000000000000.", address)
            assert client.get(old).headers["Cache-Control"] == "no-store"
        for address in (
            "/console/static/nothing.000000000000.css",
            "/console/static/..%2fdoors.py",
            "/console/static/x",
        ):
            assert client.get(address).status_code == 404


def test_the_proof_that_a_page_links_to_holds_without_aos(console: Console, tmp_path: Path) -> None:
    with console.client() as client:
        found = re.search(r'href="(/audit/proof/[0-9a-f-]{36})"', client.get(console.addresses()["act"]).text)
        assert found is not None
        proof = tmp_path / "proof.json"
        proof.write_bytes(client.get(found[1]).content)
    checked = subprocess.run(
        [sys.executable, str(ROOT / "examples/verify_proof.py"), str(proof)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_an_error_says_what_where_and_under_which_trace(console: Console) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with console.client() as client:
        answer = client.get("/console/nowhere", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert answer.status_code == 404
    assert "GET /console/nowhere" in answer.text
    assert trace in answer.text


def test_the_badge_is_red_with_its_reason_when_a_canary_act_was_not_refused(console: Console) -> None:
    with console.client() as client:
        assert 'class="badge governed state good"' in client.get("/console/runs").text
        told = '{"failures": ["a paused agent: allow, must be denied"]}'
        try:
            console.rows("update process set governed = false, detail = %s", told)
            page = client.get("/console/runs").text
            assert 'class="badge governed state bad"' in page
            assert "a paused agent: allow, must be denied" in page
            console.rows("update process set seen_at = now() - interval '1 hour'")
            assert 'class="badge governed state unknown"' in client.get("/console/runs").text
        finally:
            console.rows("update process set governed = true, detail = '{}', seen_at = now() + interval '1 day'")


def test_every_empty_list_teaches_the_command_that_fills_it(console: Console) -> None:
    with console.client() as client:
        for path, command in (
            ("/console/runs?state=failed", "aos run month-end"),
            ("/console/approvals?status=expired", "Choose another status"),
            ("/console/policies?outcome=allow", "aos policy check"),
        ):
            assert command in client.get(path).text, path


def test_maria_is_known_by_name_everywhere(console: Console) -> None:
    with console.client(MARIA) as client:
        for name, path in console.addresses().items():
            assert "Maria Sand" in client.get(path).text, name


def test_the_fleet_shows_each_limit_and_how_many_are_under_way(console: Console) -> None:
    with console.client(VIKTOR) as client:
        rows = re.findall(r"<tr>(.*?)</tr>", client.get("/console/fleet").text, re.DOTALL)
    told = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert any(re.search(r"^vendor-desk .* \d+ of 30 ", row) for row in told)
    assert "licences queue 0 7" in told
    assert "payments.create tool 0 40" in told
