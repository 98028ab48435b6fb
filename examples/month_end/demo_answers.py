"""Answers what the run asks a person: by a script in the name of the demo's approver, or by you at the terminal.

The script's rule is one that a person would have: deny where the vendor's account was changed and nobody verified the
change by a call back, approve else. It looks the change up in the ERP itself, not in what the agents say.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from examples.month_end import erp
from examples.month_end.demo_aos import Aos, DemoError, Refused
from examples.month_end.demo_lines import folded

SCRIPT_DENIES = "the account was changed and nobody verified it by a call back"
SCRIPT_APPROVES = "checked against the books"
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that was given: to which approval, for which invoice and money, whether yes, and which rules asked."""

    approval_id: str
    invoice: str
    money: str
    approved: bool
    comment: str
    rules: tuple[str, ...]


@dataclass(slots=True)
class Approver:
    """The demo's approver; `asks` is None for the script, else what asks the person at the terminal."""

    tomas: Aos
    folder: Path
    asks: Callable[[dict[str, Any]], tuple[bool, str]] | None = None
    given: list[Answer] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Who answers, in words for the output."""
        return "you, as tomas" if self.asks else "a script, in the name of tomas"

    def answer_pending(self, run_id: str) -> int:
        """Answer everything that the run asks now and return how much that was; who is asked may be you."""
        pending = list(self.tomas.items("/approvals", status="pending", run=run_id))
        for approval in pending:
            approved, comment = (self.asks or self._decide)(approval)
            self._send(approval, approved, comment)
        return len(pending)

    def _decide(self, approval: dict[str, Any]) -> tuple[bool, str]:
        read: Callable[..., dict[str, Any]] = erp.get_vendor
        vendor = read(vendor=approval["arguments"]["vendor"], company=str(self.folder))
        denied = vendor["bank_change_verified"] is False
        return (False, SCRIPT_DENIES) if denied else (True, SCRIPT_APPROVES)

    def _send(self, approval: dict[str, Any], approved: bool, comment: str) -> None:
        body = {"comment": comment, "digest": approval["digest"]} if approved else {"comment": comment}
        try:
            self.tomas.post(f"/approvals/{approval['id']}/{'approve' if approved else 'deny'}", body)
        except Refused as refused:
            if refused.status != CONFLICT:
                raise
            return  # somebody answered it in the console meanwhile: theirs counts
        rules = tuple(rule["id"] for rule in approval["rules"])
        asked = approval["arguments"]
        money = f"{Decimal(asked['amount']):,.2f} {asked['currency']}"
        self.given.append(Answer(approval["id"], asked["invoice"], money, approved, comment, rules))


def ask_person(console: Console) -> Callable[[dict[str, Any]], tuple[bool, str]]:
    """Return what asks at the terminal; raises DemoError where there is none."""
    if not sys.stdin.isatty():
        raise DemoError("ASK=1 needs a terminal to ask at; without ASK a script answers")

    def ask(approval: dict[str, Any]) -> tuple[bool, str]:
        console.print()
        invoice = (approval.get("arguments") or {}).get("invoice", "")
        console.print(
            folded(console, Text(approval["act"], style="bold"), mark="?", style="bold yellow"), soft_wrap=True
        )
        facts = approval.get("facts") or {}
        for line in (
            *([f"for {invoice}"] if invoice else []),
            f"why you are asked: {approval['reason']}",
            *(f"{name} = {value}" for name, value in facts.items()),
        ):
            console.print(folded(console, Text(line, style="dim")), soft_wrap=True)
        while True:
            said = console.input("    approve? \\[y/n] ").strip().lower()
            if said in ("y", "yes"):
                return True, ""
            if said in ("n", "no"):
                return False, console.input("    why not (the agent is told): ").strip() or "no"

    return ask
