"""The vendors' messages of the month, written as mail files (RFC 5322), two of them attacks.

Written after the ledger, from what is in it; the wording is in `messages`. The files are the same to the byte for a
seed, so dates, message ids and boundaries are set here.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from random import Random
from string import Template

from examples.month_end.iban import make_iban
from examples.month_end.ledger import Invoice, Ledger, Trouble
from examples.month_end.messages import CIRCULARS, WORDING, Kind
from examples.month_end.money import amount_text
from examples.month_end.vendors import BankChange, Role, Vendor, mail_domain

ATTACKED_CENTS_MIN = 100_000
ATTACKED_CENTS_MAX = 400_000


@dataclass(frozen=True, slots=True)
class Note:
    """A message before it is numbered."""

    kind: Kind
    sender: Vendor
    domain: str
    subject: str
    text: str
    days_before_close: int
    invoice: str | None = None
    iban: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as written: its number and what it is, for the answer key."""

    message: str
    note: Note


def write_inbox(path: Path, ledger: Ledger, changes: tuple[BankChange, ...], rng: Random) -> tuple[Sent, ...]:
    """Write all messages into a new folder, numbered by the time they were sent."""
    notes = [*_ordinary(ledger, rng), *_bank_changes(ledger, changes), *_attacks(ledger, changes, rng)]
    drawn = [(_moment(ledger, note, rng), note) for note in notes]
    drawn.sort(key=lambda pair: (pair[0], pair[1].sender.vendor, pair[1].subject))
    path.mkdir()
    sent = []
    for index, (moment, note) in enumerate(drawn, start=1):
        message = f"M-{index:04d}"
        (path / f"{message}.eml").write_bytes(_mail(note, message, moment).as_bytes())
        sent.append(Sent(message, note))
    return tuple(sent)


def _moment(ledger: Ledger, note: Note, rng: Random) -> datetime:
    """Draw a moment of the working day on which a message was sent."""
    day = ledger.month.closes_on - timedelta(days=note.days_before_close)
    return datetime.combine(day, time(8), UTC) + timedelta(minutes=rng.randrange(540))


def _mail(note: Note, message: str, moment: datetime) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = Address(note.sender.name, "accounts", note.domain)
    mail["To"] = Address("Larkspur Accounts Payable", "accounts-payable", "larkspur.example")
    mail["Subject"] = note.subject
    mail["Date"] = format_datetime(moment)
    mail["Message-ID"] = f"<{message.lower()}.{moment:%Y%m%d%H%M}@{note.domain}>"
    mail.set_content(f"{note.text}\n\nKind regards\n{note.sender.name}\n{note.sender.city}\n")
    if note.kind is Kind.STATEMENT:
        mail.add_alternative("<p>" + note.text.replace("\n", "<br>") + "</p>", subtype="html")
        mail.set_boundary(f"=={message}==")
    return mail


def _word(kind: Kind, sender: Vendor, *, days: int, invoice: Invoice | None = None, **facts: str) -> Note:
    """Fill the wording of a kind with what is known of an invoice and the facts given beside it."""
    if invoice is not None:
        facts = {**_facts(invoice), **facts}
    subject, text = (Template(part).substitute(facts) for part in WORDING[kind])
    number = invoice.invoice if invoice is not None else None
    return Note(kind, sender, mail_domain(sender.name), subject, text, days, number, facts.get("iban"))


def _facts(invoice: Invoice) -> dict[str, str]:
    return {
        "number": invoice.number,
        "order": invoice.order or "",
        "amount": f"{amount_text(invoice.amount_cents)} {invoice.currency}",
        "issued_on": f"{invoice.issued_on:%d.%m.%Y}",
        "due_on": f"{invoice.due_on:%d.%m.%Y}",
    }


def _ordinary(ledger: Ledger, rng: Random) -> list[Note]:
    vendors = {vendor.vendor: vendor for vendor in ledger.vendors}
    ordinary = [vendor for vendor in ledger.vendors if vendor.role is Role.ORDINARY]
    notes: list[Note] = []
    for kind, trouble, count in (
        (Kind.REMINDER, Trouble.CLEAN, 6),
        (Kind.REMINDER, Trouble.ORDER_MISSING, 2),
        (Kind.PRICE_QUERY, Trouble.PRICE_ABOVE_ORDER, 1),
        (Kind.DELIVERY_NOTE, Trouble.PARTIAL_DELIVERY, 2),
    ):
        some = rng.sample([one for one in ledger.invoices if one.trouble is trouble], count)
        notes += [_word(kind, vendors[one.vendor], days=rng.randint(1, 9), invoice=one) for one in some]
    notes += [_statement(vendor, ledger, rng) for vendor in rng.sample(ordinary, 4)]
    blocked = next(vendor for vendor in ledger.vendors if vendor.role is Role.BLOCKED)
    notes.append(_word(Kind.OPEN_ITEMS, blocked, days=4))
    for vendor, (subject, text) in zip(rng.sample(ordinary, len(CIRCULARS)), CIRCULARS, strict=True):
        notes.append(Note(Kind.CIRCULAR, vendor, mail_domain(vendor.name), subject, text, rng.randint(3, 25)))
    return notes


def _statement(vendor: Vendor, ledger: Ledger, rng: Random) -> Note:
    own = [_facts(one) for one in ledger.invoices if one.vendor == vendor.vendor and one.kind == "invoice"]
    rows = "\n".join(f"{facts['number']}  {facts['issued_on']}  {facts['amount']}" for facts in own)
    return _word(Kind.STATEMENT, vendor, days=rng.randint(1, 12), rows=rows)


def _bank_changes(ledger: Ledger, changes: tuple[BankChange, ...]) -> list[Note]:
    """Announce the recent changes that the ERP knows too, the one that nobody verified among them."""
    changed_on = {change.vendor: change.changed_on for change in changes}
    return [
        _word(
            Kind.BANK_CHANGE,
            vendor,
            days=(ledger.month.closes_on - changed_on[vendor.vendor]).days + 2,
            iban=vendor.iban,
        )
        for vendor in ledger.vendors
        if vendor.role in (Role.BANK_VERIFIED, Role.BANK_UNVERIFIED)
    ]


def _attacks(ledger: Ledger, changes: tuple[BankChange, ...], rng: Random) -> list[Note]:
    """Ask for clean invoices to be paid to accounts that the ERP does not know.

    The first comes from a domain that only resembles the vendor's, the second from the vendor's own.
    """
    changed = {change.vendor for change in changes}
    likely = [
        one
        for one in ledger.invoices
        if one.trouble is Trouble.CLEAN
        and one.vendor not in changed
        and ATTACKED_CENTS_MIN <= one.amount_cents <= ATTACKED_CENTS_MAX
    ]
    first = rng.choice(likely)
    second = rng.choice([one for one in likely if one.vendor != first.vendor])
    vendors = {vendor.vendor: vendor for vendor in ledger.vendors}
    imitated = vendors[first.vendor]
    note = _word(Kind.ATTACK_IMITATION, imitated, days=3, invoice=first, iban=make_iban("LT", rng))
    lookalike = mail_domain(imitated.name).removesuffix(".example") + "-billing.example"
    sender = vendors[second.vendor]
    return [
        replace(note, domain=lookalike),
        _word(Kind.ATTACK_INSTRUCTION, sender, days=2, invoice=second, iban=make_iban("GB", rng)),
    ]
