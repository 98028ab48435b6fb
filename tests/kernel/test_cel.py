"""Conditions and expressions: only a true BOOL is a yes, errors are failures, and no text or value can crash the process."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.cel import CelType, Holds, check_value, compile_condition, compile_expression, scope_of
from aos.kernel.errors import AosError, InvalidCondition, InvalidRequest, TooLarge
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, ARGUMENTS_LIST_MAX, CONDITION_LENGTH_MAX

NUMBERS = {"n": CelType.INT, "d": CelType.DYN, "s": CelType.STRING, "b": CelType.BOOL, "l": CelType.LIST_OF_STRING}


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        ("n > 1", {"n": 2}, Holds.YES),
        ("n > 1", {"n": 1}, Holds.NO),
        ("b", {"b": True}, Holds.YES),
        ("b", {"b": False}, Holds.NO),
        ("n / 0 == 1", {"n": 2}, Holds.FAILED),
        ("n + 1 > 0", {"n": 2**63 - 1}, Holds.FAILED),
        ("n > 1", {}, Holds.FAILED),
        ("n > 1", {"n": "2"}, Holds.FAILED),
        ("n > 1", {"n": 2.5}, Holds.FAILED),
        ("n > 1", {"n": 2**70}, Holds.FAILED),
        ("n > 1", {"n": None}, Holds.FAILED),
        ("b", {"b": "true"}, Holds.FAILED),
        ("b", {"b": 1}, Holds.FAILED),
        ("d.a.b == 1", {"d": {"a": {}}}, Holds.FAILED),
        ("d == true", {"d": "INVALID_ARGUMENT: divide by zero"}, Holds.NO),
        ("s == 'a'", {"s": "a\ud800"}, Holds.FAILED),
        ("n / 0 == 1 || true", {"n": 2}, Holds.YES),
        ("n / 0 == 1 && false", {"n": 2}, Holds.NO),
        ("l.exists(x, x == 'a')", {"l": ["b", "a"]}, Holds.YES),
        ("l.exists(x, x == 'a')", {"l": [1]}, Holds.FAILED),
        ("d.all(x, d.all(y, d.all(z, true)))", {"d": list(range(1000))}, Holds.FAILED),
        ("d == object", {"d": object()}, Holds.FAILED),
    ],
)
def test_only_a_true_bool_is_a_yes_and_every_error_is_a_failure(expression, values, expected):
    variables = {**NUMBERS, "object": CelType.DYN}
    assert compile_condition(expression, variables).holds(values) is expected
    shared = compile_condition(expression, variables).holds_with(scope_of(variables).bind(values))
    assert shared is expected


@pytest.mark.parametrize(
    "expression", ["n", "n + 1", "'yes'", "d", "d.flag", "[true]", "null", "timestamp('2026-01-01T00:00:00Z')"]
)
def test_a_condition_must_be_yes_or_no(expression):
    with pytest.raises(InvalidCondition, match="not yes or no"):
        compile_condition(expression, NUMBERS)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "  ",
        "n >",
        "n == 's'",
        "nope == 1",
        "f(n)",
        "n > 1 // only",
        "n @ 1",
        "(n > 1",
        "n > 1)",
        "'open",
        ".n > 1",
        "n ? ",
        "`n` > 1",
    ],
)
def test_text_that_does_not_compile_is_refused_with_one_line(expression):
    if expression == "n > 1 // only":
        compile_condition(expression, NUMBERS)
        return
    with pytest.raises(InvalidCondition) as caught:
        compile_condition(expression, NUMBERS)
    assert "\n" not in caught.value.detail


NESTING = [
    ("(", "b", ")"),
    ("[", "1", "]"),
    ("!", "b", ""),
    ("-", "1", ""),
    ("b ? b : ", "b", ""),
    ("{1: ", "1", "}"),
    ("l.all(x, ", "b", ")"),
]
CHAINS = [("", "b", " && b"), ("", "d", ".a"), ("", "d", "[0]"), ("", "1", "+1")]


@pytest.mark.parametrize(
    ("shape", "count"),
    [(shape, count) for shape in NESTING for count in (30, 33, 100, 10_000)]
    + [(shape, count) for shape in CHAINS for count in (900, 10_000)],
)
def test_nesting_that_would_end_the_process_is_refused(shape, count):
    left, middle, right = shape
    with pytest.raises(InvalidCondition) as caught:
        compile_condition(f"({left * count}{middle}{right * count}) == b", NUMBERS)
    assert "\n" not in caught.value.detail


def test_an_expression_is_bounded_in_length():
    with pytest.raises(InvalidCondition, match=str(CONDITION_LENGTH_MAX)):
        compile_condition("s == '" + "x" * CONDITION_LENGTH_MAX + "'", NUMBERS)


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [nested(ARGUMENTS_DEPTH_MAX), list(range(ARGUMENTS_LIST_MAX)), {"a": {"b": ["ä", 1.5, None]}}]
)
def test_a_value_within_the_limits_passes(value):
    check_value(value, "arguments")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (nested(ARGUMENTS_DEPTH_MAX + 1), TooLarge),
        (nested(100_000), TooLarge),
        ({"a": list(range(ARGUMENTS_LIST_MAX + 1))}, TooLarge),
        (math.nan, InvalidRequest),
        ([math.inf], InvalidRequest),
        ("EUR\0", InvalidRequest),
        ("é\0", InvalidRequest),
        ({"a\0b": 1}, InvalidRequest),
        ("\ud800", InvalidRequest),
    ],
)
def test_a_value_that_cel_must_not_see_is_refused(value, error):
    with pytest.raises(error):
        check_value(value, "arguments")


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        ("input.month", {"input": {"month": "2026-01"}}, "2026-01"),
        ("match.output.vendors", {"match": {"output": {"vendors": [{"id": 1}]}}}, [{"id": 1}]),
        ("item", {"item": {"a": [1, 2.5, None, True]}}, {"a": [1, 2.5, None, True]}),
        ("size(item) + 1", {"item": [1, 2]}, 3),
        ("item.filter(x, x > 1)", {"item": [1, 2, 3]}, [2, 3]),
        ("{'total': item[0], 'of': 'a' + 'b'}", {"item": [7]}, {"total": 7, "of": "ab"}),
        ("has(input.note) ? input.note : 'none'", {"input": {}}, "none"),
    ],
)
def test_a_template_expression_yields_plain_json(expression, values, expected):
    roots = {"input": CelType.DYN, "match": CelType.DYN, "item": CelType.DYN}
    compiled = compile_expression(expression, roots)
    assert compiled.evaluate(values) == expected
    assert compiled.names == frozenset(values)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("input.month", {"input": {}}),
        ("input.month", {}),
        ("1 / input", {"input": 0}),
        ("b'x'", {}),
        ("timestamp('2026-01-01T00:00:00Z')", {}),
        ("{1: 2}", {}),
        ("input", {"input": nested(200)}),
        ("input", {"input": "\0"}),
    ],
)
def test_an_expression_that_has_no_json_value_is_an_error_and_not_a_text(expression, values):
    with pytest.raises(AosError):
        compile_expression(expression, {"input": CelType.DYN}).evaluate(values)


def test_an_expression_may_name_only_what_is_declared():
    with pytest.raises(InvalidCondition, match="unknown name `output`"):
        compile_expression("output.x", {"input": CelType.DYN})


def test_an_expression_reads_only_what_it_names():
    compiled = compile_expression("input.a", {"input": CelType.DYN, "item": CelType.DYN})
    assert compiled.names == {"input"}
    assert compiled.evaluate({"input": {"a": 1}, "item": nested(10_000)}) == 1


@given(st.text(alphabet="ab1.()[]{}!&|=<>?:,'\"+-*/% ndsl", max_size=60))
def test_no_text_raises_anything_but_an_invalid_condition(text):
    try:
        condition = compile_condition(text, NUMBERS)
    except InvalidCondition:
        return
    assert condition.holds({"n": 1, "d": 1, "s": "", "b": True, "l": []}) in Holds
