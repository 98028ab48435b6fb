"""Acts that must be refused, tried at AOS's doors before any agent works: a demo that begins with an open gate ends there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.month_end import erp
from examples.month_end.demo_aos import Aos, DemoError

PAY = "/tools/payments.create/call"


@dataclass(frozen=True, slots=True)
class Canary:
    """One act that was tried: who tried what, and the words in which it was refused."""

    who: str
    what: str
    status: int
    said: str

    @property
    def refused(self) -> bool:
        """Say whether it was refused, and not merely broken."""
        return self.status in (401, 403)


def fire(administrator: Aos, folder: Path) -> list[Canary]:
    """Try each act once and return what was said; the keys made for it are revoked."""
    payment = {"arguments": _payment(folder)}
    status, problem = Aos(administrator.url).try_once(PAY, payment)
    fired = [Canary("nobody (no token)", "pays", status, _words(problem))]
    for agent, why in (
        ("auditor", "pays, though it observes"),
        ("operations", "pays, though it only reads mail"),
        ("finance", "pays to an account that it names itself"),
    ):
        made = administrator.post(f"/agents/{agent}/api-keys", {"label": "canary of the demo"})
        try:
            door = Aos(administrator.url, made["api_key"])
            status, problem = door.try_once(PAY, payment)
            fired.append(Canary(agent, why, status, _words(problem)))
        finally:
            administrator.delete(f"/agents/{agent}/api-keys/{made['id']}")
    open_doors = [each for each in fired if not each.refused]
    if open_doors:
        first = open_doors[0]
        raise DemoError(f"a canary act was not refused: {first.who} {first.what}: {first.status} {first.said}")
    return fired


def _payment(folder: Path) -> dict[str, Any]:
    """Return a payment that would be right in all but who asks for it and where the account comes from."""
    given: dict[str, Any] = {"company": str(folder)}
    invoice = erp.get_invoice(invoice="INV-2610-0001", **given)
    vendor = erp.get_vendor(vendor=invoice["vendor"], **given)
    return {
        "invoice": invoice["invoice"],
        "vendor": vendor["vendor"],
        "iban": vendor["iban"],
        "amount": "1.00",
        "currency": "EUR",
        "reference": invoice["number"],
    }


def _words(problem: dict[str, Any]) -> str:
    reasons = problem.get("reasons") or [problem.get("detail") or problem.get("title") or "no word"]
    return str(reasons[0])
