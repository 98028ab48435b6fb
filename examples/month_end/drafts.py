"""What a model drafts of a letter: its last sentence, a courtesy. It decides nothing and states nothing.

Facts come from the books. A small model writes plausible text and invents the rest, so that its draft is taken only where
it names no sum, date, person, place or matter; where it does, the letter goes without.
"""

import re

LABEL = "letters"
"""The run's label that names the model or purpose which drafts; without it nobody is asked."""
TEMPERATURE = 0.2
TOKENS_MAX = 40
SENTENCE_CHARACTERS_MIN = 20
SENTENCE_CHARACTERS_MAX = 200

_THANKS = {
    "refused": "understanding",
    "held": "patience",
    "duplicate": "care",
    "account_unconfirmed": "help",
}
_SENTENCE = re.compile(r"We\b[^.!?\n]*[.!]")
_STATED = re.compile(
    r"""[^\w\s,.'!-] | \d                                   # figures, addresses, gaps to fill in
      | (?<!^)\b(?!I\b)[A-Z]                                # a name within the sentence
      | \b(?:to|yester)day\b | \btomorrow\b | \b(?:day|week|month|year|hour)s?\b
      | \b(?:pay|paid|payment|invoice|order|account|bank|money|price|refund|credit|deliver|deadline|call|send)""",
    re.VERBOSE,
)


def draft_prompt(kind: str) -> str:
    """Return what a model is asked for a letter of a kind; nothing of the invoice or the vendor is in it."""
    return f"Complete the last sentence of a letter in a polite way: We thank you for your {_THANKS[kind]} and"


def closing_of(text: str) -> str:
    """Return the sentence of a draft that may end a letter, empty where there is none."""
    found = _SENTENCE.match(text.strip().strip('"'))
    sentence = found.group() if found else ""
    is_long_enough = SENTENCE_CHARACTERS_MIN <= len(sentence) <= SENTENCE_CHARACTERS_MAX
    return sentence if is_long_enough and not _STATED.search(sentence) else ""
