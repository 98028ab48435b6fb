"""Operations of OpenAPI documents as tools: what is carried, what is told, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from aos.kernel.errors import InvalidManifest
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.openapi_tools import operation_ids, read_operation

ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
SERVERS = [{"url": "https://api.larkspur.example/v2/"}]


def document(operation: Any = None, *, method: str = "post", version: str = "3.0.3", **more: Any) -> Any:
    said = {"operationId": "op", **(operation or {})}
    return {
        "openapi": version,
        "info": {"title": "Orders"},
        "servers": SERVERS,
        "paths": {"/orders/{id}": {"parameters": [ID], method: said}},
        **more,
    }


def body(schema: Any, **more: Any) -> Any:
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, **more}}


def test_parameters_and_body_become_arguments_in_their_places() -> None:
    operation = {
        "summary": "Change an order",
        "parameters": [
            {"$ref": "#/components/parameters/Limit"},
            {"name": "If-Match", "in": "header", "schema": {"type": "string"}},
            {"name": "Accept", "in": "header", "required": True, "schema": {"type": "string"}},
        ],
        **body({"$ref": "#/components/schemas/Order"}, required=True),
    }
    components = {
        "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "format": "int32", "minimum": 0, "exclusiveMinimum": True}}},
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["due", "total", "number"],
                "properties": {
                    "number": {"type": "integer", "readOnly": True},
                    "due": {"type": "string", "format": "date", "nullable": True},
                    "total": {"$ref": "#/components/schemas/Money"},
                },
            },
            "Money": {"type": "string", "example": "12.30", "x-exact": True, "pattern": "^[0-9.]+$"},
        },
    }  # fmt: skip
    found = read_operation(document(operation, components=components), "op")
    assert found.http == {
        "method": "POST",
        "url": "https://api.larkspur.example/v2/orders/{id}",
        "query": ["limit"],
        "headers": {"If-Match": {"argument": "If-Match"}},
        "body": "json",
    }
    assert found.args == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "limit": {"type": "integer", "exclusiveMinimum": 0},
            "If-Match": {"type": "string"},
            "due": {"type": ["string", "null"], "format": "date"},
            "total": {"$ref": "#/$defs/Money"},
        },
        "required": ["id", "due", "total"],
        "additionalProperties": False,
        "$defs": {"Money": {"type": "string", "pattern": "^[0-9.]+$"}},
    }
    assert (found.description, found.notes) == ("Change an order", ())
    tool: Any = {"http": found.http, "args": found.args, "effect": "write"}
    assert parse_manifest({"aos": 1, "tools": {"orders.change": tool}}).tools[0].schema == found.args


@pytest.mark.parametrize(
    ("schema", "form", "arguments"),
    [
        ({"type": "array", "items": {"type": "string"}}, {"argument": "body"}, {"id", "body"}),
        ({"type": "object", "properties": {"id": {"type": "string"}}}, {"argument": "body"}, {"id", "body"}),
        ({"type": "object", "properties": {"a": {}}}, "json", {"id", "a"}),
        ({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"argument": "body"}, {"id", "body"}),
        ({"type": "object"}, {"argument": "body"}, {"id", "body"}),
    ],
)
def test_a_body_that_has_no_fields_of_its_own_is_one_argument(schema: Any, form: Any, arguments: set[str]) -> None:
    found: Any = read_operation(document(body(schema)), "op")
    assert (found.http["body"], set(found.args["properties"])) == (form, arguments)


def test_a_schema_that_names_itself_is_carried() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "a": {"type": "string"}}}
    found: Any = read_operation(
        document(body({"$ref": "#/components/schemas/Node"}), components={"schemas": {"Node": node}}), "op"
    )
    assert found.args["$defs"]["Node"]["properties"]["next"] == {"$ref": "#/$defs/Node"}


def test_what_the_operator_sets_is_no_argument() -> None:
    operation = {"parameters": [{"name": "X-Key", "in": "header", "required": True, "schema": {"type": "string"}}]}
    headers: Any = {"X-Key": {"secret": "orders"}}
    found: Any = read_operation(
        document(operation, method="get"), "op", headers=headers, fixed=("id",), server="https://o.example"
    )
    assert (found.http["headers"], found.http["url"]) == (headers, "https://o.example/orders/{id}")
    assert (found.args["properties"], found.args["required"]) == ({}, [])


def test_what_is_not_needed_and_cannot_be_carried_is_told() -> None:
    parameters = [
        {"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
        {"name": "sid", "in": "cookie", "schema": {"type": "string"}},
        {"name": "n", "in": "query", "schema": {"type": "integer", "multipleOf": 5}},
    ]
    found: Any = read_operation(document({"parameters": parameters}, method="get"), "op")
    assert set(found.args["properties"]) == {"id", "n"}
    assert [("filter" in each, "sid" in each, "multipleOf" in each).index(True) for each in found.notes] == [0, 1, 2]


@pytest.mark.parametrize(
    ("found", "at"),
    [
        ({"openapi": "2.0"}, "/openapi"),
        ("text", "/openapi"),
        (document({"operationId": "other"}), "/paths"),
        (document(servers=[{"url": "/v1"}]), "/servers"),
        (document(servers=[{"url": "https://{region}.x.example"}]), "/servers"),
        (document({"parameters": [{"name": "f", "in": "query", "required": True, "schema": {"type": "object"}}]}), "/paths/~1orders~1{id}/post/parameters/0"),
        (document({"parameters": [{"$ref": "https://x.example/p.json"}]}), "/paths/~1orders~1{id}/post/parameters/0/$ref"),
        (document({"parameters": [{"$ref": "#/components/nothing"}]}), "/components/nothing"),
        (document({"requestBody": {"required": True, "content": {"text/xml": {}}}}), "/paths/~1orders~1{id}/post/requestBody/content"),
        (document(body({"allOf": [{"type": "string"}, {"minLength": 1}]})), "/paths/~1orders~1{id}/post/requestBody/content/application~1json/schema/allOf/0"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_refused_with_its_place_in_the_document(found: Any, at: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        read_operation(found, "op")
    assert [each.pointer for each in caught.value.errors] == [at]


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"$ref": "#/components/schemas/A"}},
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}},
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}, {"properties": {}}]}},
        {"A": {"type": "object", "properties": {str(n): {} for n in range(6_000)}}},
    ],
)
def test_a_document_cannot_make_reading_endless(schemas: Any) -> None:
    with pytest.raises(InvalidManifest):
        read_operation(
            document(
                body({"type": "array", "items": {"$ref": "#/components/schemas/A"}}), components={"schemas": schemas}
            ),
            "op",
        )


def test_operations_are_listed_with_their_methods() -> None:
    assert operation_ids(document(method="delete", version="3.1.0")) == [("op", "DELETE")]
