"""Manifests out of MCP: what a server offers as `tools`, and the well-known `mcp.json` as `mcp_servers`.

A value of `mcp.json` that is called like a credential becomes a secret by name: its value is not written anywhere.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from aos.cli.client import Object
from aos.cli.failures import CliError, ExitStatus

SERVERS: Final = "mcpServers"
"""What an mcp.json holds: servers by name."""
_SECRETIVE: Final = re.compile(r"(token|key|secret|password|passwd|credential|authorization|auth)", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\$\{(?:env:|input:)?[^}]*\}")
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")


def tools_yaml(items: Sequence[Object]) -> str:
    """Return offers as the `tools` of a manifest, with what a person should know of each as comments."""
    lines = ["tools:"]
    for each in items:
        if each["state"] == "gone":
            lines.append(f"  # {each['name']}: {each['why']}")
            continue
        lines += [f"  # {each['state']}{': ' if each['notes'] else ''}{'; '.join(each['notes'])}"]
        text = _dumped({each["name"]: each["entry"]})
        lines += [f"  {line}" if line else "" for line in text.splitlines()]
    return "\n".join(lines) if items else "tools: {}"


def manifest_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the manifest that an `mcp.json` becomes, and the names of the secrets to be set; raise CliError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CliError("Not read", f"`{path}` is no file of JSON: {error}", ExitStatus.USAGE) from error
    servers = document.get(SERVERS) if isinstance(document, dict) else None
    if not isinstance(servers, dict) or not servers:
        detail = f"`{path}` has no `{SERVERS}`, an object of servers by name"
        raise CliError("Not read", detail, ExitStatus.USAGE)
    secrets: list[str] = []
    hosts: list[str] = []
    found = {_plain(name): _server(_plain(name), said, secrets, hosts) for name, said in servers.items()}
    manifest: dict[str, Any] = {"aos": 1}
    if hosts:
        manifest["organization"] = {"hosts": sorted(set(hosts))}
    manifest["mcp_servers"] = found
    return _dumped(manifest), tuple(dict.fromkeys(secrets))


def _server(name: str, said: Any, secrets: list[str], hosts: list[str]) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise CliError("Not read", f"the server `{name}` is no object", ExitStatus.USAGE)
    if said.get("url"):
        url = str(said["url"])
        hosts.append(re.sub(r"^https?://([^/?#]+).*$", r"\1", url).lower())
        found: dict[str, Any] = {"url": url}
        headers = _given(name, said.get("headers"), secrets)
        return {**found, "headers": headers} if headers else found
    if not said.get("command"):
        raise CliError("Not read", f"the server `{name}` has neither `command` nor `url`", ExitStatus.USAGE)
    found = {"command": [str(said["command"]), *(str(each) for each in said.get("args") or [])]}
    env = _given(name, said.get("env"), secrets)
    if env:
        found["env"] = env
    if said.get("cwd"):
        found["folder"] = str(said["cwd"])
    return found


def _given(server: str, values: Any, secrets: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in (values if isinstance(values, dict) else {}).items():
        if _SECRETIVE.search(name) or _REFERENCE.search(str(value)):
            secret = f"{server}-{_plain(name)}"
            secrets.append(secret)
            found[name] = {"secret": secret}
        else:
            found[name] = str(value)
    return found


def _plain(name: str) -> str:
    """Return a name as AOS takes it."""
    found = _NO_NAME.sub("-", name.lower()).strip("-")
    return found if found[:1].isalpha() else f"mcp-{found}".rstrip("-")


def _dumped(value: object) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 100
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = io.StringIO()
    yaml.dump(value, out)
    return out.getvalue().rstrip("\n")
