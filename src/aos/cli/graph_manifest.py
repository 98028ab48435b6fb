"""A manifest made of a `langgraph.json`: one agent for each graph that it names."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ruamel.yaml import YAML

from aos.cli.failures import CliError, ExitStatus
from aos.kernel.json import Json

GRAPHS: Final = "graphs"
"""What a langgraph.json holds: names of graphs, each with `path/to/file.py:graph`."""
_NAME: Final = re.compile(r"[^a-z0-9_-]+")
_HINT: Final = (
    "# The folder of this file must be one that AOS_AGENT_PATH names. Give each agent the tools and models that it may use:\n"
    "# what is not listed is refused.\n"
)


def manifest_of_graphs(source: Path) -> str:
    """Return the manifest of a langgraph.json as YAML; raise CliError for a file that is none."""
    try:
        said: Json = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CliError("Invalid file", f"`{source}` cannot be read as JSON: {error}", ExitStatus.USAGE) from error
    graphs = said.get(GRAPHS) if isinstance(said, dict) else None
    if not isinstance(graphs, dict) or not graphs:
        raise CliError("Invalid file", f"`{source}` has no `{GRAPHS}`, as a langgraph.json has", ExitStatus.USAGE)
    agents = {_agent_name(name): _agent(source, name, value) for name, value in graphs.items()}
    text = io.StringIO()
    YAML().dump({"aos": 1, "agents": agents}, text)
    return _HINT + text.getvalue()


def _agent(source: Path, name: str, value: Json) -> dict[str, Any]:
    path = value.get("path") if isinstance(value, dict) else value
    file, colon, found = path.rpartition(":") if isinstance(path, str) else ("", "", "")
    if not colon or not file.endswith(".py") or not found.isidentifier():
        detail = f"graph `{name}` in `{source}` reads `{path}`, not `path/to/file.py:graph`"
        raise CliError("Invalid file", detail, ExitStatus.USAGE)
    parts = PurePosixPath(file.removesuffix(".py")).parts
    if not parts or not all(part.isidentifier() for part in parts):
        detail = f"graph `{name}` lies in `{file}`, which no import names: move it beneath the folder of `{source}`"
        raise CliError("Invalid file", detail, ExitStatus.USAGE)
    return {
        "type": "functional",
        "goal": str(value.get("description") or "") if isinstance(value, dict) and value.get("description") else name,
        "runtime": {"langgraph": f"{'.'.join(parts)}:{found}"},
        "tools": [],
        "models": [],
    }


def _agent_name(name: str) -> str:
    return _NAME.sub("-", name.lower()).strip("-") or "agent"
