"""Values are held against JSON Schema as the specification says, checked against an independent implementation."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.json_text import BadPattern, compile_pattern
from aos.kernel.manifest.schema import manifest_schema
from aos.kernel.schema import ERRORS_MAX, check, check_schema

PAYMENT: dict[str, Any] = {
    "type": "object",
    "required": ["iban", "amount"],
    "additionalProperties": False,
    "properties": {
        "iban": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{2}[A-Z0-9]{4,30}$"},
        "amount": {"type": "string", "format": "money", "maximum": "5000"},
        "currency": {"enum": ["EUR", "USD"]},
        "days": {"type": "integer", "minimum": 0, "exclusiveMaximum": 90},
        "note": {"type": ["string", "null"], "maxLength": 5},
        "lines": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["sku"]}},
        "urgent": {"type": "boolean"},
        "due": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "ref": {"type": "string", "format": "uuid"},
        "share": {"type": "number", "exclusiveMinimum": 0},
    },
}
GOOD: dict[str, Any] = {"iban": "DE89370400440532013000", "amount": "12.30"}


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("iban", 12, "must be a string, not `12`"),
        ("iban", "DE89370400440532013000\n", "does not match the pattern"),
        ("iban", "DE٨٩370400440532013000", "does not match the pattern"),
        ("amount", 12.3, "must be a string, not `12.3`"),
        ("amount", "-1.00", "must not be negative"),
        ("amount", "1.0000000001", "at most nine places"),
        ("amount", "1e3", "must be an amount like"),
        ("amount", "12.30\n", "must be an amount like"),
        ("amount", "١٢", "must be an amount like"),
        ("amount", "5000.000000001", "must be at most 5000"),
        ("amount", "9999999999999", "must be at most 9200000000"),
        ("currency", "EURO", "did you mean `EUR`?"),
        ("currency", None, "must be one of `EUR`, `USD`"),
        ("days", True, "must be an integer, not `true`"),
        ("days", 1.0, "must be an integer, not `1.0`"),
        ("days", -1, "must be at least 0"),
        ("days", 90, "must be less than 90"),
        ("note", "too long", "at most 5 characters"),
        ("lines", [], "at least 1 items"),
        ("lines", {}, "must be a list"),
        ("urgent", "yes", "must be true or false"),
        ("due", "2026-02-30", "a date like"),
        ("mail", "maria at larkspur", "an e-mail address"),
        ("ref", "123", "a UUID"),
        ("share", 0, "must be more than 0"),
        ("share", float("nan"), "a finite number"),
        ("ibna", "x", "unknown field `ibna`; did you mean `iban`?"),
    ],
)
def test_a_wrong_argument_is_named_with_its_pointer(field: str, value: Any, detail: str) -> None:
    errors = check({**GOOD, field: value}, PAYMENT)
    assert [error.pointer for error in errors] == [f"/{field}"]
    assert detail in errors[0].detail


def test_a_missing_argument_points_at_the_object_that_lacks_it() -> None:
    assert [(e.pointer, e.detail) for e in check({"amount": "1", "lines": [{}]}, PAYMENT)] == [
        ("", "`iban` is missing"),
        ("/lines/0", "`sku` is missing"),
    ]


def test_a_pointer_begins_where_the_value_stands_and_escapes_names() -> None:
    schema: Any = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert check({"a/b~c": "x"}, schema, "/args")[0].pointer == "/args/a~1b~0c"


def test_money_may_be_negative_only_where_the_schema_gives_a_minimum() -> None:
    refund: Any = {"type": "string", "format": "money", "minimum": -100}
    assert check("-99.999999999", refund) == []
    assert "at least -100" in check("-100.01", refund)[0].detail


def test_the_number_of_errors_is_bounded() -> None:
    assert len(check([1] * 5_000, {"type": "array", "items": {"type": "string"}})) == ERRORS_MAX


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "strng"}, "/type"),
        ({"type": "object", "propertis": {}}, "/propertis"),
        ({"properties": {"a": {"multipleOf": 2}}}, "/properties/a/multipleOf"),
        ({"type": "string", "format": "ipv4"}, "/format"),
        ({"type": "number", "format": "money"}, ""),
        ({"type": "string", "pattern": "(a+)+$"}, "/pattern"),
        ({"type": "string", "pattern": "(a"}, "/pattern"),
        ({"type": "string", "pattern": "(?=a)b"}, "/pattern"),
        ({"type": "string", "minLength": -1}, "/minLength"),
        ({"type": "integer", "minimum": "1"}, "/minimum"),
        ({"enum": []}, "/enum"),
        ({"$ref": "#/$defs/x"}, "/$ref"),
        ({"$ref": "https://elsewhere.example/schema", "$defs": {}}, "/$ref"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, ""),
        ({"items": 3}, "/items"),
        ("string", ""),
    ],
)
def test_a_schema_that_says_what_nobody_keeps_is_refused(schema: Any, pointer: str) -> None:
    assert check_schema(schema)[0].pointer == pointer


def test_a_definition_that_needs_itself_without_end_is_refused() -> None:
    endless: Any = {"$defs": {"a": {"oneOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}
    assert [error.pointer for error in check_schema(endless)] == ["/$defs/a", "/$defs/b"]


def test_a_schema_that_nests_too_deep_is_refused() -> None:
    schema: dict = {}
    for _ in range(5_000):
        schema = {"items": schema}
    assert "nests at most" in check_schema(schema)[0].detail


def test_a_recursive_schema_ends_with_its_value() -> None:
    tree: Any = {
        "$defs": {"t": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}}
    }
    schema: Any = {**tree, "type": "object", "properties": {"top": {"$ref": "#/$defs/t"}}}
    assert check_schema(schema) == []
    assert check({"top": {"kids": [{"kids": [{"kids": 3}]}]}}, schema)[0].pointer == "/top/kids/0/kids/0/kids"


@pytest.mark.parametrize(
    "pattern", [r"(a|b)*", r"(a?a?)*", r"((a+))+", r"(a+){5}", r"(\Ba+)*", r"(a)\1", r"([a-z]+,?)*"]
)
def test_a_pattern_that_could_explode_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"^[a-z]+([.][a-z0-9_]+)*$", r"^(\w+\.)*\w+$", r"(?:ab)+", r"^\d+(\.\d+)?$"])
def test_a_pattern_whose_repetitions_are_separated_is_read(pattern: str) -> None:
    assert not compile_pattern(pattern)("-" * 9_000)


def test_the_manifests_own_schema_is_one_that_we_and_others_read() -> None:
    assert check_schema(manifest_schema()) == []
    schema: Any = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)


# --- against an independent implementation

leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "abc"])
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner))
names = st.sampled_from(["array", "boolean", "integer", "null", "object", "string"])
simple = st.fixed_dictionaries(
    {},
    optional={
        "type": names | st.lists(names, min_size=1, unique=True),
        "enum": st.lists(leaves, min_size=1, max_size=3),
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["a", "^a", "b$", "^[ab]*$"]),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from("ab"), unique=True),
        "maxProperties": st.integers(0, 2),
    },
)
schemas = st.recursive(
    simple | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("ab"), inner),
            "additionalProperties": inner,
            "oneOf": st.lists(inner, min_size=1, max_size=3),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "const": leaves,
        },
    ),
    max_leaves=6,
)


@given(schema=schemas, value=values)
def test_a_value_fits_exactly_when_an_independent_implementation_says_so(schema: Any, value: Any) -> None:
    assert check_schema(schema) == []
    assert (check(value, schema) == []) == jsonschema.Draft202012Validator(schema).is_valid(value)
