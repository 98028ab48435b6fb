"""Agents by REST: what a caller relies on."""

from __future__ import annotations

from tests.planes import Plane


def test_smoke(plane: Plane) -> None:
    r = plane.post("/agents", {"name": "finance", "type": "functional", "goal": "pay"})
    print(r.status_code, r.text, r.headers)
    r = plane.get("/agents")
    print(r.status_code, r.text)
    for p in [
        "/whoami",
        "/openapi.json",
        "/docs",
        "/healthz",
        "/readyz",
        "/nope",
        "/roles",
        "/people",
        "/tools",
        "/policies",
        "/budgets",
        "/workflows",
        "/departments",
        "/secrets",
        "/tokens",
        "/organizations",
        "/manifest.schema.json",
        "/audit/checkpoint",
        "/audit/records",
        "/policies/explain?agent=finance&action=tool:x",
    ]:
        r = plane.get(p)
        print(p, r.status_code, r.text[:300])
    assert 0
