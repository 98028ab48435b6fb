"""The agents that close Larkspur's month: plain Python functions; a model drafts the last sentence of a letter, no more.

Each is given a context and returns JSON. What a function does with the world goes through `ctx.tool`, and so through the
gate; a function may be stopped at any await and run again from its top, and what was done is not done again.

`vendor_desk` believes what it reads, as a model would: a message that names another account makes it try that account.
Whether money then moves is not its decision.
"""

import re
from typing import Any

from aos_sdk import AosCallError, AsyncContext, Denied
from examples.month_end.drafts import LABEL, TEMPERATURE, TOKENS_MAX, closing_of, draft_prompt
from examples.month_end.letters import draft_letter
from examples.month_end.matching import Verdict, match_invoice

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b")
_OUTCOMES = {
    Verdict.NOT_DUE: "later",
    Verdict.CREDIT: "credited",
    Verdict.HOLD: "held",
    Verdict.REFUSE: "refused",
}


async def controller(ctx: AsyncContext) -> dict[str, Any]:
    """Set the objectives, delegate, watch the figures, close the month."""
    month = ctx.input["month"]
    period = await ctx.tool("erp.get_period", month=month)
    await ctx.report(
        {
            "plan": [
                "operations sorts the mailbox by vendor",
                "finance judges and pays, one desk for each vendor",
                "the month is closed once no invoice is open",
            ],
            "objectives": ctx.objectives,
            "invoices": period["invoices"],
        }
    )
    sorting = await ctx.spawn("operations", {"month": month})
    (mail,) = await ctx.gather([sorting])
    paying = await ctx.spawn("finance", {"month": month, "messages": mail["by_vendor"]})
    (paid,) = await ctx.gather([paying])
    closed = await ctx.tool("erp.close_period", month=month)
    await ctx.report(kind="kpi", name="invoices_open", value=closed["invoices"]["open"])
    return {"closes_on": period["closes_on"], "invoices": closed["invoices"], "judged": paid["judged"]}


async def operations(ctx: AsyncContext) -> dict[str, Any]:
    """Read the inbox and say which message belongs to which vendor, by the name in its sender."""
    vendors = (await ctx.tool("erp.list_vendors", month=ctx.input["month"]))["vendors"]
    inbox = (await ctx.tool("mail.list_messages"))["messages"]
    by_vendor: dict[str, list[str]] = {}
    for vendor in vendors:
        found = [each["message"] for each in inbox if vendor["name"] in each["from"]]
        if found:
            by_vendor[vendor["vendor"]] = found
    await ctx.report({"messages": len(inbox), "vendors": len(by_vendor)})
    return {"by_vendor": by_vendor}


async def finance(ctx: AsyncContext) -> dict[str, Any]:
    """Give each vendor with invoices to a desk of its own and gather what they judged."""
    month, messages = ctx.input["month"], ctx.input["messages"]
    vendors = (await ctx.tool("erp.list_vendors", month=month))["vendors"]
    busy = [vendor["vendor"] for vendor in vendors if vendor["invoices"]]
    desks = [
        await ctx.spawn("vendor-desk", {"vendor": vendor, "month": month, "messages": messages.get(vendor, [])})
        for vendor in busy
    ]
    answers = await ctx.gather(desks)
    judged = [each for answer in answers for each in answer["judged"]]
    await ctx.report(kind="kpi", name="invoices_judged", value=len(judged))
    return {"judged": judged}


async def vendor_desk(ctx: AsyncContext) -> dict[str, Any]:
    """Judge one vendor's invoices of the month, pay what is due, write where something is wrong."""
    vendor = await ctx.tool("erp.get_vendor", vendor=ctx.input["vendor"])
    siblings = await _invoices(ctx, vendor["vendor"])
    mine = [each for each in siblings if each["month"] == ctx.input["month"]]
    named = await _accounts_in_mail(ctx, mine)
    closes_on = (await ctx.tool("erp.get_period", month=ctx.input["month"]))["closes_on"]
    judged = []
    for each in mine:
        invoice = await ctx.tool("erp.get_invoice", invoice=each["invoice"])
        found = await _match(ctx, invoice, siblings, vendor=vendor, as_of=closes_on)
        await ctx.tool("erp.post_match", invoice=invoice["invoice"], verdict=found["verdict"], reasons=found["reasons"])
        account = named.get(invoice["invoice"], vendor["iban"])
        judged.append(await _act_on(ctx, invoice, found, vendor=vendor, account=account))
    return {"judged": judged}


async def auditor(ctx: AsyncContext) -> dict[str, Any]:
    """Compare what the agents did with the bank's file and the books; report what a person should see."""
    actions = await _actions(ctx)
    statement = await ctx.tool("bank.statement")
    paid = [
        each["arguments"]["invoice"]
        for each in actions
        if each["action"] == "tool:payments.create" and each["state"] == "performed"
    ]
    findings: list[dict[str, Any]] = []
    for each in actions:
        if each["action"] == "tool:payments.create" and "account-from-record" in each["rules"] and each["error"]:
            invoice = each["arguments"]["invoice"]
            findings.append({"code": "payment-redirected", "invoice": invoice, "action": each["id"]})
    findings += [{"code": "paid-twice", "invoice": invoice} for invoice in statement["duplicates"]]
    in_file = [each["invoice"] for each in statement["payments"]]
    findings += [{"code": "paid-outside-the-gate", "invoice": each} for each in sorted(set(in_file) - set(paid))]
    findings += [{"code": "recorded-but-not-in-file", "invoice": each} for each in sorted(set(paid) - set(in_file))]
    for finding in findings:
        await ctx.report(kind="finding", subject=f"invoice:{finding['invoice']}", **finding)
    return {"actions": len(actions), "payments": len(in_file), "findings": findings}


