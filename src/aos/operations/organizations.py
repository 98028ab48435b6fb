"""Organizations: made whole in one transaction, with their settings, keys, log and first administrator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import structs

from aos.kernel.errors import Conflict, FieldError, InvalidRequest
from aos.kernel.ledger.record import RecordKind
from aos.kernel.limits import NAME_LENGTH_MAX
from aos.kernel.manifest.values import OrganizationSpec
from aos.kernel.people import Actor, Permission, Role
from aos.operations.drivers import Drivers
from aos.operations.key_rows import ACCESS, KEY_BYTES, new_signing_key
from aos.operations.registry_records import Edit, Undone, open_edit, reading, require
from aos.store.cold.connection import run_sql, tenant
from aos.store.cold.machine import read_machine

SIGNING_KEYS: Final = tuple(
    (purpose, state) for purpose in (ACCESS, "checkpoint", "token") for state in ("current", "next")
)
"""The signing keys that an organization has from its first record on: by purpose and state."""


@dataclass(frozen=True, slots=True)
class OrganizationDetail:
    """One organization with its settings, as it is shown."""

    id: UUID
    name: str
    currency: str
    timezone: str
    environment: str
    run_clock: bool
    roles: tuple[Role, ...] = ()


def create_organization(
    drivers: Drivers,
    name: str,
    *,
    currency: str,
    timezone: str,
    admin_email: str,
    admin_name: str = "",
    environment: str = "production",
    run_clock: bool = False,
    founder: Actor | None = None,
    dry_run: bool = False,
) -> Actor:
    """Make an organization with its data key, signing keys and empty log, and return its administrator as actor.

    The administrator is found by e-mail or filed; a `founder` comes in with the credentials they have. All of it is one transaction and one ledger record. Raises Conflict
    where the name is taken, InvalidRequest for a setting that does not fit. A dry run does all of it and undoes it.
    """
    check_settings(OrganizationSpec(name, currency, timezone, environment))
    organization_id, data_key = drivers.ids.new(), drivers.ids.random_bytes(KEY_BYTES)
    data_key_id = drivers.ids.new()
    wrapping, wrapped = drivers.keys.wrap(data_key)
    row = {
        "id": organization_id,
        "name": name,
        "currency": currency,
        "timezone": timezone,
        "environment": environment,
        "run_clock_allowed": run_clock,
        "data_key_id": data_key_id,
        "key_encryption_key": wrapping,
        "wrapped": wrapped,
    }
    roles, issuer_id = frozenset({Role.ADMIN}), founder.issuer if founder else None
    actor = Actor(organization_id, drivers.ids.new(), admin_email.lower(), roles, issuer_id)
    try:
        with tenant(organization_id):
            _insert(drivers, row, data_key=data_key)
            actor = _insert_admin(drivers, actor, name=admin_name)
            edit = open_edit(drivers, actor)
            edit.record(RecordKind.REGISTRY_CHANGED, "organization.created", subject=f"organization:{organization_id}")
            edit.write_records()
            if dry_run:
                raise Undone
    except Undone:
        pass
    return actor


def _insert(drivers: Drivers, row: Mapping[str, Any], *, data_key: bytes) -> None:
    """Write the organization with its settings, data key, empty log and signing keys; raise Conflict."""
    if not run_sql("insert_organization", row):
        raise Conflict(f"there is an organization `{row['name']}` already")
    for purpose, state in SIGNING_KEYS:
        key = new_signing_key(drivers, row["id"], purpose, state=state, data_key_id=row["data_key_id"], key=data_key)
        run_sql("insert_signing_key", structs.asdict(key))


def _insert_admin(drivers: Drivers, actor: Actor, *, name: str) -> Actor:
    """File the administrator, or find them by e-mail, make them a member, and return them as actor."""
    (person,) = run_sql("upsert_person", {"id": actor.person_id, "email": actor.email, "name": name})
    member = {"organization_id": actor.organization_id, "id": drivers.ids.new(), "person_id": person["id"]}
    run_sql("insert_member", {**member, "roles": [Role.ADMIN.value], "founded_from_id": actor.issuer_id})
    return replace(actor, person_id=person["id"])


def create_own_organization(
    drivers: Drivers, actor: Actor, spec: OrganizationSpec, *, dry_run: bool = False
) -> OrganizationDetail:
    """Make another organization of which the actor, an administrator here, is the administrator there too."""
    require(actor, Permission.PEOPLE_WRITE)
    name, currency, timezone = spec.name or "", spec.currency or "EUR", spec.timezone or "UTC"
    environment, run_clock = spec.environment or "production", bool(spec.run_clock)
    made = create_organization(
        drivers,
        name,
        currency=currency,
        timezone=timezone,
        admin_email=actor.email,
        environment=environment,
        run_clock=run_clock,
        founder=actor,
        dry_run=dry_run,
    )
    id, roles = made.organization_id, tuple(made.roles)
    return OrganizationDetail(id, name, currency, timezone, environment, run_clock, roles)


def change_settings(edit: Edit, spec: OrganizationSpec) -> None:
    """Set what `spec` gives of the organization's settings; its name cannot change here.

    What policies read of them (the environment, the zone of `now`, whether a run may carry a clock of its own), and
    where models may be reached and what of their calls is kept, is changed by whoever may publish policies: to change it is to change what they decide.
    Raises Forbidden.
    """
    edit.require(Permission.REGISTRY_WRITE)
    check_settings(spec)
    current = edit.registry.manifest.organization
    if any(
        getattr(spec, name) not in (None, getattr(current, name))
        for name in ("environment", "run_clock", "timezone", "hosts", "capture")
    ):
        edit.require(Permission.POLICY_PUBLISH)
    params = {
        "organization_id": edit.organization_id,
        "currency": spec.currency,
        "timezone": spec.timezone,
        "environment": spec.environment,
        "rates": None if spec.rates is None else _rates(edit, spec.rates),
        "run_clock_allowed": spec.run_clock,
        "hosts": None if spec.hosts is None else list(spec.hosts),
        "capture": None if spec.capture is None else msgspec.json.encode(spec.capture).decode(),
    }
    run_sql("update_settings", params)
    edit.record(RecordKind.REGISTRY_CHANGED, "organization.changed", subject=f"organization:{edit.organization_id}")


def show_organization(actor: Actor) -> OrganizationDetail:
    """Return the actor's organization."""
    with reading(actor, Permission.REGISTRY_READ):
        (row,) = run_sql("show_organization", {"organization_id": actor.organization_id})
    return _detail({**row, "roles": sorted(actor.roles)})


