"""Writes the reference pages of the manifest and of the command line, from the schema and the commands themselves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from aos.cli.failures import MEANINGS
from aos.kernel.manifest.schema import manifest_schema

Schema = dict[str, Any]


def manifest_reference() -> str:
    """Return the page on `aos.yaml`: every field, its form, whether it must be given, and what it says."""
    schema: Any = manifest_schema()
    lines = [
        "# The manifest: `aos.yaml`",
        "",
        f"{schema['description']}. One file, or several in a folder. This page is written from its JSON Schema,",
        "which every server gives at `/manifest.schema.json`.",
        "",
    ]
    for name, part in schema["properties"].items():
        lines += [f"## `{name}`", "", f"{part['description']}.", "", *_section(part, schema)]
    lines += ["## Forms", "", "| form | reads like | |", "| --- | --- | --- |"]
    for name, part in schema["$defs"].items():
        lines.append(f"| {_form_name(name)} | `{part['examples'][0]}` | {_cell(part['description'])} |")
    return "\n".join(lines).rstrip() + "\n"


def _section(part: Schema, root: Schema) -> list[str]:
    if "const" in part:
        return [f"Always `{part['const']}`; must be given.", ""]
    member = part.get("items") or part.get("additionalProperties")
    if isinstance(member, dict) and member:
        part = member
    rows = list(_rows(part, "", root))
    return ["| field | form | |", "| --- | --- | --- |", *rows, ""] if rows else []


def _rows(part: Schema, prefix: str, root: Schema) -> Iterator[str]:
    required = set(part.get("required", []))
    one_of = {name for choice in part.get("oneOf", []) for name in choice.get("required", [])}
    for name, field in part.get("properties", {}).items():
        must = " **Must be given.**" if name in required else ""
        must += " **One of these must be given.**" if name in one_of else ""
        default = f" Default: `{json.dumps(field['default'])}`." if field.get("default") not in (None, "") else ""
        said = f"{field['description'].rstrip('.')}." if field.get("description") else ""
        yield f"| `{prefix}{name}` | {_form(field)} | {_cell(said + default + must)} |"
        inner = _inner(field)
        if inner is not None:
            yield from _rows(inner[1], f"{prefix}{name}{inner[0]}.", root)


def _inner(field: Schema) -> tuple[str, Schema] | None:
    """Return the object within a field that has fields of its own, and how its place is written."""
    if field.get("properties"):
        return "", field
    items = field.get("items")
    if isinstance(items, dict) and items.get("properties"):
        return "[]", items
    if isinstance(items, dict):
        for choice in items.get("anyOf", []):
            if choice.get("properties"):
                return "[]", choice
    values = field.get("additionalProperties")
    if isinstance(values, dict) and values.get("properties"):
        return ".NAME", values
    return None


def _form(field: Schema) -> str:
    if "$ref" in field:
        return _form_name(field["$ref"].removeprefix("#/$defs/"))
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_form(choice) for choice in field["anyOf"]))
    kind = field.get("type", "any value")
    if kind == "array":
        return f"list of {_form(field['items'])}"
    if kind == "string" and "examples" in field:
        return f"like `{_cell(str(field['examples'][0]))}`"
    words = {"string": field.get("format", "text"), "boolean": "true or false"}
    return str(words.get(kind, kind))


def _form_name(name: str) -> str:
    return name.replace("_", " ")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def cli_reference(app: typer.Typer) -> str:
    """Return the page on the command line: every command with its arguments and options, and the exit statuses."""
    root = typer.main.get_command(app)
    lines = ["# The command line: `aos`", "", "Global options may stand anywhere on the line.", "", *_options(root)]
    lines += ["## Exit status", "", "| status | means |", "| --- | --- |"]
    lines += [f"| {status.value} | {_cell(meaning)} |" for status, meaning in MEANINGS.items()]
    lines += [
        "",
        "Errors go to standard error as `title: detail`; with `--json`, standard output is JSON or empty.",
        "",
    ]
    lines += ["## Commands", ""]
    for name, command in _commands(root, "aos"):
        lines += [
            f"### `{name}`",
            "",
            inspect.cleandoc(command.help or "").replace("\n\n", "\n"),
            "",
            *_options(command),
        ]
    return "\n".join(lines).rstrip() + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, TyperCommand]]:
    """Yield every command that does something, with its whole name; a collection's second name is left out."""
    if isinstance(command, TyperGroup):
        for key, inner in command.commands.items():
            if not inner.hidden:
                yield from _commands(inner, f"{name} {key}")
    elif isinstance(command, TyperCommand):
        yield (
            " ".join([name, *(_argument(each) for each in command.params if isinstance(each, TyperArgument))]),
            command,
        )


def _argument(argument: TyperArgument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _options(command: Any) -> list[str]:
    rows: list[str] = []
    for each in command.params:
        if isinstance(each, TyperOption) and each.name != "help":
            names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
            rows.append(f"| {names} | {_cell(each.help or '')} |")
        elif isinstance(each, TyperArgument) and each.help:
            rows.append(f"| `{_argument(each).strip('[]')}` | {_cell(each.help)} |")
    return ["| | |", "| --- | --- |", *rows, ""] if rows else []
