"""International bank account numbers: made for invented vendors, and checked before money is sent.

Source: ISO 13616 and its check by ISO 7064 mod 97-10. The bank codes are random, so the accounts belong to nobody
we know of.
"""

from random import Random

# How a country's account number is built: n is a digit, a a capital letter.
_FORMATS = {
    "AT": "n" * 16,
    "BE": "n" * 12,
    "CH": "n" * 17,
    "CZ": "n" * 20,
    "DE": "n" * 18,
    "DK": "n" * 14,
    "ES": "n" * 20,
    "FR": "n" * 23,
    "GB": "aaaa" + "n" * 14,
    "IE": "aaaa" + "n" * 14,
    "IT": "a" + "n" * 22,
    "LT": "n" * 16,
    "LU": "n" * 16,
    "NL": "aaaa" + "n" * 10,
    "PL": "n" * 24,
    "PT": "n" * 21,
    "SE": "n" * 20,
}


def make_iban(country: str, rng: Random) -> str:
    """Draw an account number of a country with the right check digits."""
    account = "".join(
        rng.choice("0123456789") if sort == "n" else rng.choice("ABCDEFGHKLMNPRSTV") for sort in _FORMATS[country]
    )
    check = 98 - _remainder(account + country + "00")
    return f"{country}{check:02d}{account}"


def is_iban(text: str) -> bool:
    """Say whether text is an account number of a country known here: its length, its signs and its check digits."""
    form = _FORMATS.get(text[:2])
    if form is None or len(text) != len(form) + 4 or not text.isascii() or not text[2:4].isdigit():
        return False
    if not all(sign.isdigit() if sort == "n" else sign.isupper() for sign, sort in zip(text[4:], form, strict=True)):
        return False
    return _remainder(text[4:] + text[:4]) == 1


def _remainder(text: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in text)) % 97
