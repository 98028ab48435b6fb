"""Rounds of the example's month-end in which something is killed with `kill -9`: how they are run and what must hold after.

A round draws from its seed alone: which victims, and after how many payments each dies. The moment within a payment is the
machine's own.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aos.drivers.embedded_postgres.processes import pids
from examples.month_end import bank
from examples.month_end.demo_answers import Approver
from examples.month_end.demo_aos import LINK, ROOT, Aos, Machine
from examples.month_end.demo_people import Company, apply_manifest, found_company
from examples.month_end.demo_results import find_cost_problems, find_problems
from examples.month_end.demo_run import Watched, gather_evidence, start_run, wait_settled
from examples.month_end.demo_watch import ENDED
from examples.month_end.generate import Summary, generate
from examples.month_end.ledger import Trouble
from tests.e2e.installation import Installation, installation, parent_of

INVOICES = 80
COUNTS = {
    Trouble.TWIN: 2,
    Trouble.LARGE: 2,
    Trouble.FOREIGN_CURRENCY: 2,
    Trouble.BANK_CHANGED: 2,
    Trouble.BANK_CHANGED_UNVERIFIED: 1,
    Trouble.NOT_DUE: 8,
    Trouble.CREDIT_NOTE: 1,
    Trouble.DUPLICATE_NUMBER: 2,
    Trouble.DUPLICATE_AMOUNT_AND_DATE: 1,
    Trouble.DUPLICATE_OF_PAID: 1,
    Trouble.ORDER_INVOICED_TWICE: 1,
    Trouble.VAT_RATE: 1,
    Trouble.VAT_SUM: 1,
    Trouble.ORDER_MISSING: 2,
    Trouble.PRICE_ABOVE_ORDER: 1,
    Trouble.PARTIAL_DELIVERY: 2,
    Trouble.VENDOR_BLOCKED: 2,
}
VICTIMS = ("worker", "host", "data-plane", "postgres")
KILLS = 2
POLL_SECONDS = 0.02
ROUND_SECONDS = 180.0


@dataclass
class Rounds:
    """One installation of AOS on which rounds are run, one organization each."""

    made: Installation
    machine: Machine
    administrator: Aos

    @contextmanager
    def close_month(self, seed: int, victims: tuple[str, ...] = ()) -> Iterator[Round]:
        """Close a small company's month while processes die, drawn from the seed or given, and yield what came of it."""
        company = found_company(self.machine, self.administrator)
        summary = generate(company.folder, seed=seed, invoices=INVOICES, counts=COUNTS)
        apply_manifest(company)
        going = Round(self.made, company, summary, Random(seed), victims)
        try:
            going.run()
            yield going
        finally:
            company.close()

    def check_log(self, company: Company) -> str:
        """Check the organization's log on this machine by `aos audit verify` and return what it said."""
        return self.made.aos("--org", company.organization, "audit", "verify")


@dataclass
class Round:
    """One month under fire."""

    made: Installation
    company: Company
    summary: Summary
    rng: Random
    victims: tuple[str, ...] = ()
    killed: list[str] = field(default_factory=list)
    watched: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Start the run, kill each victim once its moment has come, answer what is asked, until the run has ended."""
        due = self.summary.expected["counts"]["outcome"]["paid"]
        victims = self.victims or self.rng.sample(VICTIMS, KILLS)
        plan = list(zip(sorted(self.rng.sample(range(due // 2), len(victims))), victims, strict=True))
        approver = Approver(self.company.tomas, self.company.folder)
        run_id = start_run(self.company.maria, label=self.company.organization)
        ends_at, looks_at = time.monotonic() + ROUND_SECONDS, 0.0
        while self.watched.get("state") not in ENDED:
            assert time.monotonic() < ends_at, f"{self.company.organization} {self.killed}: {self.watched}"
            if plan and len(bank.list_payments(self.company.folder)) >= plan[0][0]:
                self.kill(plan.pop(0)[1])
            elif time.monotonic() >= looks_at:
                approver.answer_pending(run_id)
                self.watched = self.company.maria.get(f"/runs/{run_id}")
                looks_at = time.monotonic() + 0.3
            select.select([], [], [], POLL_SECONDS)
        assert not plan, f"the run ended before {plan} were killed"

    def kill(self, victim: str) -> None:
        """Kill one process of a kind; one that is just being started anew is left to the next look."""
        found = self._pids(victim)
        if not found:
            self.killed.append(f"no {victim}")
            return
        pid = self.rng.choice(found)
        os.kill(pid, signal.SIGKILL)
        self.killed.append(f"{victim} {pid}")

    def _pids(self, victim: str) -> list[int]:
        processes = self.made.processes()
        if victim == "host":
            workers = {pid for name, pid in processes.items() if name.startswith("worker") and pid}
            return [pid for pid in pids() if parent_of(pid) in workers]
        return [pid for name, pid in processes.items() if name.startswith(victim) and pid]

    def problems(self) -> list[str]:
        """Return everything that is not as if nothing had been killed."""
        if self.watched["state"] != "succeeded":
            failed = [each for each in self.watched["tasks"] if each["state"] == "failed"]
            return [f"{each['agent']} {each['error']}: {each['detail']}" for each in failed] or ["the run failed"]
        actions = list(self.company.maria.items("/actions", order="created"))
        watched = Watched(self.watched, None, 0.0)
        evidence = gather_evidence(self.company, watched, actions=actions, expected=self.summary.expected)
        usage = wait_settled(self.company)
        actions = list(self.company.maria.items("/actions", order="created"))
        return [
            *find_problems(self.watched["output"]["closed"]["judged"], evidence),
            *find_cost_problems(usage, actions),
            *(f"paid twice: {each}" for each in bank.totals(self.company.folder)["duplicates"]),
        ]


def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until the condition holds; fail when it does not within ROUND_SECONDS."""
    ends_at = time.monotonic() + ROUND_SECONDS
    while not condition():
        assert time.monotonic() < ends_at, f"not within {ROUND_SECONDS:g} s: {what}"
        select.select([], [], [], POLL_SECONDS)


@contextmanager
def rounds() -> Iterator[Rounds]:
    """Yield an installation that serves, with its administrator signed in."""
    with installation(AOS_AGENT_PATH=str(ROOT), AOS_ALLOW_RUN_CLOCK="1") as made:
        link = LINK.search(made.up())
        assert link is not None, "an empty store prints a link"
        with Aos(made.url) as nobody:
            token = nobody.post("/people/link", {"link": link.group()})["token"]
        made.more = {**made.more, "AOS_TOKEN": token}
        machine = Machine(made.url, made.home / "aos")
        (machine.folder / "demo").mkdir(mode=0o700)
        with Aos(made.url, token) as administrator:
            yield Rounds(made, machine, administrator)
        made.aos("down")
