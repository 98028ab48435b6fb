"""Starts the month-end run, watches it, has its questions answered, kills its worker in the middle, and gathers what came
of it."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from examples.month_end import bank, erp
from examples.month_end.demo_answers import Approver
from examples.month_end.demo_aos import Aos, DemoError, read_status
from examples.month_end.demo_models import Drafter
from examples.month_end.demo_people import Company
from examples.month_end.demo_results import Evidence
from examples.month_end.demo_watch import Screen, View, read_view

MONTH = "2026-10"
CLOCK = "2026-10-30T09:00:00+01:00"
POLL_SECONDS = 0.4
RUN_SECONDS_MAX = 600.0
KILL_AT_PAYMENTS = 40
SETTLED_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Kill:
    """What was killed on purpose: the worker's pid, and how much was paid and at work in that moment."""

    pid: int
    payments: int
    at_work: int
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that came to its end."""

    run: dict[str, Any]
    kill: Kill | None
    seconds: float


def start_run(maria: Aos, *, label: str, drafter: Drafter | None = None) -> str:
    """Start the workflow on a clock of its own, the afternoon of the month's last working day, and return the run's id."""
    labels = {"demo": label, **(drafter.labels if drafter is not None else {})}
    body = {"workflow": "month-end", "input": {"month": MONTH}, "clock": CLOCK, "labels": labels}
    return str(maria.post("/runs", body)["id"])


def watch_run(
    company: Company, run_id: str, *, screen: Screen, approver: Approver, kill: Callable[[], int] | None
) -> Watched:
    """Follow a run to its end; raises DemoError where it takes longer than RUN_SECONDS_MAX."""
    began, view, killed = time.monotonic(), View(), None
    screen.start()
    try:
        while not view.ended:
            seconds = time.monotonic() - began
            if seconds > RUN_SECONDS_MAX and approver.asks is None:
                raise DemoError(
                    f"the run did not end within {RUN_SECONDS_MAX:.0f} s: look with `aos runs show {run_id}`"
                )
            read_view(company.maria, run_id, view, seconds=seconds)
            screen.show(view)
            if not view.ended:
                _answer(screen, approver, run_id)
                if kill is not None and killed is None and _paid(company.folder) >= KILL_AT_PAYMENTS:
                    killed = _kill(company, kill, view, screen)
                time.sleep(POLL_SECONDS)
    finally:
        screen.stop()
    return Watched(view.run, killed, time.monotonic() - began)


def _answer(screen: Screen, approver: Approver, run_id: str) -> None:
    """Have what is asked answered; a person at the terminal gets it for themselves meanwhile."""
    if approver.asks:
        screen.stop()
    before = len(approver.given)
    approver.answer_pending(run_id)
    for answer in approver.given[before:]:
        if not approver.asks:
            word, style = ("yes", "green") if answer.approved else ("no", "red")
            rules = ", ".join(answer.rules)
            told = Text(f"{answer.money} for {answer.invoice}, asked by {rules}: ") + Text(word, style)
            screen.say(told if answer.approved else told + Text(f", {answer.comment}"), mark="?", style="")
    if approver.asks:
        screen.start()


def _kill(company: Company, kill: Callable[[], int], view: View, screen: Screen) -> Kill:
    pid = kill()
    paid, at_work = _paid(company.folder), sum(1 for task in view.tasks if task["state"] == "running")
    said = f"kill -9 {pid}: the worker is gone, {at_work} tasks at work, {paid} payments made"
    screen.say(Text(said, style="bold magenta"), mark="✗", style="bold magenta")
    view.note = f"  ✗ {said}"
    return Kill(pid, paid, at_work, view.seconds)


def _paid(folder: Path) -> int:
    return len(bank.list_payments(folder))


def kill_worker() -> int:
    """Kill one worker of this machine with `kill -9` and return its pid; AOS's supervisor is not told."""
    state = read_status().get("state") or {}
    pids = [each["pid"] for each in state.get("processes", ()) if each["kind"] == "worker" and each["pid"]]
    if not pids:
        raise DemoError("`aos status --json` names no worker to kill")
    os.kill(pids[0], signal.SIGKILL)
    return int(pids[0])


def gather_evidence(company: Company, watched: Watched, *, actions: list[dict[str, Any]], expected: Any) -> Evidence:
    """Read what the result is held against: books, bank file, recorded payments, people's answers."""
    run_id = watched.run["id"]
    approvals = company.tomas.items("/approvals", run=run_id)
    said = {"used": "approved", "approved": "approved", "denied": "denied"}
    return Evidence(
        expected=expected,
        books=read_books(company.folder),
        bank=[
            {"invoice": each.invoice, "amount": each.amount, "currency": each.currency, "iban": each.iban}
            for each in bank.list_payments(company.folder)
        ],
        payments=[each for each in actions if each["name"] == "payments.create" and each["run_id"] == run_id],
        answers={each["arguments"]["invoice"]: said[each["status"]] for each in approvals if each["status"] in said},
        audited=watched.run["output"]["audited"],
    )


def read_books(folder: Path) -> list[dict[str, Any]]:
    """Return the month's invoices as the ERP has them, each with its vendor's account."""
    of_company: dict[str, Any] = {"company": str(folder)}
    found: list[dict[str, Any]] = []
    after: dict[str, Any] = {}
    while True:
        page = erp.list_invoices(month=MONTH, **after, **of_company)
        found += page["invoices"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    accounts = {
        vendor: erp.get_vendor(vendor=vendor, **of_company)["iban"] for vendor in {each["vendor"] for each in found}
    }
    return [{**each, "iban": accounts[each["vendor"]]} for each in found]


def wait_settled(company: Company) -> dict[str, Any]:
    """Return what was used by department once nothing is held any more; a hold that stays is the caller's to report."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        usage = company.maria.get("/usage", by="department")
        held = [budget for each in usage["items"] for budget in each["budgets"] if float(budget["held"]["amount"])]
        if not held or time.monotonic() > deadline:
            return usage
        time.sleep(POLL_SECONDS)
