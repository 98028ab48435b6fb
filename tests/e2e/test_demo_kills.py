"""Whatever is killed while a company closes its month: the run completes, nothing is paid twice or lost, the sums hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.demo_rounds import Rounds, rounds

CI_ROUNDS = ((0, ("worker", "postgres")), (1, ("host", "data-plane")), (2, ("postgres", "host")))
LONG_SEEDS = range(50)


@pytest.fixture(scope="module")
def under_fire() -> Iterator[Rounds]:
    """One AOS for all rounds: each leaves it as the next finds it, with its processes started anew."""
    with rounds() as made:
        yield made


def close_and_check(under_fire: Rounds, seed: int, victims: tuple[str, ...] = ()) -> None:
    with under_fire.close_month(seed, victims) as going:
        assert going.problems() == [], f"seed {seed}, killed {going.killed}"
        assert "records" in under_fire.check_log(going.company)


@pytest.mark.parametrize(("seed", "victims"), CI_ROUNDS, ids=["-".join(victims) for _, victims in CI_ROUNDS])
def test_a_month_closes_once_whatever_is_killed(under_fire: Rounds, seed: int, victims: tuple[str, ...]) -> None:
    close_and_check(under_fire, seed, victims)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
def test_fifty_months_close_once_whatever_is_killed(under_fire: Rounds, seed: int) -> None:
    close_and_check(under_fire, seed)
