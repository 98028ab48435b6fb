"""Where the company's data lies, and the one error its systems raise.

A tool's operator may name the folder beside each call (the manifest's `fixed: {company: ...}`); else the environment does.
Both are read here and nowhere else in the example.
"""

import functools
import inspect
import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

VARIABLE = "MONTH_END_FOLDER"
COMPANY_ARGUMENT = "company"
ERP_FILE = "erp.sqlite"
INBOX_FOLDER = "inbox"
OUTBOX_FOLDER = "outbox"
BANK_FILE = "payments.csv"
ANSWERS_FILE = "expected.json"

P = ParamSpec("P")
R = TypeVar("R")

_COMPANY: ContextVar[str | None] = ContextVar("company", default=None)


class CompanyError(ValueError):
    """A system of the company refuses a call; nothing was changed."""


def of_company(function: Callable[P, R]) -> Callable[P, R]:
    """Let a tool be called with `company`, the folder that it works in for this one call.

    Without it the folder of the call that it is made in counts, else the environment's. The signature names `company`,
    so that whoever calls tools by their signatures may give it.
    """

    @functools.wraps(function)
    def called(*arguments: Any, company: str | None = None, **named: Any) -> R:
        if company is None:
            return function(*arguments, **named)
        token = _COMPANY.set(company)
        try:
            return function(*arguments, **named)
        finally:
            _COMPANY.reset(token)

    signature = inspect.signature(function)
    own = inspect.Parameter(COMPANY_ARGUMENT, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=str | None)
    called.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), own]
    )
    return cast(Callable[P, R], called)


def folder() -> Path:
    """Return the folder that holds the company's data.

    Raises CompanyError when neither the call nor the environment names one, or what is named is no folder.
    """
    named = _COMPANY.get()
    value = named if named is not None else os.environ.get(VARIABLE, "")
    if not value:
        raise CompanyError(
            f"`{VARIABLE}` is not set: point it at a folder made by `python -m examples.month_end.generate`"
        )
    path = Path(value)
    if not path.is_dir():
        raise CompanyError(f"`{VARIABLE if named is None else COMPANY_ARGUMENT}` names `{value}`, which is no folder")
    return path
