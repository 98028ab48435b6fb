"""A month of orders, receipts and invoices, with the trouble that real ledgers have, drawn from one seed.

Each invoice carries at most one trouble, and its name: the answer key is written from that name, never from the
matching that it is there to check.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from random import Random

from examples.month_end.money import vat_cents
from examples.month_end.vendors import TRADES, VAT_PERCENT_HOME, VAT_PERCENT_REDUCED, Role, Vendor

OVER_LIMIT_CENTS = 500_000


class Trouble(StrEnum):
    """What is the matter with an invoice; CLEAN means nothing is."""

    CLEAN = "clean"
    TWIN = "twin"
    LARGE = "large"
    FOREIGN_CURRENCY = "foreign_currency"
    BANK_CHANGED = "bank_changed"
    BANK_CHANGED_UNVERIFIED = "bank_changed_unverified"
    NOT_DUE = "not_due"
    CREDIT_NOTE = "credit_note"
    DUPLICATE_NUMBER = "duplicate_number"
    DUPLICATE_AMOUNT_AND_DATE = "duplicate_amount_and_date"
    DUPLICATE_OF_PAID = "duplicate_of_paid"
    ORDER_INVOICED_TWICE = "order_invoiced_twice"
    VAT_RATE = "vat_rate"
    VAT_SUM = "vat_sum"
    ORDER_MISSING = "order_missing"
    PRICE_ABOVE_ORDER = "price_above_order"
    PARTIAL_DELIVERY = "partial_delivery"
    VENDOR_BLOCKED = "vendor_blocked"


# How many invoices of the month have each; the rest of 300 is clean.
INVOICES = 300
COUNTS = {
    Trouble.TWIN: 6,
    Trouble.LARGE: 6,
    Trouble.FOREIGN_CURRENCY: 6,
    Trouble.BANK_CHANGED: 4,
    Trouble.BANK_CHANGED_UNVERIFIED: 2,
    Trouble.NOT_DUE: 60,
    Trouble.CREDIT_NOTE: 5,
    Trouble.DUPLICATE_NUMBER: 6,
    Trouble.DUPLICATE_AMOUNT_AND_DATE: 4,
    Trouble.DUPLICATE_OF_PAID: 3,
    Trouble.ORDER_INVOICED_TWICE: 2,
    Trouble.VAT_RATE: 5,
    Trouble.VAT_SUM: 4,
    Trouble.ORDER_MISSING: 8,
    Trouble.PRICE_ABOVE_ORDER: 9,
    Trouble.PARTIAL_DELIVERY: 9,
    Trouble.VENDOR_BLOCKED: 7,
}
_COPIES = {
    Trouble.DUPLICATE_NUMBER,
    Trouble.DUPLICATE_AMOUNT_AND_DATE,
    Trouble.DUPLICATE_OF_PAID,
    Trouble.ORDER_INVOICED_TWICE,
}
EARLIER_INVOICES = 60
NOT_DUE_FOREIGN = 4
_ROLES = {
    Trouble.FOREIGN_CURRENCY: Role.FOREIGN,
    Trouble.BANK_CHANGED: Role.BANK_VERIFIED,
    Trouble.BANK_CHANGED_UNVERIFIED: Role.BANK_UNVERIFIED,
    Trouble.VENDOR_BLOCKED: Role.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order or an invoice; the price is for one, without tax."""

    line: int
    item: str
    description: str
    quantity: int
    unit_price_cents: int
    vat_percent: int


@dataclass(frozen=True, slots=True)
class Order:
    """What Larkspur ordered."""

    order: str
    vendor: str
    ordered_on: date
    currency: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What arrived: (line of the order, quantity) pairs."""

    receipt: str
    order: str
    received_on: date
    quantities: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a vendor asks for; `invoice` is the ERP's own number, `number` the vendor's."""

    invoice: str
    vendor: str
    number: str
    kind: str
    order: str | None
    refers_to: str | None
    month: str
    issued_on: date
    booked_on: date
    due_on: date
    currency: str
    lines: tuple[Line, ...]
    tax_cents: int
    trouble: Trouble
    paid: bool = False

    @property
    def net_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.quantity * line.unit_price_cents for line in self.lines)

    @property
    def amount_cents(self) -> int:
        """What is asked for, tax included."""
        return self.net_cents + self.tax_cents


@dataclass(frozen=True, slots=True)
class Month:
    """The span in which the month's invoices are booked and paid."""

    month: str
    earlier: str
    first_on: date
    closes_on: date


