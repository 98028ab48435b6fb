"""The reference pages name every field of the manifest and every command there is."""

from __future__ import annotations

from typing import Any

from aos.cli.app import build
from aos.cli.reference import cli_reference, manifest_reference
from aos.kernel.manifest.schema import manifest_schema
from tests.contract.cli_peer import Cli, start


def test_the_manifests_page_names_every_field() -> None:
    page, schema = manifest_reference(), manifest_schema()
    assert isinstance(schema, dict)
    sections: Any = schema["properties"]
    for name, part in sections.items():
        assert f"## `{name}`" in page
        member = part.get("items") or part.get("additionalProperties") or part
        for field in (member if isinstance(member, dict) else {}).get("properties", {}):
            assert f"| `{field}` |" in page


def test_the_command_lines_page_names_every_command(aos: Cli) -> None:
    page = cli_reference(build(aos.config(), {"up": start}))
    for command in (
        "up",
        "apply",
        "run WORKFLOW|AGENT",
        "approvals approve ID",
        "audit verify [FILE]",
        "policies check",
    ):
        assert f"### `aos {command}`" in page
    assert "agent list`" not in page
    assert "--dry-run" in page