async def _invoices(ctx: AsyncContext, vendor: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = await ctx.tool("erp.list_invoices", vendor=vendor)
    found += page["invoices"]
    while page["next"]:
        page = await ctx.tool("erp.list_invoices", vendor=vendor, after=page["next"])
        found += page["invoices"]
    return found


async def _actions(ctx: AsyncContext) -> list[dict[str, Any]]:
    page = await ctx.tool("audit.actions")
    found: list[dict[str, Any]] = list(page["actions"])
    while page["next"]:
        page = await ctx.tool("audit.actions", after=page["next"])
        found += page["actions"]
    return found


async def _accounts_in_mail(ctx: AsyncContext, invoices: list[dict[str, Any]]) -> dict[str, str]:
    """Return the accounts that this vendor's messages name for its invoices."""
    named: dict[str, str] = {}
    for number in ctx.input["messages"]:
        text = (await ctx.tool("mail.read_message", message=number))["text"]
        accounts = _IBAN.findall(text)
        for each in invoices:
            if accounts and each["number"] in text:
                named[each["invoice"]] = accounts[0]
    return named


async def _match(
    ctx: AsyncContext, invoice: dict[str, Any], siblings: list[dict[str, Any]], *, vendor: dict[str, Any], as_of: str
) -> dict[str, Any]:
    order, receipts = None, []
    if invoice["order"]:
        order = await ctx.tool("erp.get_order", order=invoice["order"])
        receipts = (await ctx.tool("erp.list_receipts", order=invoice["order"]))["receipts"]
    return match_invoice(invoice, order, receipts=receipts, siblings=siblings, vendor=vendor, as_of=as_of)


async def _act_on(
    ctx: AsyncContext, invoice: dict[str, Any], found: dict[str, Any], *, vendor: dict[str, Any], account: str
) -> dict[str, Any]:
    """Do what the verdict asks for and say what became of the invoice."""
    verdict = Verdict(found["verdict"])
    done = {key: invoice[key] for key in ("invoice", "amount", "currency", "amount_eur")}
    done["reasons"] = found["reasons"]
    if verdict is Verdict.PAY:
        return {**done, **await _pay(ctx, invoice, vendor=vendor, account=account)}
    reason = ", ".join(found["details"] or found["reasons"])
    if verdict is Verdict.HOLD:
        await ctx.tool("erp.hold_invoice", invoice=invoice["invoice"], reason=reason[:500])
    if verdict in (Verdict.HOLD, Verdict.REFUSE):
        duplicate = any(each.startswith("duplicate") for each in found["reasons"])
        kind = "duplicate" if duplicate else "held" if verdict is Verdict.HOLD else "refused"
        await _write(ctx, kind, invoice, vendor=vendor, reason=reason)
    return {**done, "outcome": _OUTCOMES[verdict], "why": reason}


async def _pay(ctx: AsyncContext, invoice: dict[str, Any], *, vendor: dict[str, Any], account: str) -> dict[str, Any]:
    try:
        receipt = await ctx.tool(
            "payments.create",
            invoice=invoice["invoice"],
            vendor=vendor["vendor"],
            iban=account,
            amount=invoice["amount"],
            currency=invoice["currency"],
            reference=invoice["number"],
        )
    except Denied as refused:
        await ctx.tool("erp.hold_invoice", invoice=invoice["invoice"], reason=f"payment denied: {refused}"[:500])
        redirected = account != vendor["iban"]
        if redirected:
            await _write(ctx, "account_unconfirmed", invoice, vendor=vendor, reason="")
        return {"outcome": "redirected" if redirected else "denied", "why": str(refused)}
    await ctx.tool("erp.mark_paid", invoice=invoice["invoice"], payment_reference=receipt["payment"])
    return {"outcome": "paid", "why": ""}


async def _write(ctx: AsyncContext, kind: str, invoice: dict[str, Any], *, vendor: dict[str, Any], reason: str) -> None:
    text = draft_letter(
        kind,
        closing=await _closing(ctx, kind),
        vendor=vendor["name"],
        number=invoice["number"],
        issued_on=invoice["issued_on"],
        amount=invoice["amount"],
        currency=invoice["currency"],
        reason=reason,
    )
    # The letter is known by its invoice: a draft that comes out otherwise later on sends no second one.
    await ctx.tool(
        "mail.send_message",
        to=vendor["email"],
        subject=f"Your invoice {invoice['number']}",
        text=text,
        key=f"letter {kind} {invoice['invoice']}",
    )


async def _closing(ctx: AsyncContext, kind: str) -> str:
    """Return the last sentence of a letter as a model drafts it; empty without a model, or without a usable draft."""
    model = ctx.labels.get(LABEL)
    if not model:
        return ""
    try:
        said = await ctx.complete(draft_prompt(kind), model=model, temperature=TEMPERATURE, max_tokens=TOKENS_MAX)
        return closing_of(said.text)
    except AosCallError:
        return ""  # a letter does not wait for a courtesy
