"""Where the company's data lies, and the one error its systems raise.

The environment is read here and nowhere else in the example.
"""

import os
from pathlib import Path

VARIABLE = "MONTH_END_FOLDER"
ERP_FILE = "erp.sqlite"
INBOX_FOLDER = "inbox"
OUTBOX_FOLDER = "outbox"
BANK_FILE = "payments.csv"
ANSWERS_FILE = "expected.json"


class CompanyError(ValueError):
    """A system of the company refuses a call; nothing was changed."""


def folder() -> Path:
    """Return the folder that holds the company's data.

    Raises CompanyError when the variable is unset or names no folder.
    """
    value = os.environ.get(VARIABLE, "")
    if not value:
        raise CompanyError(
            f"`{VARIABLE}` is not set: point it at a folder made by `python -m examples.month_end.generate`"
        )
    path = Path(value)
    if not path.is_dir():
        raise CompanyError(f"`{VARIABLE}` names `{value}`, which is no folder")
    return path