def tax_of(lines: tuple[Line, ...]) -> int:
    """Return the tax on lines: rounded once for each rate."""
    rates = sorted({line.vat_percent for line in lines})
    return sum(
        vat_cents(sum(line.quantity * line.unit_price_cents for line in lines if line.vat_percent == rate), rate)
        for rate in rates
    )


class Ledger:
    """The books while they are drawn: lists that only grow, and the counters that number what is in them."""

    def __init__(
        self,
        vendors: tuple[Vendor, ...],
        month: Month,
        rng: Random,
        *,
        invoices: int = INVOICES,
        counts: Mapping[Trouble, int] = COUNTS,
    ) -> None:
        """Start empty books for one month of so many invoices, so many of them with each trouble."""
        self.vendors = vendors
        self._total = invoices
        self._counts = counts
        self.month = month
        self.rng = rng
        self.orders: list[Order] = []
        self.receipts: list[Receipt] = []
        self.invoices: list[Invoice] = []
        self.earlier: list[Invoice] = []
        self._next_number = {vendor.vendor: rng.randrange(1_100, 8_000) for vendor in vendors}

    def draw(self) -> None:
        """Draw the earlier month, then each trouble, then clean invoices up to the total, then the copies of some."""
        self._draw_earlier()
        for trouble, count in self._counts.items():
            if trouble in _COPIES:
                continue
            for index in range(0, count, 2 if trouble is Trouble.TWIN else 1):
                self._draw_invoice(trouble, index)
        while len(self.invoices) < self._total - sum(self._counts[trouble] for trouble in _COPIES):
            self._draw_invoice(Trouble.CLEAN, 0)
        self._draw_copies()
        self.earlier = _number_invoices(self.earlier, self.month.earlier)
        by_number = {(one.vendor, one.number): one.invoice for one in self.earlier}
        self.invoices = [
            replace(one, refers_to=by_number[one.vendor, one.refers_to]) if one.refers_to else one
            for one in self.invoices
        ]
        self.invoices = _number_invoices(self.invoices, self.month.month)

    def _ordinary(self) -> Vendor:
        return self.rng.choice([vendor for vendor in self.vendors if vendor.role is Role.ORDINARY])

    def _vendor_for(self, trouble: Trouble, index: int) -> Vendor:
        role = _ROLES.get(trouble, Role.ORDINARY)
        if trouble is Trouble.NOT_DUE and index < NOT_DUE_FOREIGN:
            role = Role.FOREIGN
        if role is Role.ORDINARY:
            return self._ordinary()
        fitting = [vendor for vendor in self.vendors if vendor.role is role]
        return fitting[index % len(fitting)]

    def _number(self, vendor: Vendor) -> str:
        self._next_number[vendor.vendor] += self.rng.randint(1, 9)
        return vendor.number_style.format(n=self._next_number[vendor.vendor])

    def _draw_earlier(self) -> None:
        for _ in range(EARLIER_INVOICES):
            vendor = self._ordinary()
            due_on = self.month.first_on - timedelta(days=self.rng.randint(1, 24))
            issued_on = due_on - timedelta(days=vendor.terms_days)
            order = self._draw_order(vendor, issued_on, Trouble.CLEAN)
            self._receive(order, issued_on, Trouble.CLEAN)
            drawn = self._invoice(vendor, order, issued_on, due_on, trouble=Trouble.CLEAN)
            first_on = self.month.first_on - timedelta(days=28)
            booked_on = max(first_on, min(due_on, issued_on + timedelta(days=2)))
            self.earlier.append(replace(drawn, month=self.month.earlier, booked_on=booked_on, paid=True))

    def _draw_invoice(self, trouble: Trouble, index: int) -> None:
        vendor = self._vendor_for(trouble, index)
        due_on = self._due_on(vendor, trouble)
        issued_on = due_on - timedelta(days=vendor.terms_days)
        if trouble is Trouble.CREDIT_NOTE:
            self._draw_credit_note()
            return
        order = self._draw_order(vendor, issued_on, trouble, large=trouble is Trouble.TWIN and index == 0)
        self._receive(order, issued_on, trouble)
        drawn = self._invoice(vendor, order, issued_on, due_on, trouble=trouble)
        self.invoices.append(_with_trouble(drawn, order, self.rng))
        if trouble is Trouble.ORDER_MISSING:
            self.orders.remove(order)
            self.receipts = [receipt for receipt in self.receipts if receipt.order != order.order]
        if trouble is Trouble.TWIN:
            self._draw_twin(vendor, order, drawn, same_day=index == 0)

    def _due_on(self, vendor: Vendor, trouble: Trouble) -> date:
        if trouble is Trouble.NOT_DUE:
            return self.month.closes_on + timedelta(days=self.rng.randint(1, vendor.terms_days - 2))
        if trouble is Trouble.TWIN:
            return self.month.first_on + timedelta(days=self.rng.randint(2, 12))
        return self.month.first_on + timedelta(
            days=self.rng.randint(0, (self.month.closes_on - self.month.first_on).days)
        )

    def _booked_on(self, issued_on: date) -> date:
        booked_on = issued_on + timedelta(days=self.rng.randint(1, 4))
        return min(self.month.closes_on, max(self.month.first_on, booked_on))

    def _draw_order(self, vendor: Vendor, issued_on: date, trouble: Trouble, *, large: bool = False) -> Order:
        large = large or trouble is Trouble.LARGE
        target_cents = self.rng.randint(560_000, 1_900_000) if large else int(9_000 * 36 ** self.rng.random())
        if trouble is Trouble.PARTIAL_DELIVERY:
            target_cents = max(target_cents, 90_000)
        items = TRADES[vendor.trade]
        chosen = self.rng.sample(items, self.rng.randint(1, len(items)))
        lines = []
        for line, item in enumerate(chosen, start=1):
            price_cents = item.price_cents * self.rng.randint(940, 1060) // 1000
            quantity = max(1, round(target_cents / len(chosen) / price_cents))
            home_percent = VAT_PERCENT_REDUCED if item.reduced_vat else VAT_PERCENT_HOME
            vat_percent = home_percent if vendor.country == "DE" else 0
            lines.append(Line(line, item.item, item.description, quantity, price_cents, vat_percent))
        ordered_on = issued_on - timedelta(days=self.rng.randint(9, 30))
        return self._add_order(vendor, ordered_on, tuple(lines))

    def _add_order(self, vendor: Vendor, ordered_on: date, lines: tuple[Line, ...]) -> Order:
        order = Order(f"PO-{45_000 + len(self.orders) + 1}", vendor.vendor, ordered_on, vendor.currency, lines)
        self.orders.append(order)
        return order

    def _receive(self, order: Order, issued_on: date, trouble: Trouble) -> None:
        arrived = {line.line: line.quantity for line in order.lines}
        if trouble is Trouble.PARTIAL_DELIVERY:
            most = max(order.lines, key=lambda line: line.quantity)
            arrived[most.line] = max(1, most.quantity * self.rng.randint(40, 80) // 100)
        parts = [arrived]
        if self.rng.random() < 0.2 and all(quantity > 1 for quantity in arrived.values()):
            first = {line: quantity // 2 for line, quantity in arrived.items()}
            parts = [first, {line: quantity - first[line] for line, quantity in arrived.items()}]
        for days_before, part in zip((1, 5), reversed(parts), strict=False):
            received_on = issued_on - timedelta(days=days_before)
            receipt = f"GR-{81_000 + len(self.receipts) + 1}"
            self.receipts.append(Receipt(receipt, order.order, received_on, tuple(sorted(part.items()))))

    def _invoice(self, vendor: Vendor, order: Order, issued_on: date, due_on: date, *, trouble: Trouble) -> Invoice:
        return Invoice(
            invoice="",
            vendor=vendor.vendor,
            number=self._number(vendor),
            kind="invoice",
            order=order.order,
            refers_to=None,
            month=self.month.month,
            issued_on=issued_on,
            booked_on=self._booked_on(issued_on),
            due_on=due_on,
            currency=vendor.currency,
            lines=order.lines,
            tax_cents=tax_of(order.lines),
            trouble=trouble,
        )

    def _draw_twin(self, vendor: Vendor, order: Order, drawn: Invoice, *, same_day: bool) -> None:
        later = timedelta(days=0 if same_day else 7)
        again = self._add_order(vendor, order.ordered_on + later, order.lines)
        self._receive(again, drawn.issued_on + later, Trouble.TWIN)
        twin = self._invoice(vendor, again, drawn.issued_on + later, drawn.due_on + later, trouble=Trouble.TWIN)
        self.invoices.append(twin)

    def _draw_credit_note(self) -> None:
        credited = {(one.vendor, one.refers_to) for one in self.invoices}
        original = self.rng.choice([one for one in self.earlier if (one.vendor, one.number) not in credited])
        vendor = next(vendor for vendor in self.vendors if vendor.vendor == original.vendor)
        line = original.lines[0]
        lines = (replace(line, quantity=-max(1, line.quantity // 4)),)
        issued_on = self.month.first_on + timedelta(days=self.rng.randint(0, 20))
        self.invoices.append(
            replace(
                original,
                number=self._number(vendor),
                kind="credit_note",
                refers_to=original.number,
                month=self.month.month,
                issued_on=issued_on,
                booked_on=self._booked_on(issued_on),
                due_on=issued_on,
                lines=lines,
                tax_cents=tax_of(lines),
                trouble=Trouble.CREDIT_NOTE,
                paid=False,
            )
        )

    def _draw_copies(self) -> None:
        latest = self.month.closes_on - timedelta(days=6)
        clean = [one for one in self.invoices if one.trouble is Trouble.CLEAN and one.booked_on <= latest]
        counts = self._counts
        copies = [trouble for trouble in counts if trouble in _COPIES for _ in range(counts[trouble])]
        of_month = iter(self.rng.sample(clean, len(copies)))
        of_earlier = iter(self.rng.sample(self.earlier, counts[Trouble.DUPLICATE_OF_PAID]))
        for trouble in copies:
            original = next(of_earlier if trouble is Trouble.DUPLICATE_OF_PAID else of_month)
            self.invoices.append(self._copy(original, trouble))

    def _copy(self, original: Invoice, trouble: Trouble) -> Invoice:
        booked_on = max(original.booked_on, self.month.first_on) + timedelta(days=self.rng.randint(1, 5))
        copy = replace(original, trouble=trouble, booked_on=booked_on, month=self.month.month, paid=False)
        if trouble in (Trouble.DUPLICATE_NUMBER, Trouble.DUPLICATE_OF_PAID):
            return replace(copy, number=_disguise(original.number, self.rng))
        vendor = next(vendor for vendor in self.vendors if vendor.vendor == original.vendor)
        copy = replace(copy, number=self._number(vendor))
        if trouble is Trouble.ORDER_INVOICED_TWICE:
            copy = replace(copy, issued_on=original.issued_on + timedelta(days=1))
        return copy


def _disguise(number: str, rng: Random) -> str:
    """Write an invoice number again with a blank or a zero more, as a second scan or a careless clerk does."""
    start = max(number.rfind(sign) for sign in "-/ ABCDEFGHIJKLMNOPQRSTUVWXYZ") + 1
    if number.endswith("/26"):
        start = 0
    return number[:start] + rng.choice((" ", "0", "00")) + number[start:]


def _with_trouble(invoice: Invoice, order: Order, rng: Random) -> Invoice:
    """Spoil an invoice drawn clean in the way its trouble says."""
    match invoice.trouble:
        case Trouble.ORDER_MISSING:
            return replace(invoice, order=None)
        case Trouble.VAT_RATE:
            wrong = 0 if invoice.lines[0].vat_percent == VAT_PERCENT_REDUCED else VAT_PERCENT_REDUCED
            wrong = VAT_PERCENT_HOME if invoice.lines[0].vat_percent == 0 else wrong
            lines = tuple(replace(line, vat_percent=wrong) for line in invoice.lines)
            return replace(invoice, lines=lines, tax_cents=tax_of(lines))
        case Trouble.VAT_SUM:
            return replace(invoice, tax_cents=invoice.tax_cents + rng.randint(150, 4_500))
        case Trouble.PRICE_ABOVE_ORDER:
            dearest = max(order.lines, key=lambda line: line.unit_price_cents)
            price_cents = dearest.unit_price_cents * rng.randint(104, 118) // 100 + 1
            lines = tuple(
                replace(line, unit_price_cents=price_cents) if line.line == dearest.line else line
                for line in invoice.lines
            )
            return replace(invoice, lines=lines, tax_cents=tax_of(lines))
        case _:
            return invoice


def _number_invoices(invoices: list[Invoice], month: str) -> list[Invoice]:
    """Give the ERP's own numbers in the order of booking; of two booked on one day the one drawn first is first."""
    ordered = sorted(invoices, key=lambda one: one.booked_on)
    prefix = f"INV-{month[2:4]}{month[5:7]}"
    return [replace(one, invoice=f"{prefix}-{index:04d}") for index, one in enumerate(ordered, start=1)]
