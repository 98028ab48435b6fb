"""The statements that may run across organizations; a test shows that no other does."""

from __future__ import annotations

from typing import Final

MACHINE_STATEMENTS: Final = frozenset(
    {
        "abandon_calls",
        "admit",
        "conclude",
        "find_api_key",
        "find_claim",
        "find_person_token",
        "find_session",
        "integrate",
        "list_memberships",
        "load_epochs",
        "load_exact",
        "load_facts",
        "lock_budgets",
        "lock_members",
    }
)