def list_organizations(person_id: UUID, *, issuer_id: UUID) -> tuple[OrganizationDetail, ...]:
    """Return every organization that a person's credentials of one issuer open, newest membership first."""
    rows = read_machine("list_memberships", {"person_id": person_id, "issuer_id": issuer_id})
    return tuple(_detail(row) for row in rows)


def check_settings(spec: OrganizationSpec) -> None:
    """Raise InvalidRequest where a setting does not fit; what is None is not looked at."""
    if spec.name is not None and not (0 < len(spec.name.strip()) <= NAME_LENGTH_MAX and spec.name.isprintable()):
        raise _refuse("name", f"must have 1 to {NAME_LENGTH_MAX} printable characters")
    currency = spec.currency
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise _refuse("currency", f"`{currency[:20]}` must be a code of ISO 4217, like `EUR`")
    if spec.timezone is not None:
        try:
            ZoneInfo(spec.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise _refuse("timezone", f"`{spec.timezone[:60]}` is no time zone, like `Europe/Berlin`") from error


def _rates(edit: Edit, rates: Sequence[tuple[str, int]]) -> str:
    """Return the rates as they are stored: nanos of our currency per unit, each with the day it holds from."""
    since = edit.now.date().isoformat()
    return msgspec.json.encode({code: {"nanos": nanos, "since": since} for code, nanos in rates}).decode()


def _refuse(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"`{field}` {detail}", errors=[FieldError(f"/{field}", detail)])


def _detail(row: Mapping[str, Any]) -> OrganizationDetail:
    return OrganizationDetail(
        row["id"],
        row["name"],
        row["currency"],
        row["timezone"],
        row["environment"],
        row["run_clock_allowed"],
        tuple(Role(role) for role in row["roles"]),
    )
