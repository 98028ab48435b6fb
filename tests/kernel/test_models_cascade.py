"""Cascades: what a small model's answer must pass before it counts."""

from __future__ import annotations

import pytest

from aos.kernel.models.cascade import passes
from aos.kernel.models.values import CascadeCheck

EMPTY, JSON, FINISHED = CascadeCheck.NOT_EMPTY, CascadeCheck.JSON, CascadeCheck.FINISHED


@pytest.mark.parametrize(
    ("checks", "text", "stop_reason", "failed"),
    [
        ((), "", "length", ""),
        ((EMPTY,), " \n\t", "stop", "not_empty"),
        ((EMPTY,), "a", "stop", ""),
        ((EMPTY,), "", "tool_calls", ""),
        ((EMPTY,), "", "tool_use", ""),
        ((JSON,), '{"a": [1, 2.5, null]}', "stop", ""),
        ((JSON,), " 1 ", "end_turn", ""),
        ((JSON,), "", "tool_use", ""),
        ((JSON,), "", "stop", "json"),
        ((JSON,), '{"a": 1', "stop", "json"),
        ((JSON,), "{'a': 1}", "stop", "json"),
        ((JSON,), '```json\n{"a": 1}\n```', "stop", "json"),
        ((JSON,), "\ud800", "stop", "json"),
        ((JSON,), "[" * 100_000, "stop", "json"),
        ((FINISHED,), "a", "stop", ""),
        ((FINISHED,), "a", "end_turn", ""),
        ((FINISHED,), "a", "completed", ""),
        ((FINISHED,), "a", "stop_sequence", ""),
        ((FINISHED,), "a", "tool_calls", ""),
        ((FINISHED,), "a", "length", "finished"),
        ((FINISHED,), "a", "max_tokens", "finished"),
        ((FINISHED,), "a", "content_filter", "finished"),
        ((FINISHED,), "a", "refusal", "finished"),
        ((FINISHED,), "a", "", "finished"),
        ((EMPTY, JSON, FINISHED), "no", "length", "json"),
        ((FINISHED, JSON), "no", "length", "finished"),
    ],
)
def test_the_first_check_that_an_answer_fails_is_named(
    checks: tuple[CascadeCheck, ...], text: str, stop_reason: str, failed: str
) -> None:
    assert passes(checks, text, stop_reason) == failed
