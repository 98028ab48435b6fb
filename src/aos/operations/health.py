"""Whether the cold half can work: both of its logins reach a migrated database."""

from __future__ import annotations

from aos.store.cold.connection import deployment, run_sql
from aos.store.cold.machine import read_machine


def check_database() -> None:
    """Raise Unavailable where the database does not answer one of the two logins."""
    with deployment():
        run_sql("load_epochs")
    read_machine("load_epochs", {})
