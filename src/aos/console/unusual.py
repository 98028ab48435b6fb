"""What of an act is out of the ordinary: against where its arguments came from, and against what was done before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from aos.kernel.json import Json
from aos.operations.actions import ActionView
from aos.operations.approval_views import ApprovalView

_ORIGINS: Final = {
    "untrusted": "`{name}` came from a message, or from another source that is not trusted",
    "model": "`{name}` stands in no record and no message that this run has read: the agent made it",
}
_WHOM: Final = ("payee", "vendor", "vendor_name", "beneficiary", "recipient", "to")
_ACCOUNTS: Final = ("iban", "account", "account_number")


def unusual(approval: ApprovalView, before: Sequence[ActionView]) -> tuple[str, ...]:
    """Return sentences; `before` are acts of the same name that were performed."""
    given = approval.arguments if isinstance(approval.arguments, dict) else {}
    earlier = [each.arguments for each in before if isinstance(each.arguments, dict)]
    found = [rule.reason for rule in approval.rules if rule.reason]
    found += [
        _ORIGINS[str(value)].format(name=path.removeprefix("origin."))
        for path, value in approval.origins.items()
        if value in _ORIGINS
    ]
    if earlier:
        found += [*_first_time(given, earlier), *_amount(given, earlier)]
    return tuple(dict.fromkeys(found))


def _first_time(given: Mapping[str, Json], earlier: Sequence[Mapping[str, Json]]) -> Iterable[str]:
    whom = next((name for name in _WHOM if given.get(name)), None)
    if whom is None:
        return
    same = [each for each in earlier if each.get(whom) == given[whom]]
    if not same:
        yield f"nothing of this kind went to {given[whom]} before, among the last {len(earlier)}"
        return
    for account in _ACCOUNTS:
        known = {str(each.get(account)) for each in same}
        if given.get(account) and str(given[account]) not in known:
            yield f"{given[whom]} was paid to another account before: {', '.join(sorted(known)[:2])}"


def _amount(given: Mapping[str, Json], earlier: Sequence[Mapping[str, Json]]) -> Iterable[str]:
    amount = _decimal(given.get("amount"))
    currency = given.get("currency")
    others = [_decimal(each.get("amount")) for each in earlier if each.get("currency") == currency]
    known = sorted(each for each in others if each is not None)
    if amount is None or len(known) < 3:
        return
    largest, usual = known[-1], known[len(known) // 2]
    if amount > largest:
        times = f", {amount / usual:,.0f} times the usual {usual:,.2f}" if usual and amount >= 2 * usual else ""
        yield (
            f"it is the largest of the last {len(known)}: so far at most {largest:,.2f} {currency or ''}".strip()
            + times
        )


def _decimal(value: Json) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
