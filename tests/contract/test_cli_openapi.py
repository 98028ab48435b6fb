"""OpenAPI documents on the command line: `aos init --from` writes tools of one, `aos apply` sends them resolved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.cli_peer import Cli, Peer

DOCUMENT: Any = {
    "openapi": "3.1.0",
    "info": {"title": "Order Desk", "version": "1"},
    "servers": [{"url": "https://api.larkspur.example/v2"}],
    "security": [{"token": []}],
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    "paths": {
        "/orders/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "getOrder", "summary": "Read an order"},
            "delete": {"operationId": "deleteOrder"},
            "put": {"operationId": "putFile", "requestBody": {"required": True, "content": {"text/csv": {}}}},
        },
        "/orders": {
            "post": {
                "operationId": "createOrder",
                "requestBody": {
                    "content": {"application/json": {"schema": {"properties": {"total": {"type": "string"}}}}}
                },
            }
        },
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    return tmp_path


def test_a_document_becomes_a_manifest_that_applies(aos: Cli, peer: Peer, folder: Path) -> None:
    done = aos("init", "--from", "openapi.json", "--folder", "new")
    assert done.status == 0, done.err
    text = (folder / "new/aos.yaml").read_text()
    assert "# order-desk.put_file: the operation needs a body that is not JSON" in text
    assert "aos secrets set order-desk" in done.out
    peer.give("POST /manifest", {"changes": [], "applied": False})
    assert aos("apply", "--dry-run", "-f", "new/aos.yaml").status == 0
    (body,) = peer.bodies("POST /manifest")
    tools = body["manifest"]["tools"]
    assert body["manifest"]["organization"] == {"hosts": ["api.larkspur.example"]}
    assert {name: each["effect"] for name, each in tools.items()} == {
        "order-desk.get_order": "read",
        "order-desk.create_order": "write",
        "order-desk.delete_order": "delete",
    }
    assert tools["order-desk.get_order"] == {
        "http": {
            "method": "GET",
            "url": "https://api.larkspur.example/v2/orders/{id}",
            "headers": {"Authorization": {"secret": "order-desk", "prefix": "Bearer "}},
            "body": "none",
        },
        "args": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": False},
        "effect": "read",
        "result_trust": "untrusted",
        "description": "Read an order",
    }  # fmt: skip


def test_a_manifest_that_is_there_is_not_written_over(aos: Cli, folder: Path) -> None:
    (folder / "aos.yaml").write_text("mine")
    assert aos("init", "--from", "openapi.json").status == 6
    assert (folder / "aos.yaml").read_text() == "mine"
    assert aos("init").status == 2


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("{document: openapi.json, operation: nothing}", "aos.yaml:4:5: /tools/orders.x/openapi: openapi.json: `/paths`: there is no operation"),
        ("{document: openapi.json, operation: putFile}", "`/paths/~1orders~1{id}/put/requestBody/content`: the operation needs a body"),
        ("{document: none.json, operation: getOrder}", "`none.json` cannot be read"),
        ("{document: openapi.json}", "`operation` is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_resolved_names_both_places(aos: Cli, peer: Peer, folder: Path, tool: str, said: str) -> None:
    (folder / "aos.yaml").write_text(f"aos: 1\ntools:\n  orders.x:\n    openapi: {tool}\n    effect: read\n")
    done = aos("apply", "--dry-run")
    assert (done.status, said in " ".join(done.err.split())) == (2, True), done.err
    assert peer.asked == []
