"""Money as the company's systems keep it: whole cents inside, decimal text with two places outside.

No float ever holds an amount. Every currency of the example has cents.
"""

import re
from decimal import ROUND_HALF_UP, Decimal

AMOUNT_PATTERN = r"^-?(0|[1-9][0-9]{0,11})\.[0-9]{2}$"
_AMOUNT = re.compile(AMOUNT_PATTERN)


def amount_text(cents: int) -> str:
    """Write cents as text: 123456 is "1234.56"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def amount_cents(text: str) -> int:
    """Read an amount such as "1234.56" as cents.

    Raises ValueError for anything but an optional sign, up to 12 digits, a point and two digits.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"`{text}` is no amount: write it with a point and two digits, such as 1234.56")
    return int(text.replace(".", ""))


def vat_cents(net_cents: int, vat_percent: int) -> int:
    """Return the tax on a net sum, rounded half away from zero to a cent."""
    return convert_cents(net_cents, Decimal(vat_percent) / 100)


def convert_cents(cents: int, rate: Decimal) -> int:
    """Multiply cents by an exact rate, rounded half away from zero."""
    return int((cents * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))
