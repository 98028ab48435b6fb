"""Patterns of a tool's schema come from one organization and run in the gate of all: none of them may hold it up."""

from __future__ import annotations

import pytest

from aos.kernel.json_text import BadPattern, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("a*a*a*b", "a" * 10_000),
        ("[a-z]*[a-z]*[a-z]*[0-9]", "a" * 10_000),
        ("a?" * 30 + "a" * 30, "a" * 29),
        (".*.*.*=.*", "x" * 10_000),
        ("(?:a|a)" * 60 + "b", "a" * 60),
        ("a{0,99}a{0,99}a{0,99}b", "a" * 10_000),
    ],
)
def test_a_pattern_with_many_ways_to_match_takes_linear_time(pattern: str, text: str) -> None:
    assert not compile_pattern(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^[a-z]+-[0-9]+$", "ab-12", True),
        ("^[a-z]+-[0-9]+$", "ab-12\n", False),
        ("^[a-z]+-[0-9]+$", "ab-12\0", False),
        ("^[a-z]+-[0-9]+$", "ab-12\ud800", False),
        (r"^\d+[.]\d+$", "1.2", True),
        (r"^\d+[.]\d+$", "\u0661.\u0662", False),
        ("^.+ .+$", "é ü", True),
    ],
)
def test_such_a_pattern_means_what_it_means_elsewhere(pattern: str, text: str, matches: bool) -> None:
    assert compile_pattern(pattern)(text) is matches


def test_such_a_pattern_that_cannot_be_read_in_linear_time_is_refused() -> None:
    with pytest.raises(BadPattern):
        compile_pattern("a+b{0,5000}")
