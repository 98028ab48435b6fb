"""What an agent asks a person (`ask:NAME`): its words, the shape of the answer where it gives one, and the answer's fields. Pure.

A question is whatever the agent's framework stopped with. Its words are looked for where frameworks put them; what has none
is read whole. A schema is only believed if AOS can check by it: an answer that does not fit is refused before it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aos.kernel.errors import FieldError, InvalidRequest
from aos.kernel.json import Json, canonical_json
from aos.kernel.schema import check, check_schema, pointer

CHOICES_MAX: Final = 50
FIELDS_MAX: Final = 20
_WORDS: Final = ("question", "message", "prompt", "description", "text", "title")
_SCHEMAS: Final = ("schema", "response_schema", "requestedSchema")


class Form(StrEnum):
    """How one field of an answer is given."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    JSON = "json"
    ANY = "any"
    """A text, or JSON where the person says so."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `name` is empty where the answer is this one value; `choices` are the values as JSON texts."""

    name: str
    form: Form
    title: str = ""
    hint: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    step: str = "any"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; `schema` is None where the answer may be anything."""

    text: str
    schema: Json = None
    tool: str = ""
    """The tool of the agent's own that it wants to call, where that is the question."""

    def fields(self) -> tuple[Field, ...]:
        """Return the fields in which the answer is given, at least one."""
        schema = self.schema
        if not isinstance(schema, dict):
            return (Field("", Form.ANY),)
        properties = schema.get("properties")
        if schema.get("type") != "object" or not isinstance(properties, dict) or not 0 < len(properties) <= FIELDS_MAX:
            return (_field("", schema, required=True),)
        wanted = schema.get("required")
        needed = wanted if isinstance(wanted, list) else []
        return tuple(_field(name, each, required=name in needed) for name, each in properties.items())

    def answer(self, given: Mapping[str, str], *, as_json: bool) -> Json:
        """Return the value that a person gave by the fields' names, None for none; raise InvalidRequest for what is no value.

        Without a schema the one field is a text, or JSON where `as_json` says so.
        """
        found: dict[str, Json] = {}
        for field in self.fields():
            text = given.get(field.name, "").replace("\r\n", "\n")
            if text.strip():
                found[field.name] = _read(field, text, as_json=as_json)
        return found.get("", found or None)

    def check_answer(self, value: Json) -> None:
        """Raise InvalidRequest for a value that does not fit the schema."""
        problems = check(value, self.schema) if self.schema is not None else []
        if problems:
            told = "; ".join(
                f"`{each.pointer}` {each.detail}" if each.pointer else each.detail for each in problems[:5]
            )
            raise InvalidRequest(
                f"the answer is not of the form that is asked for: {told}",
                errors=[FieldError(f"/value{each.pointer}", each.detail) for each in problems],
            )


def read_question(name: str, arguments: Json) -> Question:
    """Return what an act `ask:NAME` asks, by its arguments."""
    given = arguments if isinstance(arguments, dict) else {}
    asked = given.get("question")
    inner = asked if isinstance(asked, dict) else {}
    schema = next((part[key] for part in (given, inner) for key in _SCHEMAS if _is_schema(part.get(key))), None)
    tool = given.get("tool")
    if isinstance(tool, str) and tool:
        told = given.get("description")
        text = told if isinstance(told, str) and told.strip() else f"May I call {tool}?"
        return Question(text.strip(), schema, tool)
    text = _words(asked) or _words(given) or (_plain(asked if asked is not None else given) if given else name)
    return Question(text.strip(), schema)


def _is_schema(value: Json) -> bool:
    return isinstance(value, dict) and bool(value) and not check_schema(value)


def _words(value: Json) -> str:
    if isinstance(value, str):
        return value
    found = value if isinstance(value, dict) else {}
    return next((text for key in _WORDS if isinstance(text := found.get(key), str) and text.strip()), "")


def _plain(value: Json) -> str:
    return canonical_json(value).decode("utf-8", "replace")


def _field(name: str, schema: Json, *, required: bool) -> Field:
    said = schema if isinstance(schema, dict) else {}
    title, hint = (str(said.get(key, "")) for key in ("title", "description"))
    options = said.get("enum")
    if isinstance(options, list) and 0 < len(options) <= CHOICES_MAX:
        return Field(name, Form.CHOICE, title, hint, required, tuple(_plain(each) for each in options))
    match said.get("type"):
        case "boolean":
            return Field(name, Form.CHOICE, title, hint, required, ("true", "false"))
        case "integer":
            return Field(name, Form.NUMBER, title, hint, required, step="1")
        case "number":
            return Field(name, Form.NUMBER, title, hint, required)
        case "string":
            return Field(name, Form.TEXT, title, hint, required)
        case _:
            return Field(name, Form.JSON, title, hint, required)


def _read(field: Field, text: str, *, as_json: bool) -> Json:
    if field.form is Form.TEXT or (field.form is Form.ANY and not as_json):
        return text.strip()
    try:
        value: Json = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        at = pointer("", field.name) if field.name else ""
        wanted = "a number" if field.form is Form.NUMBER else "JSON"
        detail = f"`{text[:60]}` is not {wanted}"
        raise InvalidRequest(f"{detail}: go back and mend it", errors=[FieldError(at, detail)]) from error
    return value


def _no_constant(name: str) -> Json:
    raise ValueError(f"`{name}` is no number of JSON")
