"""One valid row for every tenant table, made from the catalogue, so that a new table is tried without a new test.

Columns that may be null or have a default are left out; a text takes the first value its check allows; a foreign key
takes the value of the parent's row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from uuid_utils.compat import uuid7

from aos.store.tables import TENANT_TABLES

COLUMNS = """
select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped and a.attnotnull and not a.atthasdef
order by a.attnum
"""
CHECKS = "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'c'"
PARENTS = """
select c.confrelid::regclass::text,
  array(select attname::text from unnest(c.conkey) with ordinality k(n, o)
        join pg_attribute on attrelid = c.conrelid and attnum = k.n order by o),
  array(select attname::text from unnest(c.confkey) with ordinality k(n, o)
        join pg_attribute on attrelid = c.confrelid and attnum = k.n order by o)
from pg_constraint c where c.conrelid = %s::regclass and c.contype = 'f'
"""


@dataclass(frozen=True, slots=True)
class World:
    """One organization with one row in every tenant table."""

    organization_id: UUID
    person_id: UUID
    rows: dict[str, dict[str, Any]]


def make_world(connection: psycopg.Connection, name: str) -> World:
    """Write an organization, a person, and one row into every tenant table, as the owner."""
    world = make_organization(connection, name)
    for table in sorted(TENANT_TABLES):
        write_with_parents(connection, world, table)
    return world


def make_organization(connection: psycopg.Connection, name: str) -> World:
    """Write an organization that has no rows yet, and a person."""
    world = World(organization_id=uuid7(), person_id=uuid7(), rows={})
    connection.execute("insert into organization (id, name) values (%s, %s)", [world.organization_id, name])
    connection.execute(
        "insert into person (id, email, name) values (%s, %s, %s)", [world.person_id, f"{name}@example.com", name]
    )
    return world


def write(connection: psycopg.Connection, table: str, row: dict[str, Any]) -> int:
    """Insert the row and return how many were written."""
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() for _ in row),
    )
    return connection.execute(statement, list(row.values())).rowcount


def write_with_parents(connection: psycopg.Connection, world: World, table: str) -> None:
    """Write the table's row, after the rows that it points at; one that is there already stays."""
    if table in world.rows or table not in TENANT_TABLES:
        return
    for parent, _, _ in connection.execute(PARENTS, [table]).fetchall():
        write_with_parents(connection, world, parent)
    row = new_row(connection, world, table)
    assert write(connection, table, row) == 1, table
    world.rows[table] = row


def new_row(connection: psycopg.Connection, world: World, table: str) -> dict[str, Any]:
    """Return a row of the world's organization that the table takes, its parents' rows being there."""
    checks = " ".join(row[0] for row in connection.execute(CHECKS, [table]))
    row = {name: _value(name, kind, checks) for name, kind in connection.execute(COLUMNS, [table]).fetchall()}
    for parent, columns, targets in connection.execute(PARENTS, [table]).fetchall():
        found = {"organization": {"id": world.organization_id}, "person": {"id": world.person_id}} | world.rows
        row |= {c: found[parent][t] for c, t in zip(columns, targets, strict=True) if c in row}
    return row | {"organization_id": world.organization_id}


def _value(column: str, kind: str, checks: str) -> Any:
    match kind:
        case "uuid":
            return uuid7()
        case "text":
            allowed = re.search(rf"\(\({column} = ANY \(ARRAY\['([^']*)'|\({column} = '([^']*)'", checks)
            return (allowed[1] or allowed[2]) if allowed else "EUR"
        case "bytea":
            return uuid7().bytes * 2
        case "jsonb":
            return "{}"
        case "date" | "timestamp with time zone":
            return "2026-01-01"
        case "boolean":
            return False
        case _:
            return 1
