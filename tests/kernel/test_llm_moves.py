"""The next move of a model's loop, as a table: what its turns so far lead to, whatever runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos_sdk.checks import schema_problems
from aos_sdk.errors import AgentStopped
from aos_sdk.llm import Loop
from aos_sdk.llm.asks import fit, messages_of, parameters_of
from aos_sdk.llm.calls import Told, find_object, result_text
from aos_sdk.llm.moves import Act, Answer, Ask, Halt, Move, next_move
from aos_sdk.llm.own import CallTool, CarryOut, Delegate
from aos_sdk.llm.rules import TOOLS_MAX, Facts, Rules, read_loop, rules_of
from aos_sdk.llm.turns import Turn, take_answer, told_of
from aos_sdk.reach import AgentOffer, Reach, Style, ToolOffer
from aos_sdk.shapes import Completion

SCHEMA: Any = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
READ = ToolOffer("erp.read", "erp_read", "Reads", {"type": "object"}, "read")


WELL = Told("ok")


def rules(
    *,
    type: str = "functional",
    agents: tuple[str, ...] = (),
    tools: tuple[ToolOffer, ...] = (READ,),
    style: Style = Style.TOOLS,
    **loop: Any,
) -> Rules:
    offers = tuple(AgentOffer(name, "functional", f"does {name}") for name in agents)
    return rules_of(Loop(**loop), Reach(type, tools, offers, style=style), Facts("finance", "Pay", (), "go"))


def said(text: str = "", *calls: tuple[str, Any], reason: str = "stop", tokens: int = 10) -> Completion:
    made = [
        {"id": f"c{n}", "function": {"name": name, "arguments": value if isinstance(value, str) else json.dumps(value)}}
        for n, (name, value) in enumerate(calls)
    ]
    return Completion(text, made, "tool_calls" if calls else reason, {}, "m", (tokens, 0))


def after(rules: Rules, *answers: Completion, told: Told = WELL) -> tuple[list[Turn], Move]:
    """Return the turns that answers make, every job of theirs being told the same, and the move after the last."""
    turns: list[Turn] = []
    for answer in answers:
        assert isinstance(next_move(rules, turns), Ask)
        turn = take_answer(rules, turns, answer)
        turns.append(turn)
        if turn.wanted:
            move = next_move(rules, turns)
            assert move == Act(turn)
            turns[-1] = replace(turn, told=told_of(turn, {at: told for at, _ in turn.jobs}))
    return turns, next_move(rules, turns)


LOOK = said("", ("erp_read", {"n": 1}))
NO = Told("not done, denied: no", ok=False)


@pytest.mark.parametrize(
    ("given", "answers", "told", "expected"),
    [
        ({}, [said("done")], Told("ok"), Answer("done")),
        ({}, [said("", ("finish", {"answer": "done"}))], Told("ok"), Answer("done")),
        ({}, [LOOK, said("done")], Told("ok"), Answer("done")),
        ({"output": SCHEMA}, [said('{"n": 1}')], Told("ok"), Answer({"n": 1})),
        ({"output": SCHEMA}, [said("", ("finish", {"n": 1}))], Told("ok"), Answer({"n": 1})),
        ({"output": SCHEMA}, [said("one"), said('{"n": 1}')], Told("ok"), Answer({"n": 1})),
        ({"output": SCHEMA}, [said("one"), said("two")], Told("ok"), "invalid-output"),
        ({"output": SCHEMA}, [said("", ("finish", {"n": "x"})), said("", ("finish", {}))], Told("ok"), "invalid-output"),
        ({}, [LOOK] * 3, NO, "loop-detected"),
        ({}, [LOOK] * 5, Told("ok"), "loop-detected"),
        ({}, [said("", ("nothing", {}))] * 3, Told("ok"), "loop-detected"),
        ({}, [said("", ("nothing", {"n": n})) for n in range(4)], Told("ok"), "no-answer"),
        ({}, [said("")] * 4, Told("ok"), "no-answer"),
        ({}, [said("half of", reason="length")] * 4, Told("ok"), "no-answer"),
        ({"turns": 1}, [LOOK], Told("ok"), "turns-spent"),
        ({"turns": 2}, [LOOK, said("done")], Told("ok"), Answer("done")),
        ({"turns": 2}, [LOOK, LOOK], Told("ok"), "turns-spent"),
        ({"tokens": 25}, [LOOK, said("", ("erp_read", {"n": 2}))], Told("ok"), "tokens-spent"),
        ({"style_": Style.JSON}, [said('{"answer": "done"}')], Told("ok"), Answer("done")),
        ({"style_": Style.JSON}, [said('{"answer": {"n": 1}}')], Told("ok"), Answer('{"n": 1}')),
        ({"style_": Style.PLAIN}, [said('I do {"tool": "erp_read", "arguments": {}}'), said('{"answer": "x"}')], Told("ok"), Answer("x")),
        ({"style_": Style.PLAIN}, [said('{"tool": "erp_read", "arguments": [1]}')] * 3, Told("ok"), "loop-detected"),
        ({"style_": Style.JSON}, [said('{"think": 1}')] * 4, Told("ok"), "no-answer"),
    ],
)  # fmt: skip
def test_what_turns_lead_to(given: dict[str, Any], answers: list[Completion], told: Told, expected: Any) -> None:
    style = given.pop("style_", Style.TOOLS)
    _, move = after(rules(style=style, **given), *answers, told=told)
    assert (move.code if isinstance(move, Halt) else move) == expected


def test_finish_beside_a_call_that_did_not_go_well_does_not_count() -> None:
    both = said("", ("erp_read", {}), ("finish", {"answer": "paid"}))
    turns, move = after(rules(), both, told=NO)
    assert isinstance(move, Ask)
    assert "look at it first" in (turns[0].told or ())[1].text
    assert after(rules(), both)[1] == Answer("paid")


def test_the_same_call_twice_in_one_turn_is_made_once() -> None:
    turns, _ = after(rules(), said("", ("erp_read", {"n": 1}), ("erp_read", {"n": 1}), ("erp_read", {"n": 2})))
    assert [job for _, job in turns[0].jobs] == [CallTool("erp.read", {"n": 1}), CallTool("erp.read", {"n": 2})]


def test_more_calls_than_a_turn_may_make_are_told_so() -> None:
    turns, _ = after(rules(), said("", *(("erp_read", {"n": n}) for n in range(20))))
    assert len(turns[0].jobs) == 16
    assert "at most 16 calls" in (turns[0].told or ())[-1].text


def test_a_tool_of_the_organization_keeps_its_name_and_ours_gets_another() -> None:
    own = ToolOffer("report", "report", "", {"type": "object"}, "write")
    ruled = rules(tools=(own,))
    assert {each["function"]["name"] for each in parameters_of(ruled)["tools"]} == {"report", "aos_report", "finish"}
    turns, _ = after(ruled, said("", ("report", {}), ("aos_report", {"kind": "progress", "value": "x"})))
    assert [type(job).__name__ for _, job in turns[0].jobs] == ["CallTool", "Report"]


def test_who_may_hand_out_work_may_plan_only_as_an_executive() -> None:
    written = {"tasks": [{"id": "a", "agent": "one", "task": "do"}]}
    plan, hand = ("plan", written), ("delegate", {"agent": "one", "task": "do", "input": {"n": 1}})
    leads, _ = after(rules(type="executive", agents=("one",)), said("", plan, hand))
    assert [type(job) for _, job in leads[0].jobs] == [CarryOut, Delegate]
    assert leads[0].jobs[1][1] == Delegate("one", {"n": 1, "task": "do"})
    works, _ = after(rules(agents=("one",)), said("", plan, hand))
    assert [type(job) for _, job in works[0].jobs] == [Delegate]
    alone, _ = after(rules(type="executive"), said("", plan, hand))
    assert alone[0].jobs == []


def test_a_malformed_call_goes_back_to_the_model_as_json_that_every_dialect_takes() -> None:
    ruled = rules()
    turns, _ = after(ruled, said("", ("erp_read", "{oops"), ("erp_read", "[1]")))
    answer, *results = messages_of(ruled, turns)[2:]
    assert [call["function"]["arguments"] for call in answer["tool_calls"]] == ["{}", "{}"]
    assert [each["tool_call_id"] for each in results] == [call["id"] for call in answer["tool_calls"]]
    assert "{oops" in results[0]["content"]


def test_more_tools_than_a_model_can_be_offered_are_refused_with_the_way_out() -> None:
    many = tuple(ToolOffer(f"t.{n}", f"t_{n}", "", {}, "read") for n in range(TOOLS_MAX + 1))
    with pytest.raises(AgentStopped, match="name those it needs in `tools`"):
        rules(tools=many)
    assert set(rules_of(Loop(tools=("t.1*",)), Reach("functional", many[:20]), Facts("a")).tools) == {
        "t_1", *(f"t_{n}" for n in range(10, 20))
    }  # fmt: skip


def test_options_that_are_not_the_loops_own_are_left_to_others() -> None:
    assert read_loop({"turns": 3, "budget": "1 EUR", "tools": ["a"]}) == Loop(turns=3, tools=("a",))


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=30), st.integers(0, 20_000))
def test_history_is_cut_without_losing_the_last_turn_or_a_results_call(sizes: list[int], room: int) -> None:
    blocks: list[list[dict[str, Any]]] = [
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": f"c{n}", "function": {"name": "t", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": f"c{n}", "content": "x" * size},
        ]
        for n, size in enumerate(sizes)
    ]
    kept = fit(blocks, room)
    assert kept[-1] == blocks[-1]
    assert all(block[1]["tool_call_id"] == block[0]["tool_calls"][0]["id"] for block in kept)
    assert len(kept) == 1 or sum(len(message["content"] or "") for block in kept for message in block) <= room
    if sum(size + 10 for size in sizes) <= room:
        assert kept == blocks


@given(
    st.lists(
        st.sampled_from([LOOK, said("x"), said(""), said("", ("finish", {})), said("", ("nope", {}))]), max_size=12
    )
)
def test_the_same_turns_lead_to_the_same_move_and_a_loop_ends_within_its_turns(answers: list[Completion]) -> None:
    ruled = rules(turns=6)
    turns: list[Turn] = []
    for answer in answers:
        move = next_move(ruled, turns)
        assert next_move(ruled, list(turns)) == move
        if not isinstance(move, Ask):
            return
        turn = take_answer(ruled, turns, answer)
        turns.append(replace(turn, told=told_of(turn, {at: NO for at, _ in turn.jobs})) if turn.wanted else turn)
    assert len(turns) <= 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ('x {not} {"a": {"b": 2}} y', {"a": {"b": 2}}),
        ("none", None),
        ("[1]", None),
        ("{" * 50, None),
    ],
)
def test_the_first_object_in_a_text(text: str, expected: Any) -> None:
    assert find_object(text) == expected


def test_a_long_result_says_how_much_is_left_out() -> None:
    assert (
        result_text("x" * 30, chars_max=10) == f"{'x' * 10}\n[20 more characters are left out: ask for less at a time]"
    )


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        (1, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        (1.5, {"type": ["integer", "null"]}, False),
        ("ab", {"type": "string", "minLength": 3}, False),
        ("ab", {"pattern": "^a"}, True),
        ([1, 1], {"type": "array", "uniqueItems": True}, False),
        ([1, "x"], {"items": {"type": "integer"}}, False),
        ({"a": 1}, {"type": "object", "properties": {}, "additionalProperties": False}, False),
        ({"a": 1}, {"additionalProperties": {"type": "string"}}, False),
        ({"a": {"a": {}}}, {"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"a": {"$ref": "#/$defs/t"}}}}}, True),
        (3, {"enum": [1, 2]}, False),
        (1, {"const": True}, False),
        (5, {"exclusiveMaximum": 5}, False),
        (5, {"anyOf": [{"type": "string"}, {"minimum": 4}]}, True),
        (5, {"oneOf": [{"type": "integer"}, {"minimum": 4}]}, False),
        ({}, False, False),
        ({}, True, True),
    ],
)
def test_what_fits_a_schema(value: Any, schema: Any, fits: bool) -> None:
    assert (schema_problems(value, schema) == []) is fits
