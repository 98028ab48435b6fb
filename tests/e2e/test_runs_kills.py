"""Whatever is killed or stopped while runs go on: nothing is lost, nothing done twice, and work goes on within a lease.

Workers, hosts, planes and Postgres are the victims, and under Celery its broker too.
AOS_ROUNDS says how many rounds the long test makes. Its report is one JSON line (`-s` shows it).
"""

from __future__ import annotations

import os
from random import Random

import pytest

from tests.e2e.kill_rounds import under_fire

ROUNDS = int(os.environ.get("AOS_ROUNDS", "200"))
QUICK = ("worker", "postgres", "data-plane")


def test_runs_lose_nothing_and_do_nothing_twice_whatever_is_killed() -> None:
    with under_fire() as fire:
        with fire.at_work():
            for victim in QUICK:
                fire.round(Random(victim), victim=victim, stopped=False)
        fire.check()


@pytest.mark.long
@pytest.mark.parametrize("engine", ["postgres", "celery"])
def test_hundreds_of_kills_and_stops(engine: str) -> None:
    chance = Random(engine)
    with under_fire(engine) as fire:
        with fire.at_work():
            while len(fire.faults) < ROUNDS:
                fire.round(chance)
        report = fire.check()
        assert report["rounds"] == ROUNDS
        assert "records" in fire.made.aos("audit", "verify")
