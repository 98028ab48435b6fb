"""How a decoder's complaint is told, for each kind of complaint that the decoder has."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import InvalidRequest
from aos.kernel.ledger.proof import parse_entry_line, parse_header_line, parse_proof
from aos.kernel.ledger.record import parse_record
from aos.kernel.misfits import misfit_text


class Colour(StrEnum):
    """One value."""

    RED = "red"


class Inner(msgspec.Struct):
    """What stands in a list."""

    n: int


class Form(msgspec.Struct, forbid_unknown_fields=True):
    """Every kind of field."""

    x: int
    few: Annotated[str, msgspec.Meta(max_length=3)] = ""
    shaped: Annotated[str, msgspec.Meta(pattern="^a$")] = "a"
    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    items: list[Inner] = msgspec.field(default_factory=list)
    by_name: dict[str, int] = msgspec.field(default_factory=dict)
    by_number: dict[int, int] = msgspec.field(default_factory=dict)
    id: UUID | None = None
    colour: Colour = Colour.RED


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"x": "1"}', "`/x` must be an integer, not a text"),
        (b'{"x": 1, "few": "abcd"}', "`/few` must be a text of length <= 3"),
        (b'{"x": 1, "shaped": "b"}', "`/shaped` must be a text of the form `^a$`"),
        (b'{"x": 1, "count": -1}', "`/count` must be an integer >= 0"),
        (b'{"x": 1, "items": [{"n": 1}, {"n": true}]}', "`/items/1/n` must be an integer, not true or false"),
        (b'{"x": 1, "items": [{}]}', "`/items/0/n` is missing"),
        (b'{"x": 1, "by_name": {"k": []}}', "a value in `/by_name` must be an integer, not a list"),
        (b'{"x": 1, "by_number": {"k": 1}}', "a name in `/by_number` must be an integer, not a text"),
        (b'{"x": 1, "id": "q"}', "`/id` must be a UUID"),
        (b'{"x": 1, "id": 7}', "`/id` must be a UUID or null, not an integer"),
        (b'{"x": 1, "colour": "blue"}', "`/colour` cannot be `blue`"),
        (b'{"x": 1e400}', "`/x` is a number out of range"),
        (b"{}", "`/x` is missing"),
        (b'{"x": 1, "q": 1}', "`/q` is not known here"),
        (b"[]", "it must be an object, not a list"),
        (b'{"x"', "it ends too early"),
        (b"nothing", "invalid character at byte 4"),
        (b'{"x": 1}}', "trailing characters at byte 9"),
        (b'{"x": 1, "few": "\xff"}', "byte 0 is not UTF-8"),
    ],
)
def test_a_complaint_says_where_and_what(data: bytes, told: str) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as raised:
        msgspec.json.decode(data, type=Form)
    assert misfit_text(raised.value) == told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*Form.__struct_fields__, "n", "q"]), inner, max_size=4)
    ),
)


@given(JSON)
def test_no_complaint_keeps_the_decoders_words(value: Any) -> None:
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=Form)
    except msgspec.DecodeError as error:
        told = misfit_text(error)
        assert not any(raw in told for raw in ("Expected", "Object", "Invalid", "`$", " - at ")), told
        assert told[0] in "`ai", told


@pytest.mark.parametrize("read", [parse_proof, parse_header_line, parse_record, lambda data: parse_entry_line(data, 3)])
@pytest.mark.parametrize("data", [b'{"i": "x", "leaf_index": [], "kind": 3, "key": 1}', b"{", b"\xff", b"[]"])
def test_what_does_not_read_as_part_of_a_log_says_so_in_plain_words(read: Any, data: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(data)
    assert not any(raw in raised.value.detail for raw in ("Expected", "Object", "$", "codec", "Input data"))
