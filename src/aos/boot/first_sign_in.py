"""The first way in: an empty store gets an organization, and whoever starts AOS a one-time link for its administrator.

A new link is made at each start until somebody has signed in; then never again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aos.boot.hot import standard_drivers
from aos.drivers.key_file import KeyFile
from aos.operations.organizations import create_organization
from aos.operations.people import create_link
from aos.store.cold.connection import configure, disconnect
from aos.store.cold.machine import configure_machine, disconnect_machine
from aos.store.roles import RoleLogins
from aos.store.server import FirstSignIn

ORGANIZATION: Final = "main"
ADMINISTRATOR: Final = "admin@localhost"


def make_first_link(logins: RoleLogins, found: FirstSignIn, key_file: Path, *, run_clock: bool) -> str:
    """Return a one-time link's token for the administrator, of an organization made for it where there is none."""
    drivers = standard_drivers(KeyFile(key_file))
    configure(logins.app, connections_max=1)
    configure_machine(logins.machine, connections_max=1)
    try:
        person_id, organization_id = found.administrator, found.organization_id
        if person_id is None or organization_id is None:
            actor = create_organization(
                drivers, ORGANIZATION, currency="EUR", timezone="UTC",
                admin_email=ADMINISTRATOR, admin_name="Administrator", run_clock=run_clock,
            )  # fmt: skip
            person_id, organization_id = actor.person_id, actor.organization_id
        return create_link(drivers, person_id, issuer_id=organization_id, label="first administrator")
    finally:
        disconnect_machine()
        disconnect()
