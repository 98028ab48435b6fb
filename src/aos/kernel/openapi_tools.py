"""An operation of an OpenAPI document (3.0, 3.1) as an `http` tool: where its arguments go, and the JSON Schema of them.

What cannot be carried is refused with its pointer in the document where the operation needs it, and is told as a note where
it does not: an optional parameter of another form is left out, a constraint that AOS does not check is left to the server.
References are followed inside the document alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast
from urllib.parse import unquote

from aos.kernel.errors import FieldError, InvalidManifest
from aos.kernel.http_tools import Method
from aos.kernel.json import Json, depth
from aos.kernel.json_text import FORMATS, BadPattern, compile_pattern
from aos.kernel.schema_words import KEYWORDS, check_schema, pointer

NODES_MAX: Final = 5_000
"""How many schemas the arguments of one operation may consist of."""
DOCUMENT_DEPTH_MAX: Final = 128
BODY: Final = "body"
_STEPS_MAX: Final = 32
_REFERENCES: Final = 8
_DESCRIPTION_MAX: Final = 1_000
_IGNORED_HEADERS: Final = frozenset({"accept", "content-type", "authorization"})
"""Header parameters that a document cannot declare (OpenAPI 3.1, 4.8.12.1)."""
_SILENT: Final = frozenset({
    "$schema", "$id", "$comment", "default", "deprecated", "discriminator", "example", "examples", "externalDocs", "format",
    "nullable", "readOnly", "title", "writeOnly", "xml",
})  # fmt: skip
"""Keywords that say nothing of which values fit, or that are read apart."""
_KEPT: Final = frozenset(KEYWORDS) - _SILENT - {"$defs", "$ref"}
_BOUNDS: Final = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")

Object: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the fields of a tool, and what of it is not carried."""

    http: Mapping[str, Json]
    args: Json
    description: str
    notes: tuple[str, ...]


def operation_ids(document: Json) -> list[tuple[str, Method]]:
    """Return the operations that have an id, with their methods, in the document's order; raise InvalidManifest."""
    return [
        (str(each["operationId"]), method)
        for _, _, method, each in _operations(_checked(document))
        if "operationId" in each
    ]


def read_operation(
    document: Json,
    operation: str,
    *,
    server: str = "",
    headers: Mapping[str, Json] | None = None,
    fixed: Sequence[str] = (),
) -> Operation:
    """Return an operation as an `http` tool; `headers` are the operator's own, `fixed` the arguments that he sets.

    Raises InvalidManifest with pointers into the document where it is none, has no such operation or needs what cannot be
    carried.
    """
    whole = _checked(document)
    found = [each for each in _operations(whole) if each[3].get("operationId") == operation]
    if len(found) != 1:
        what = "no operation" if not found else f"{len(found)} operations"
        raise _refused("/paths", f"there is {what} with the operationId `{operation[:80]}`")
    ((at, path, method, said),) = found
    reading = _Reading(whole, dict(headers or {}))
    reading.parameters(at, said)
    reading.body(said, pointer(at, "requestBody"), method)
    return reading.tool(_server(whole, at, said, server) + path, method, said, fixed=fixed)


def _checked(document: Json) -> Object:
    if not isinstance(document, dict) or not re.match(r"3\.[01](\.|$)", str(document.get("openapi"))):
        raise _refused("/openapi", "the document is none of OpenAPI 3.0 or 3.1")
    if depth(document, at_most=DOCUMENT_DEPTH_MAX) > DOCUMENT_DEPTH_MAX:
        raise _refused("", f"the document nests over {DOCUMENT_DEPTH_MAX} deep")
    return document


def _operations(document: Object) -> Iterator[tuple[str, str, Method, Object]]:
    """Yield pointer, path, method and content of each operation that AOS can send."""
    paths = document.get("paths")
    for path, item in (paths if isinstance(paths, dict) else {}).items():
        if isinstance(item, dict):
            for method in Method:
                if isinstance(said := item.get(method.value.lower()), dict):
                    yield pointer(pointer("/paths", path), method.value.lower()), str(path), method, said


