"""The example's manifest is one that AOS takes: alone, and as the demo fills it in for one company."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from examples.month_end.demo_people import INES, MANIFEST, MARIA, NAMES, ROLES, TOMAS, read_manifest
from examples.month_end.tools import TOOLS
from tests.planes import Plane, plane

__all__ = ["plane"]


def written() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(MANIFEST.read_text("utf-8"))
    return found


def test_the_manifest_applies_as_it_stands_and_again_changes_nothing(plane: Plane) -> None:
    applied = plane.post("/manifest", {"manifest": written()})
    assert applied.status_code == 200, applied.text
    assert applied.json()["waits"] == []
    kinds = [change["kind"] for change in applied.json()["changes"]]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert counts == {
        "organization": 1,
        "department": 3,
        "agent": 5,
        "tool": 18,
        "policy": 6,
        "budget": 3,
        "workflow": 1,
        "model": 1,
        "purpose": 1,
    }
    assert plane.post("/manifest", {"manifest": written()}).json()["changes"] == []


def test_the_demo_fixes_the_company_of_every_python_tool_and_names_who_answers_for_the_agents(
    plane: Plane, tmp_path: Path
) -> None:
    plane.as_person("maria@larkspur.example", "operator") if plane.actor.email != MARIA else None
    manifest = read_manifest(tmp_path, owner=MARIA)
    assert plane.post("/manifest", {"manifest": manifest}).status_code == 200
    for name in TOOLS:
        assert plane.get(f"/tools/{name}").json()["fixed"] == {"company": str(tmp_path)}
    assert {agent["owner"] for agent in plane.get("/agents").json()["items"]} == {MARIA}


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_the_manifest_says_of_a_tool_what_the_example_says(name: str) -> None:
    tool, stated = TOOLS[name], written()["tools"][name]
    assert stated["python"] == tool.python
    assert stated["effect"] == tool.effect
    assert stated.get("result_trust") == tool.result_trust
    assert tuple(stated.get("sinks", ())) == tool.sinks
    assert stated.get("repeat", tool.repeat) == tool.repeat
    assert set(stated["args"].get("properties", {})) == set(tool.schema["properties"])
    assert set(stated["args"].get("required", [])) == set(tool.schema["required"])


def test_the_demo_has_one_person_for_each_part() -> None:
    assert {ROLES[email] for email in (MARIA, TOMAS, INES)} == {"operator", "approver", "auditor"}
    assert set(NAMES) == set(ROLES)
