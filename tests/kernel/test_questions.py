"""What an agent asks a person: its words, the fields of the answer, and the value that they come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.questions import Form, read_question

TRIP: Json = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "title": "City", "minLength": 1},
        "nights": {"type": "integer", "minimum": 1},
        "window": {"type": "boolean"},
        "class": {"enum": ["first", "second"]},
        "more": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city", "nights"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"question": "Which city?"}, "Which city?"),
        ({"question": {"question": "Which city?", "options": ["Bern"]}}, "Which city?"),
        ({"question": {"message": "  Go on?  "}}, "Go on?"),
        ({"question": {"a": 1}}, '{"a":1}'),
        ({"question": ["x"]}, '["x"]'),
        ({"next": ["pay"]}, '{"next":["pay"]}'),
        (
            {"tool": "pay", "arguments": {"amount": 3}, "description": "Tool execution pending"},
            "Tool execution pending",
        ),
        ({"tool": "pay", "arguments": {}, "description": ""}, "May I call pay?"),
        ({}, "interrupt"),
        (None, "interrupt"),
    ],
)
def test_the_words_of_a_question_are_found_wherever_a_framework_puts_them(arguments: Json, text: str) -> None:
    assert read_question("interrupt", arguments).text == text


@pytest.mark.parametrize("place", ["schema", "response_schema", "requestedSchema"])
def test_a_schema_makes_a_typed_field_of_each_property(place: str) -> None:
    asked = read_question("interrupt", {"question": {"message": "Where to?", place: TRIP}})
    fields = {field.name: (field.form, field.required) for field in asked.fields()}
    assert fields == {
        "city": (Form.TEXT, True),
        "nights": (Form.NUMBER, True),
        "window": (Form.CHOICE, False),
        "class": (Form.CHOICE, False),
        "more": (Form.JSON, False),
    }
    said = {"city": " Bern ", "nights": "2", "window": "true", "class": '"second"', "more": '["quiet"]'}
    value = asked.answer(said, as_json=False)
    assert value == {"city": "Bern", "nights": 2, "window": True, "class": "second", "more": ["quiet"]}
    asked.check_answer(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [({"city": "Bern"}, "nights"), ({"city": "Bern", "nights": 0}, "/nights"), ("Bern", "object"), ({"city": "", "nights": 1}, "/city")],
)  # fmt: skip
def test_an_answer_of_another_form_is_refused_with_its_place(value: Json, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told) as refused:
        read_question("interrupt", {"question": {"schema": TRIP}}).check_answer(value)
    assert all(each.pointer.startswith("/value") for each in refused.value.errors)


def test_without_a_schema_an_answer_is_a_text_or_json_where_it_is_said_so() -> None:
    asked = read_question("interrupt", {"question": "How many?"})
    assert [field.form for field in asked.fields()] == [Form.ANY]
    assert asked.answer({"": "12"}, as_json=False) == "12"
    assert asked.answer({"": "12"}, as_json=True) == 12
    assert asked.answer({"": " \n"}, as_json=True) is None
    asked.check_answer({"any": "thing"})
    with pytest.raises(InvalidRequest, match="is not JSON"):
        asked.answer({"": "{"}, as_json=True)


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"unknown-word": 1}, {}, [], "x"])
def test_a_schema_that_aos_cannot_check_by_is_left_aside(schema: Any) -> None:
    assert read_question("interrupt", {"question": {"message": "?", "schema": schema}}).schema is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))  # fmt: skip
def test_whatever_is_asked_has_words_and_at_least_one_field(arguments: Any) -> None:
    asked = read_question("interrupt", {"question": arguments})
    assert asked.fields()
    assert isinstance(asked.text, str)
