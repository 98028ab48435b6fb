"""Agents without code in the registry: what is written comes back, what cannot work is refused where it stands, templates apply."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aos.cli.init import Template, template_files
from tests.planes import Plane

LLM: dict[str, Any] = {
    "model": "light",
    "instructions": "Be brief.",
    "turns": 5,
    "budget": "1 EUR",
    "output": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "tools": ["erp.*"],
}
MODEL = {"provider": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "price": "free"}


def given(plane: Plane, **llm: Any) -> Any:
    agent = {"type": "functional", "models": ["light"], "runtime": {"llm": {**LLM, **llm}}}
    parts = {"models": {"light": MODEL}, "organization": {"hosts": ["127.0.0.1:9"]}, "agents": {"finance": agent}}
    return plane.post("/manifest", {"manifest": {"aos": 1, **parts}})


def test_a_runtime_without_code_comes_back_as_it_was_written(plane: Plane) -> None:
    assert given(plane).status_code == 200
    assert plane.get("/agents/finance").json()["runtime"] == {"llm": LLM}
    assert given(plane).json()["changes"] == []
    changed = plane.patch("/agents/finance", {"runtime": {"llm": {"turns": 7}}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["runtime"]["llm"] == {**LLM, "turns": 7}


@pytest.mark.parametrize(
    ("llm", "at", "why"),
    [
        ({"turns": 0}, "/llm/turns", "at least 1"),
        ({"turn": 3}, "/llm/turn", "unknown field"),
        ({"budget": 3}, "/llm/budget", "a string"),
        ({"model": "strong"}, "/llm/model", "is not among the models"),
        ({"output": {"type": "objekt"}}, "/llm/output", "objekt"),
        ({"style": "loud"}, "/llm/style", "one of"),
    ],
)
def test_what_cannot_work_is_refused_where_it_stands(plane: Plane, llm: dict[str, Any], at: str, why: str) -> None:
    refused = given(plane, **llm)
    assert refused.status_code == 422, refused.text
    (error, *_) = refused.json()["errors"]
    assert f"/agents/finance/runtime{at}" in error["pointer"]
    assert why in error["detail"]


def test_who_is_led_by_a_model_must_be_allowed_to_ask_one(plane: Plane) -> None:
    refused = plane.post("/agents", {"name": "finance", "type": "functional", "runtime": {"llm": {}}})
    assert refused.status_code == 400, refused.text
    (error,) = refused.json()["errors"]
    assert (error["pointer"], "name its `models`" in error["detail"]) == ("/models", True)


@pytest.mark.parametrize("template", Template)
def test_a_template_applies_as_it_is_written_and_again_changes_nothing(plane: Plane, template: Template) -> None:
    manifest = YAML(typ="safe", pure=True).load(template_files(template)["aos.yaml"])
    applied = plane.post("/manifest", {"manifest": manifest})
    assert applied.status_code == 200, applied.text
    assert applied.json()["waits"] == []
    assert plane.post("/manifest", {"manifest": manifest}).json()["changes"] == []


@pytest.mark.parametrize("template", Template)
def test_the_tools_of_a_template_take_what_its_manifest_declares(
    template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = template_files(template)
    module = next(name for name in files if name.endswith(".py"))
    (tmp_path / module).write_text(files[module])
    monkeypatch.syspath_prepend(str(tmp_path))
    functions = import_module(module.removesuffix(".py"))
    assert Path(str(functions.__file__)).parent == tmp_path
    for tool in YAML(typ="safe", pure=True).load(files["aos.yaml"])["tools"].values():
        if "python" in tool:
            home, _, name = tool["python"].partition(":")
            assert f"{home}.py" == module
            parameters = set(signature(getattr(functions, name)).parameters)
            assert parameters - {"idempotency_key"} == set(tool["args"]["properties"])
            assert ("idempotency_key" in parameters) == (tool.get("repeat") == "keyed")
