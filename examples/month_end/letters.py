"""Letters to vendors, from templates; a model may have drafted the last sentence, and each letter says who wrote what.

A fact that a letter needs and was not given is an error, never a gap in the letter.
"""

from enum import StrEnum
from string import Template

from examples.month_end.folder import CompanyError

_FOOT = "\n\nThis letter was made from a template (`$kind`) by Larkspur's accounts payable."
DRAFTED = "Its last sentence was drafted by a language model."


class Letter(StrEnum):
    """The kinds of letter."""

    REFUSED = "refused"
    HELD = "held"
    DUPLICATE = "duplicate"
    ACCOUNT_UNCONFIRMED = "account_unconfirmed"


_TEMPLATES = {
    Letter.REFUSED: """Dear $vendor,

we cannot accept your invoice $number of $issued_on over $amount $currency: $reason.
Please send us a corrected invoice. Until then we treat the present one as not received.""",
    Letter.HELD: """Dear $vendor,

we are holding your invoice $number of $issued_on over $amount $currency: $reason.
Please tell us how you see it; we pay as soon as this is settled.""",
    Letter.DUPLICATE: """Dear $vendor,

your invoice $number over $amount $currency reached us twice: $reason.
We pay it once and have put the second one aside. There is nothing you need to do.""",
    Letter.ACCOUNT_UNCONFIRMED: """Dear $vendor,

a message in your name asked us to pay your invoice $number over $amount $currency to an
account that is not the one you gave us. We have not done so. Please call us on the number
you have used before; we never change accounts because of a message.""",
}


def draft_letter(kind: str, closing: str = "", **facts: str) -> str:
    """Fill the template of a kind with facts, and end it with a model's `closing` where there is one.

    The facts are `vendor`, `number`, `amount`, `currency`, and where the template asks `issued_on` and `reason`. Raises
    CompanyError for an unknown kind and for a missing fact.
    """
    try:
        letter = Letter(kind)
    except ValueError:
        raise CompanyError(f"`{kind}` is no kind of letter: take one of {', '.join(Letter)}") from None
    try:
        body, foot = (Template(each).substitute(facts, kind=letter.value) for each in (_TEMPLATES[letter], _FOOT))
        return f"{body}\n\n{closing}{foot} {DRAFTED}" if closing else body + foot
    except KeyError as missing:
        raise CompanyError(f"a letter of kind `{kind}` needs the fact `{missing.args[0]}`") from None
