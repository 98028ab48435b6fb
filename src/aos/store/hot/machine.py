"""The statements that may run across organizations; a test shows that no other does."""

from __future__ import annotations

from typing import Final

MACHINE_STATEMENTS: Final = frozenset(
    {
        "admit",
        "advance_head",
        "conclude",
        "find_actions",
        "find_api_key",
        "find_claim",
        "find_credential",
        "find_person_token",
        "find_session",
        "integrate",
        "list_memberships",
        "load_call",
        "load_epochs",
        "load_facts",
        "load_keyed",
        "load_origins",
        "load_run_facts",
        "lock_budgets",
        "lock_head",
        "lock_members",
    }
)