def _server(document: Object, at: str, said: Object, server: str) -> str:
    if server:
        return server.rstrip("/")
    item = _at(document, at.rpartition("/")[0])
    servers = said.get("servers") or item.get("servers") or document.get("servers") or []
    first = servers[0].get("url") if isinstance(servers, list) and servers and isinstance(servers[0], dict) else None
    if not isinstance(first, str) or not re.fullmatch(r"https?://[^/?#{}@ ]+(/[^?#{} ]*)?", first):
        raise _refused(
            "/servers", "the document names no whole address of its first server: say `server` beside `operation`"
        )
    return first.rstrip("/")


def _at(document: Object, reference: str) -> Any:
    """Return what stands at a JSON pointer (RFC 6901), None where nothing does."""
    found: Any = document
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict) and name in found:
            found = found[name]
        else:
            return None
    return found


@dataclass(slots=True)
class _Reading:
    """One reading of one operation; what it finds gathers here."""

    document: Object
    headers: dict[str, Json]
    properties: dict[str, Json] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    defs: dict[str, Json] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The names of `defs` by what they stand for in the document."""
    form: Json = "none"
    nodes: int = 0

    def tool(self, url: str, method: Method, said: Object, *, fixed: Sequence[str]) -> Operation:
        http: dict[str, Json] = {"method": method.value, "url": url}
        if self.query:
            http["query"] = list(self.query)
        if self.headers:
            http["headers"] = self.headers
        http["body"] = self.form
        args: dict[str, Json] = {
            "type": "object",
            "properties": {name: each for name, each in self.properties.items() if name not in fixed},
            "required": [name for name in self.required if name not in fixed],
            "additionalProperties": False,
        }
        if self.defs:
            args["$defs"] = self.defs
        if wrong := check_schema(args):
            raise InvalidManifest("the operation's arguments cannot be carried", errors=wrong)
        told = str(said.get("description") or said.get("summary") or "")
        return Operation(http, args, " ".join(told.split())[:_DESCRIPTION_MAX], tuple(self.notes))

    # --- parameters

    def parameters(self, at: str, said: Object) -> None:
        """Read the path's parameters and the operation's own, which stand for those of one name and place."""
        item = _at(self.document, at.rpartition("/")[0])
        every: dict[tuple[str, str], tuple[str, Object]] = {}
        for place, holder in ((at.rpartition("/")[0], item), (at, said)):
            listed = holder.get("parameters") or []
            for index, each in enumerate(listed if isinstance(listed, list) else []):
                here = pointer(pointer(place, "parameters"), index)
                parameter, here = self.resolve(each, here)
                every[str(parameter.get("in")), str(parameter.get("name"))] = here, parameter
        for (where, name), (here, parameter) in every.items():
            self._parameter(where, name, parameter, here)

    def _parameter(self, where: str, name: str, parameter: Object, at: str) -> None:
        own = {each.lower() for each in self.headers}
        if where == "header" and name.lower() in _IGNORED_HEADERS | own:
            return
        required = parameter.get("required") is True or where == "path"
        schema, place = parameter.get("schema"), pointer(at, "schema")
        why = self._unfit(where, name, parameter)
        if why and required:
            raise _refused(at, f"the parameter `{name[:80]}` {why}, and the operation needs it")
        if why:
            self.notes.append(f"the parameter `{name[:80]}` is left out: it {why} ({at})")
            return
        self._take(name, self.schema(schema if schema is not None else {}, place), at, required=required)
        if where == "query":
            self.query.append(name)
        if where == "header":
            self.headers[name] = {"argument": name}
        if "description" in parameter and isinstance(held := self.properties[name], dict) and "$ref" not in held:
            held.setdefault("description", str(parameter["description"])[:_DESCRIPTION_MAX])

    def _unfit(self, where: str, name: str, parameter: Object) -> str:
        """Return why a parameter has no place in a request of ours."""
        if where not in ("path", "query", "header"):
            return f"stands in `{where[:20]}`"
        if "schema" not in parameter and "content" in parameter:
            return "is written in a form of its own (`content`)"
        if not name or re.search(r"[{}\x00-\x1f]", name):
            return "has a name that cannot be written"
        usual = {"path": "simple", "query": "form", "header": "simple"}[where]
        schema, _ = self.resolve(parameter.get("schema") or {}, "")
        kind = schema.get("type")
        several = kind in ("array", "object") or (isinstance(kind, list) and {"array", "object"} & set(kind))
        if kind == "object" or (several and where != "query"):
            return "is no single value"
        if parameter.get("style", usual) != usual or (several and parameter.get("explode", True) is not True):
            return f"is written as `{str(parameter.get('style', usual))[:20]}`"
        return ""

    def _take(self, name: str, schema: Json, at: str, *, required: bool) -> None:
        if name in self.properties:
            raise _refused(at, f"two arguments are called `{name[:80]}`, in different places")
        self.properties[name] = schema
        if required:
            self.required.append(name)

    # --- the body

    def body(self, said: Object, at: str, method: Method) -> None:
        """Read the body: the fields of an object as arguments of their own, anything else as the argument `body`."""
        if "requestBody" not in said:
            return
        found, at = self.resolve(said["requestBody"], at)
        content = found.get("content") if isinstance(found.get("content"), dict) else {}
        kinds = [each for each in cast(dict[str, Any], content) if _is_json(each)]
        if not kinds or method is Method.GET:
            if found.get("required") is True:
                raise _refused(pointer(at, "content"), "the operation needs a body that is not JSON")
            self.notes.append(f"its body is left out: it is not JSON ({at})")
            return
        place = pointer(pointer(pointer(at, "content"), kinds[0]), "schema")
        schema = cast(dict[str, Any], content)[kinds[0]].get("schema", {})
        inner, here = self.resolve(schema, place)
        fields = inner.get("properties")
        flat = isinstance(fields, dict) and fields and not ({"oneOf", "anyOf", "allOf"} & set(inner))
        if flat and not set(cast(dict[str, Any], fields)) & {*self.properties}:
            needed = inner.get("required") or []
            for name, each in cast(dict[str, Any], fields).items():
                if not (isinstance(each, dict) and each.get("readOnly") is True):
                    taken = self.schema(each, pointer(pointer(here, "properties"), name))
                    self._take(name, taken, here, required=name in needed)
            self.form = "json"
            return
        self._take(BODY, self.schema(schema, place), at, required=found.get("required") is True)
        self.form = {"argument": BODY}

    # --- schemas

    def resolve(self, value: Any, at: str) -> tuple[Object, str]:
        """Return what references lead to, and where it stands; raise InvalidManifest where that is nothing here."""
        for _ in range(_REFERENCES):
            if not isinstance(value, dict):
                raise _refused(at, "an object is expected here")
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value, at
            if not reference.startswith("#/"):
                raise _refused(pointer(at, "$ref"), f"`{reference[:80]}` leads out of the document")
            at, value = reference[1:], _at(self.document, reference[1:])
        raise _refused(at, "references lead to references here, without an end")

    def schema(self, value: Any, at: str, nested: int = 0) -> Json:
        """Return a schema in the words that AOS reads."""
        self.nodes += 1
        if self.nodes > NODES_MAX or nested > _STEPS_MAX:
            raise _refused(at, f"the arguments consist of over {NODES_MAX} schemas, or nest over {_STEPS_MAX} deep")
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict):
            raise _refused(at, "a schema is expected here")
        if "$ref" in value:
            return self._reference(value, at, nested)
        if "allOf" in value:
            return self.schema(self._merged(value, at), at, nested + 1)
        found: dict[str, Json] = {}
        for word, each in value.items():
            if word in _KEPT:
                found[word] = self._word(word, each, pointer(at, word), nested)
            elif word not in _SILENT and not word.startswith("x-"):
                self.notes.append(f"`{word[:40]}` is left to the server ({at})")
        return self._bounded(found, value, at)

    def _reference(self, value: Object, at: str, nested: int) -> Json:
        inner, here = self.resolve(value, at)
        name = self.names.setdefault(here, "")
        if not name:
            plain = _NO_NAME.sub("_", here.removeprefix("/components/schemas/").strip("/"))[:100] or "part"
            name = self.names[here] = plain if plain not in self.defs else f"{plain}.{len(self.defs)}"
            self.defs[name] = True  # a schema that names itself finds it here
            self.defs[name] = self.schema(inner, here, nested + 1)
        return {"$ref": f"#/$defs/{name}"}

    def _word(self, word: str, each: Any, at: str, nested: int) -> Json:
        match word:
            case "properties" if isinstance(each, dict):
                return {
                    name: self.schema(inner, pointer(at, name), nested + 1)
                    for name, inner in each.items()
                    if not (isinstance(inner, dict) and inner.get("readOnly") is True)
                }
            case "items" | "additionalProperties" | "propertyNames":
                return self.schema(each, at, nested + 1)
            case "oneOf" | "anyOf" if isinstance(each, list):
                return [self.schema(inner, pointer(at, index), nested + 1) for index, inner in enumerate(each)]
            case "description":
                return str(each)[:_DESCRIPTION_MAX]
            case _:
                return cast(Json, each)

    def _bounded(self, found: dict[str, Json], value: Object, at: str) -> Json:
        """Bring what 3.0 writes in its own way into 3.1's, and leave out what AOS cannot check."""
        for flag, bound in _BOUNDS:
            if isinstance(found.get(flag), bool):
                exclusive = found.pop(flag)
                if exclusive and bound in found:
                    found[flag] = found.pop(bound)
        if value.get("nullable") is True and isinstance(found.get("type"), str):
            found["type"] = [found["type"], "null"]
            if isinstance(listed := found.get("enum"), list) and None not in listed:
                found["enum"] = [*listed, None]
        if value.get("format") in FORMATS and "string" in str(found.get("type")):
            found["format"] = value["format"]
        required = found.get("required")
        if isinstance(required, list) and isinstance(fields := found.get("properties"), dict):
            found["required"] = [name for name in required if name in fields]
        elif not isinstance(required, list):
            found.pop("required", None)
        if "pattern" in found:
            try:
                compile_pattern(str(found["pattern"]))
            except BadPattern:
                found.pop("pattern")
                self.notes.append(f"`pattern` is left to the server ({at})")
        return found

    def _merged(self, value: Object, at: str, nested: int = 0) -> Object:
        """Return one object schema for the parts of an `allOf`; raise InvalidManifest where they are none."""
        found: dict[str, Any] = {name: each for name, each in value.items() if name != "allOf"}
        properties: dict[str, Any] = dict(found.get("properties") or {})
        required: list[Any] = list(found.get("required") or [])
        parts = value["allOf"] if isinstance(value["allOf"], list) else []
        if len(parts) == 1 and not properties:
            inner, _ = self.resolve(parts[0], at)
            return {**inner, **found}
        for index, part in enumerate(parts):
            inner, here = self.resolve(part, pointer(pointer(at, "allOf"), index))
            if "allOf" in inner:
                if nested > _REFERENCES:
                    raise _refused(here, "an `allOf` leads to itself")
                inner = self._merged(inner, here, nested + 1)
            if not ({"properties", "required"} & set(inner)) or {"oneOf", "anyOf"} & set(inner):
                raise _refused(here, "an `allOf` is carried where each of its parts is an object with properties")
            properties |= inner.get("properties") or {}
            required += inner.get("required") or []
        return {**found, "type": "object", "properties": properties, "required": sorted(set(map(str, required)))}


def _is_json(kind: str) -> bool:
    plain = kind.partition(";")[0].strip().lower()
    return plain in ("application/json", "*/*") or plain.endswith("+json")


def _refused(at: str, detail: str) -> InvalidManifest:
    return InvalidManifest(detail, errors=[FieldError(at, detail)])
