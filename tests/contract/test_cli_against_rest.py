"""The command line and the control plane agree: every command against the real one, over a socket, on a real database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from aos.store.cold.connection import disconnect
from aos.store.cold.machine import disconnect_machine
from tests.contract.cli_peer import Cli, Peer
from tests.planes import ADMIN, Plane

COMPANY = Path(__file__).resolve().parents[2] / "examples/month_end/aos.yaml"


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def listening(application: Any) -> Iterator[str]:
    """Serve an application on a free port, one request after the other."""
    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)

    def serve() -> None:
        try:
            server.serve_forever(poll_interval=0.01)
        finally:
            disconnect()
            disconnect_machine()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def real(plane: Plane, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """`aos`, signed in to a control plane as Larkspur's administrator."""
    with listening(plane.client._transport.app) as url:  # type: ignore[attr-defined]
        yield Cli(Peer(url), tmp_path / "config", capsys, token=plane.token)


def done(real: Cli, *arguments: str) -> str:
    ended = real(*arguments)
    assert ended.status == 0, ended.err
    return ended.out


def test_a_company_is_applied_once_and_then_stands(real: Cli) -> None:
    planned = json.loads(done(real, "apply", "-f", str(COMPANY), "--dry-run", "--json"))
    assert {change["mark"] for change in planned["changes"]} <= {"+", "~", "!"}
    assert json.loads(done(real, "tools", "list", "--json"))["items"] == []
    done(real, "apply", "-f", str(COMPANY), "--yes")
    assert done(real, "apply", "-f", str(COMPANY), "--exit-code") == "nothing to change\n"
    for collection in ("agents", "tools", "policies", "departments", "workflows"):
        items = json.loads(done(real, collection, "list", "--json"))["items"]
        assert items, collection
        for item in items:
            assert item["name"] in done(real, collection, "show", item["name"])
        assert items[0]["name"] in done(real, collection, "list")
    assert "rule permission/finance/" in done(real, "explain", "finance", "tool:payments.create")
    assert done(real, "policy", "check", "-f", str(COMPANY)).endswith("policies are sound\n")


def test_what_the_server_refuses_in_a_manifest_has_its_line(real: Cli, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("aos: 1\nagents:\n  ops:\n    type: functional\n    department: nowhere\n    tools: [erp.list]\n")
    refused = real("apply", "-f", str(path))
    assert refused.status == 2
    assert "wrong.yaml:5:17: /agents/ops/department: no department is called `nowhere`" in refused.err
    assert "wrong.yaml:6:13: /agents/ops/tools/0: no tool is called `erp.list`" in refused.err
    path.write_text("aos: 1\npolicies:\n  - id: p\n    outcome: deny\n    when: args.amount >\n")
    assert "wrong.yaml:5:11: /policies/0/when" in real("apply", "-f", str(path), "--yes").err


def test_an_agent_lives_its_life(real: Cli) -> None:
    assert "private" in done(real, "agents", "register", "ops", "--goal", "Answer vendors")
    assert real("agents", "register", "ops").status == 6
    assert done(real, "agents", "pause", "ops") == "agent ops is paused\n"
    assert done(real, "agent", "resume", "ops") == "agent ops is running\n"
    assert "export AOS_API_KEY=aos_" in done(real, "agents", "env", "ops")
    made = json.loads(done(real, "agents", "keys", "ops", "--create", "--json"))
    done(real, "agents", "keys", "ops", "--revoke", made["id"][-8:])
    assert done(real, "agents", "kill", "ops") == "agent ops is quarantined\n"
    assert done(real, "agents", "retire", "ops", "--yes") == "agent ops is retired\n"
    assert real("agents", "show", "nobody").status == 3


def test_people_come_in_by_a_link_and_tokens_end(real: Cli) -> None:
    link = json.loads(done(real, "people", "invite", "ben@larkspur.example", "-r", "viewer", "--json"))["link"]
    done(real, "people", "assign", "ben@larkspur.example", "auditor")
    done(real, "people", "unassign", "ben@larkspur.example", "viewer")
    assert "auditor" in done(real, "people", "show", "ben@larkspur.example")
    assert ADMIN in done(real, "whoami")

    real.token = ""
    assert real("whoami").status == 8
    assert "ben@larkspur.example" in done(real, "login", link)
    assert real("login", link).status == 8
    assert "auditor" in done(real, "whoami")
    assert real("people", "invite", "eve@larkspur.example").status == 4
    token = json.loads(done(real, "tokens", "create", "ci", "--json"))
    done(real, "tokens", "revoke", token["id"][-8:])
    real.token = token["token"]
    assert real("whoami").status == 8


def test_the_log_is_verified_and_a_record_proved(real: Cli, plane: Plane, tmp_path: Path) -> None:
    done(real, "agents", "register", "ops")
    plane.integrate()
    shown = json.loads(done(real, "audit", "verify", "--json"))
    assert shown["records"] == plane.records()
    record = plane.get("/audit/records").json()["items"][0]["record"]["id"]
    proof = tmp_path / "proof.json"
    assert json.loads(done(real, "audit", "prove", record, "-o", str(proof), "--json"))["record"] == record
    log = tmp_path / "log.jsonl"
    done(real, "audit", "export", "-o", str(log))
    log.write_bytes(log.read_bytes().replace(b'"i":1,"r":"eyJ', b'"i":1,"r":"eyK'))
    assert real("audit", "verify", str(log)).status == 1


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (("runs", "show", "nope"), "run `nope`"),
        (("runs", "show", "ffff"), "run `ffff`"),
        (("approvals", "approve", "zzz"), "approval `zzz`"),
    ],
)
def test_an_id_that_nothing_has_is_not_found(line: tuple[str, ...], what: str, real: Cli) -> None:
    failed = real(*line)
    assert (failed.status, f"there is no {what}" in failed.err) == (3, True)


def test_what_nothing_happened_in_is_said_calmly(real: Cli) -> None:
    for command in (["runs", "list"], ["approvals", "list"], ["usage"], ["budgets", "list"], ["secrets", "list"]):
        assert done(real, *command).strip()
        assert isinstance(json.loads(done(real, *command, "--json")), dict)
    assert real("trace").status == 3


def test_models_and_purposes_are_listed_shown_accepted_and_retired(real: Cli, plane: Plane, tmp_path: Path) -> None:
    path = tmp_path / "aos.yaml"
    path.write_text(
        "aos: 1\nmodels:\n  own/small: {provider: openai-compatible, base_url: 'http://127.0.0.1:1/v1', price: free}\n"
        "purposes:\n  quick: {models: [own/small]}\n"
    )
    developer = Cli(
        real.peer, tmp_path / "dan", real.capture, token=plane.as_person("dan@larkspur.example", "developer")
    )
    done(developer, "apply", "-f", str(path), "--yes")
    assert "waits" in developer("models", "publish", "own/small").err
    done(real, "models", "publish", "own/small", "--version", "1")
    done(real, "purpose", "publish", "quick", "--version", "1")
    assert "own/small" in done(real, "models", "list", "--where", "provider=openai-compatible")
    assert json.loads(done(real, "model", "show", "own/small", "--json"))["version"] == 1
    assert json.loads(done(real, "purposes", "versions", "quick", "--json"))["items"][0]["models"] == ["own/small"]
    assert done(real, "models", "retire", "own/small", "--yes") == "model own/small is retired\n"
    assert done(real, "purposes", "retire", "quick", "--yes") == "purpose quick is retired\n"
