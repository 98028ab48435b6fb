"""The guide to model calls holds: its manifests apply, and a refusal has the codes that it names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aos.kernel.dialects.errors import error_body
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import AosError, ApprovalPending, BudgetSpent, Denied, FieldError, NotFound
from tests.planes import Plane

GUIDE = (Path(__file__).resolve().parents[2] / "docs/guides/models.md").read_text("utf-8")


def test_its_manifests_apply_together_and_again_change_nothing(plane: Plane) -> None:
    manifest: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL):
        for section, part in YAML(typ="safe", pure=True).load(block).items():
            manifest[section] = {**manifest.get(section, {}), **part} if isinstance(part, dict) else part
    assert {"models", "purposes", "agents", "budgets", "organization"} <= set(manifest)
    applied = plane.post("/manifest", {"manifest": manifest})
    assert applied.status_code == 200, applied.text
    assert applied.json()["waits"] == []
    assert plane.post("/manifest", {"manifest": manifest}).json()["changes"] == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Denied("no"), "policy_denied"),
        (ApprovalPending("wait", extra={"approval_id": "x"}), "approval_pending"),
        (BudgetSpent("no room"), "budget_spent"),
        (NotFound("no such model", errors=[FieldError("/model", "no such model")]), "model_not_found"),
    ],
    ids=["denied", "asked", "spent", "unknown"],
)
def test_a_refusal_has_the_status_and_code_of_its_table(error: AosError, words: str) -> None:
    status, body = error_body(Dialect.CHAT, error)
    assert json.loads(body)["error"]["code"] == words
    assert re.search(rf"\| {status} \| `{words}` \|", GUIDE)
