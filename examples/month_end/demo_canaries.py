"""Acts that must be refused, tried at AOS's doors before any agent works: a demo that begins with an open gate ends there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.month_end import erp
from examples.month_end.demo_aos import Aos, DemoError


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
    """Try each act once and return what was said; the keys made for it are revoked. Raises DemoError for an open door."""
    payment = _payment(folder)
    month = {"month": "2026-10"}
    fired = [_try(administrator.url, "", "nobody, without a token,", "pays", tool="payments.create", arguments=payment)]
    for agent, what, tool, arguments in (
        ("auditor", "pays, though it observes", "payments.create", payment),
        ("operations", "closes the month, though it reads mail", "erp.close_period", month),
        ("finance", "pays to an account that it names itself", "payments.create", payment),
    ):
        made = administrator.post(f"/agents/{agent}/api-keys", {"label": "canary of the demo"})
        try:
            fired.append(_try(administrator.url, made["api_key"], agent, what, tool=tool, arguments=arguments))
        finally:
            administrator.delete(f"/agents/{agent}/api-keys/{made['id']}")
    for each in fired:
        if not each.refused:
            raise DemoError(f"a canary act was not refused: {each.who} {each.what}: {each.status} {each.said}")
    return fired


def _try(url: str, token: str, who: str, what: str, *, tool: str, arguments: dict[str, Any]) -> Canary:
    with Aos(url, token) as door:
        status, answer = door.try_once(f"/tools/{tool}/call", {"arguments": arguments})
    return Canary(who, what, status, _words(answer))


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
