"""OpenAPI documents beside a manifest: their operations become the manifest's `http` tools, or the entries of a new one.

A document is read where the manifest's file lies; AOS itself never sees it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from ruamel.yaml import YAML

from aos.cli.failures import CliError, ExitStatus
from aos.cli.manifest_files import ManifestFiles, read_manifest_text
from aos.kernel.errors import FieldError, InvalidManifest
from aos.kernel.http_tools import Method
from aos.kernel.json import Json
from aos.kernel.manifest.outside_tools import OPENAPI
from aos.kernel.openapi_tools import operation_ids, read_operation
from aos.kernel.schema import pointer

DOCUMENT_BYTES_MAX: Final = 20_000_000
TOOL_NAME_MAX: Final = 64
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")


def resolve_openapi(files: ManifestFiles) -> list[FieldError]:
    """Put the operation of each `openapi` in its place as `http` and `args`; return what is wrong, by pointer.

    What of an operation is not carried is added to the manifest's notes.
    """
    tools = files.document.get("tools")
    problems: list[FieldError] = []
    read: dict[Path, Json] = {}
    for name, tool in tools.items() if isinstance(tools, dict) else ():
        if isinstance(tool, dict) and isinstance(said := tool.get(OPENAPI), dict):
            at = pointer(pointer("/tools", name), OPENAPI)
            place = files.place(at)
            path = Path(place.file if place else ".").parent / str(said["document"])
            if "args" in tool:
                problems.append(FieldError(at, "the arguments come from the document: leave `args` out"))
                continue
            try:
                if path not in read:
                    read[path] = read_document(path)
                _resolve(name, tool, read[path], files.notes)
            except InvalidManifest as error:
                problems += [FieldError(at, f"{path}: `{each.pointer or '/'}`: {each.detail}") for each in error.errors]
    return problems


def read_document(path: Path) -> Json:
    """Return a document of JSON or YAML; raise CliError, naming the file."""
    try:
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise CliError("Not read", f"`{path}` cannot be read: {error.strerror or error}", ExitStatus.USAGE) from error
    if len(data) > DOCUMENT_BYTES_MAX:
        raise CliError("Not read", f"`{path}` is over {DOCUMENT_BYTES_MAX:,} bytes", ExitStatus.USAGE)
    if not data.lstrip().startswith(b"{"):
        return read_manifest_text(data, str(path)).document
    try:
        found: Json = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CliError("Not read", f"`{path}` is no JSON: {error}", ExitStatus.USAGE) from error
    return found


def _resolve(name: str, tool: dict[str, Json], document: Json, notes: list[str]) -> None:
    said = tool.pop(OPENAPI)
    assert isinstance(said, dict)
    headers, fixed = said.get("headers"), tool.get("fixed")
    try:
        operation = read_operation(
            document,
            str(said["operation"]),
            server=str(said.get("server", "")),
            headers=headers if isinstance(headers, dict) else None,
            fixed=tuple(fixed) if isinstance(fixed, dict) else (),
        )
    except InvalidManifest:
        tool[OPENAPI] = said
        raise
    tool["http"] = dict(operation.http)
    tool["args"] = operation.args
    if operation.description:
        tool.setdefault("description", operation.description)
    notes += [f"tool {name}: {note}" for note in operation.notes]


def manifest_of_operations(path: Path, document: Json, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Return the manifest in `folder` that a document's operations become, and the secrets to be set; raise CliError."""
    try:
        operations = operation_ids(document)
    except InvalidManifest as error:
        raise CliError("Not read", f"`{path}`: {error.detail}", ExitStatus.USAGE) from error
    if not operations or not isinstance(document, dict):
        raise CliError("Not read", f"`{path}` has no operation with an `operationId`", ExitStatus.USAGE)
    said = document.get("info")
    title = _plain(str(said.get("title", ""))) if isinstance(said, dict) else ""
    api = (title if title[:1].isalpha() else f"api-{title}".strip("-"))[:24].strip("-")
    headers = _headers(document, api)
    written: list[str] = []
    hosts: set[str] = set()
    names: set[str] = set()
    for operation, method in operations:
        name = _free(
            f"{api}.{_plain(_HUMP.sub('-', operation)).replace('-', '_') or 'call'}"[: TOOL_NAME_MAX - 4], names
        )
        names.add(name)
        try:
            read = read_operation(document, operation, headers=headers)
        except InvalidManifest as error:
            where = f" ({error.errors[0].pointer})" if error.errors else ""
            written.append(f"  # {name}: {' '.join(error.detail.split())}{where}")
            continue
        hosts.add(re.sub(r"^https?://([^/?#]+).*$", r"\1", str(read.http["url"])).lower())
        written += _entry(name, os.path.relpath(path, folder), operation, method, headers=headers, notes=read.notes)
    top: dict[str, Any] = {"aos": 1, **({"organization": {"hosts": sorted(hosts)}} if hosts else {})}
    text = _dumped(top) + "\ntools:\n" + "\n".join(written)
    return text, tuple(sorted({str(each["secret"]) for each in headers.values() if isinstance(each, dict)}))


def _entry(
    name: str, path: str, operation: str, method: Method, *, headers: dict[str, Json], notes: Sequence[str]
) -> list[str]:
    """Return the lines of one tool."""
    said: dict[str, Any] = {"document": path, "operation": operation, **({"headers": headers} if headers else {})}
    entry = {
        OPENAPI: said,
        "effect": "read" if method is Method.GET else "delete" if method is Method.DELETE else "write",
        "result_trust": "untrusted",
    }
    lines = [f"# {' '.join(note.split())}" for note in notes] + _dumped({name: entry}).splitlines()
    return [f"  {line}" for line in lines]


def _headers(document: dict[str, Json], api: str) -> dict[str, Json]:
    """Return the headers that the document's own security asks for, with secrets by name."""
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    asked = document.get("security")
    wanted = [name for each in asked if isinstance(each, dict) for name in each] if isinstance(asked, list) else []
    for name in wanted or (list(schemes) if isinstance(schemes, dict) else []):
        scheme = schemes.get(name) if isinstance(schemes, dict) else None
        if not isinstance(scheme, dict):
            continue
        if scheme.get("type") == "http" and str(scheme.get("scheme")).lower() in ("bearer", "basic"):
            return {"Authorization": {"secret": api, "prefix": f"{str(scheme['scheme']).capitalize()} "}}
        if scheme.get("type") in ("oauth2", "openIdConnect"):
            return {"Authorization": {"secret": api, "prefix": "Bearer "}}
        if scheme.get("type") == "apiKey" and scheme.get("in") == "header":
            return {str(scheme.get("name")): {"secret": api}}
    return {}


def _free(name: str, names: set[str]) -> str:
    number, found = 1, name
    while found in names:
        number += 1
        found = f"{name}_{number}"
    return found


def _plain(text: str) -> str:
    return _NO_NAME.sub("-", text.lower()).strip("-")


def _dumped(value: Any) -> str:
    yaml, text = YAML(), io.StringIO()
    yaml.width = 120
    yaml.dump(value, text)
    return text.getvalue().rstrip("\n")
