"""Canonical bytes are those of RFC 8785, and what has no exact form is refused."""

from __future__ import annotations

from enum import StrEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import InvalidRequest
from aos.kernel.ledger.canonical import DEPTH_MAX, INTEGER_MAX, canonical_bytes


class Colour(StrEnum):
    RED = "red"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.text(st.characters(max_codepoint=127), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=8), max_leaves=30
)


@given(values)
def test_canonical_bytes_equal_those_of_an_independent_rfc_8785_implementation(value: object) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_the_order_of_members_does_not_change_the_bytes() -> None:
    assert canonical_bytes({"b": 1, "a": 2, "ab": 3, "B": 4}) == b'{"B":4,"a":2,"ab":3,"b":1}'
    assert canonical_bytes({"ab": 3, "B": 4, "b": 1, "a": 2}) == b'{"B":4,"a":2,"ab":3,"b":1}'


def test_text_is_written_as_utf_8_with_the_shortest_escapes() -> None:
    assert canonical_bytes('€/\x7f\u2028\n\x1f"\\') == '"€/\x7f\u2028\\n\\u001f\\"\\\\"'.encode()


def test_an_enum_is_written_as_its_value() -> None:
    assert canonical_bytes([Colour.RED]) == b'["red"]'


def test_integers_up_to_2_to_the_53_are_exact() -> None:
    assert canonical_bytes([INTEGER_MAX, -INTEGER_MAX, True]) == b"[9007199254740991,-9007199254740991,true]"


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (1.5, ""),
        ({"a": [0, 1.0]}, "/a/1"),
        ({"n": INTEGER_MAX + 1}, "/n"),
        ({"n": -INTEGER_MAX - 1}, "/n"),
        ({"ключ": 1}, ""),
        ({1: 1}, ""),
        ({"a": b"bytes"}, "/a"),
        ({"a": {1, 2}}, "/a"),
    ],
)
def test_what_has_no_exact_form_is_refused_with_its_place(value: object, pointer: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        canonical_bytes(value)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        canonical_bytes({"a": "\ud800"})


def test_nesting_is_bounded() -> None:
    value: object = 1
    for _ in range(DEPTH_MAX):
        value = [value]
    assert canonical_bytes(value) == b"[" * DEPTH_MAX + b"1" + b"]" * DEPTH_MAX
    with pytest.raises(InvalidRequest):
        canonical_bytes([value])
