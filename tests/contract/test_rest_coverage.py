"""What graphs tell of themselves is shown beside the record: spans in a run's tree, coverage on the agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from ruamel.yaml import YAML

from aos.cli.failures import CliError
from aos.cli.graph_manifest import manifest_of_graphs
from tests.planes import Plane
from tests.run_worlds import make_company
from tests.worlds import IDS, agent

SPAN = (
    "insert into span (organization_id, id, trace_id, span_id, run_id, name, started_at, ended_at, attributes)"
    " values (%s, %s, %s, %s, %s, %s, now(), now(), %s)"
)


def test_spans_and_coverage_are_shown_apart_from_the_record(plane: Plane) -> None:
    company = make_company(plane, agents=[agent("research"), agent("plain")])
    run = company.start("digest", "read", agent="research")
    org, research = company.world.organization_id, company.world.agents["research"]
    told: dict[str, Any] = {"kind": "coverage", "models": ["gpt", "local"], "models_governed": ["gpt"]}
    told |= {"tools": ["ls", "pay", "shell"], "governed": ["pay"], "kept": ["ls"]}
    node = {"kind": "node", "aos.task": str(run.tasks["read"]), "error": "ValueError"}
    with psycopg.connect(plane.database.owner) as owner:
        owner.execute(SPAN, (org, IDS.new(), research.id.bytes, b"12345678", run.id, "coverage", Jsonb(told)))
        owner.execute(SPAN, (org, IDS.new(), run.id.bytes, b"87654321", run.id, "ask", Jsonb(node)))
    shown = plane.get("/agents/research").json()["coverage"]
    assert shown["told"] == "model calls not governed: local; tools 1 of 2 governed, in traces only: shell"
    assert (shown["tools_governed"], shown["framework_own"], shown["passes"]) == (["pay"], ["ls"], 1)
    assert plane.get("/agents/plain").json()["coverage"] is None
    (span,) = plane.get(f"/traces/{run.id}/tree").json()["spans"]
    assert (span["name"], span["kind"], span["error"], span["task"]) == (
        "ask",
        "node",
        "ValueError",
        str(run.tasks["read"]),
    )


def test_a_manifest_is_made_of_a_langgraph_json_and_applies(plane: Plane, tmp_path: Path) -> None:
    source = tmp_path / "langgraph.json"
    graphs = {"Research Agent": "./team/research.py:graph", "ops": {"path": "ops.py:make", "description": "Run it"}}
    source.write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    manifest = YAML(typ="safe").load(manifest_of_graphs(source))
    assert manifest["agents"]["research-agent"]["runtime"] == {"langgraph": "team.research:graph"}
    assert manifest["agents"]["ops"]["goal"] == "Run it"
    applied = plane.post("/manifest", {"manifest": manifest})
    assert applied.status_code == 200, applied.text
    assert plane.get("/agents/ops").json()["runtime"] == {"langgraph": "ops:make"}


@pytest.mark.parametrize(
    "said", ["[]", "{", '{"graphs": {"a": "a.js:graph"}}', '{"graphs": {"a": "../a.py:graph"}}', '{"graphs": {}}']
)
def test_what_is_no_langgraph_json_is_refused_by_name(tmp_path: Path, said: str) -> None:
    source = tmp_path / "langgraph.json"
    source.write_text(said)
    with pytest.raises(CliError, match=r"langgraph\.json"):
        manifest_of_graphs(source)
