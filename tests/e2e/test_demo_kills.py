"""Whatever is killed while a company closes its month: the run completes, nothing is paid twice or lost, the sums hold.

A call that failed once, was then performed, and whose worker died is performed once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo_agents import GO, PAID, TRIES, WAITING
from tests.e2e.demo_rounds import Rounds, rounds, until

CI_ROUNDS = ((0, ("worker", "postgres")), (1, ("host", "data-plane")))
LONG_SEEDS = range(50)


@pytest.fixture(scope="module")
def under_fire() -> Iterator[Rounds]:
    """One AOS for all rounds: each leaves it as the next finds it, with its processes started anew."""
    with rounds() as made:
        yield made


def manifest(folder: Path) -> dict[str, Any]:
    fixed = {"folder": str(folder)}
    money = {"amount": {"type": "string", "format": "money"}, "currency": {"type": "string"}}
    return {
        "aos": 1,
        "agents": {
            "cashier": {
                "type": "functional",
                "goal": "Pay once",
                "runtime": {"python": "tests.e2e.demo_agents:pays_after_a_failure"},
                "tools": ["till.pay", "till.wait"],
            }
        },
        "tools": {
            "till.pay": {
                "python": "tests.e2e.demo_agents:pay",
                "effect": "pay",
                "repeat": "keyed",
                "sinks": ["amount"],
                "price": {"per_call": "0.02 EUR"},
                "args": {"properties": money},
                "fixed": fixed,
            },
            "till.wait": {"python": "tests.e2e.demo_agents:wait", "effect": "read", "fixed": fixed},
        },
    }


def test_a_call_that_failed_once_then_was_performed_is_not_made_again_when_its_worker_dies(
    under_fire: Rounds, tmp_path: Path
) -> None:
    aos, made = under_fire.administrator, under_fire.made
    aos.post("/manifest", {"manifest": manifest(tmp_path)})
    run_id = aos.post("/runs", {"agent": "cashier"})["id"]
    until((tmp_path / WAITING).exists, "the agent has paid and waits")
    former = made.processes()["worker"]
    os.kill(former, signal.SIGKILL)
    (tmp_path / WAITING).unlink()
    until(lambda: made.serves_again("worker", former), "another worker serves")
    until((tmp_path / WAITING).exists, "the agent came to its wait again, in another worker")
    (tmp_path / GO).touch()
    until(lambda: aos.get(f"/runs/{run_id}")["state"] != "running", "the run has ended")
    run = aos.get(f"/runs/{run_id}")
    assert (run["state"], run["output"]) == ("succeeded", {"paid": "12.30"}), run["tasks"]
    tries, paid = ((tmp_path / name).read_text().splitlines() for name in (TRIES, PAID))
    assert len(tries) == 2
    assert len(set(tries)) == 1, "both tries came under one key"
    assert paid == [f"{tries[0]} 12.30EUR"]
    calls = [each for each in aos.items("/actions", run=run_id, order="created") if each["name"] == "till.pay"]
    assert [each["state"] for each in calls] == ["failed", "performed"]


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
