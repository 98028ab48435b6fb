"""The catalogue, the models and the list of tables agree, and every tenant table is shut by its keys and policies."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.apps import apps
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from aos.store.cold.guard import GuardedConnection
from aos.store.django_settings import database_settings, set_up_django
from aos.store.tables import DEPLOYMENT_TABLES, PARTITIONED_TABLES, TENANT_TABLES
from tests.databases import Database

set_up_django()

OURS = "c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
ALL_TABLES = f"select c.relname from pg_class c where {OURS}"
COLUMNS = """
select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef from pg_attribute a
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
"""
INDEXES = """
select i.relname, x.indisprimary, x.indisunique, x.indpred is not null,
  array(select a.attname::text || case when x.indoption[k.o - 1] & 1 = 1 then ' desc' else '' end
        from unnest(x.indkey::int[]) with ordinality k(n, o)
        join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.n order by k.o)
from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = %s::regclass
"""
FOREIGN_KEYS = """
select c.confrelid::regclass::text,
  array(select a.attname::text from unnest(c.conkey) with ordinality k(n, o)
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n order by k.o)
from pg_constraint c where c.conrelid = %s::regclass and c.contype = 'f'
"""

UNIQUE_ACROSS_ORGANIZATIONS = {
    ("api_key", ("key_hash",)): "a key arrives alone: its hash is looked up before the organization is known",
}
POINTING_OUTSIDE = {
    ("approval", "person"): "people belong to the deployment",
    ("agent", "person"): "people belong to the deployment",
    ("member", "person"): "people belong to the deployment; a member is how one comes to an organization",
    ("hook", "person"): "people belong to the deployment",
    ("schedule", "person"): "people belong to the deployment",
    ("member", "organization"): "whoever founds one comes in with the credentials that they have",
}


@pytest.fixture
def catalogue(any_database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(any_database.owner) as connection:
        yield connection


POSTGRES = GuardedConnection(database_settings("dbname=unused", options={}))
"""Knows what fields are called in Postgres; no statement is run on it."""


def model_of(table: str) -> type[models.Model]:
    return next(model for model in apps.get_models() if model._meta.db_table == table)


def key_of(model: type[models.Model]) -> list[str]:
    key = model._meta.pk
    assert key is not None
    return list(key.field_names) if isinstance(key, models.CompositePrimaryKey) else [str(key.column)]


def columns_of(model: type[models.Model]) -> list[models.Field]:
    return [field for field in model._meta.local_fields if not isinstance(field, models.CompositePrimaryKey)]


def tables_of(catalogue: psycopg.Connection) -> set[str]:
    return {row[0] for row in catalogue.execute(ALL_TABLES)}


def test_every_table_is_listed_as_the_deployments_or_a_tenants(catalogue: psycopg.Connection) -> None:
    assert tables_of(catalogue) == DEPLOYMENT_TABLES | TENANT_TABLES
    assert not DEPLOYMENT_TABLES & TENANT_TABLES
    rows = catalogue.execute(f"select c.relname from pg_class c where {OURS} and c.relkind = 'p'")
    assert {row[0] for row in rows} == PARTITIONED_TABLES
    assert {row[0] for row in catalogue.execute("select name from partitioned")} == PARTITIONED_TABLES


def test_every_table_has_a_model(catalogue: psycopg.Connection) -> None:
    assert {model._meta.db_table for model in apps.get_models()} == tables_of(catalogue) - {"django_migrations"}


def test_models_have_the_catalogues_columns_types_and_nulls(catalogue: psycopg.Connection) -> None:
    for model in apps.get_models():
        table = model._meta.db_table
        there = {tuple(row) for row in catalogue.execute(COLUMNS, [table])}
        here = {
            (field.column, field.db_type(POSTGRES), not field.null, field.has_db_default())
            for field in columns_of(model)
        }
        assert here == there, table


def test_models_have_the_catalogues_keys_and_indexes(catalogue: psycopg.Connection) -> None:
    for table in TENANT_TABLES | DEPLOYMENT_TABLES - {"django_migrations"}:
        model = model_of(table)
        rows = catalogue.execute(INDEXES, [table]).fetchall()
        assert [row[4] for row in rows if row[1]] == [key_of(model)], table
        alone = {(field.column,) for field in columns_of(model) if field.unique and not field.primary_key}
        assert {tuple(row[4]) for row in rows if row[2] and not row[1] and len(row[4]) == 1 and not row[3]} == alone
        there = {(row[0], row[2], row[3], tuple(row[4])) for row in rows if not row[1] and tuple(row[4]) not in alone}
        assert there == set(_declared(model)), table


def _declared(model: type[models.Model]) -> Iterator[tuple[str, bool, bool, tuple[str, ...]]]:
    for constraint in model._meta.constraints:
        assert isinstance(constraint, models.UniqueConstraint)
        yield constraint.name, True, constraint.condition is not None, tuple(constraint.fields)
    for index in model._meta.indexes:
        columns = tuple(f"{name[1:]} desc" if name.startswith("-") else name for name in index.fields)
        yield index.name, False, index.condition is not None, columns


def test_models_of_tenants_point_nowhere_and_have_a_composite_key() -> None:
    for table in TENANT_TABLES:
        model = model_of(table)
        assert key_of(model)[0] == "organization_id"
        assert isinstance(columns_of(model)[0], models.UUIDField)
        assert not [field for field in model._meta.get_fields() if field.is_relation]


def test_no_migration_is_missing() -> None:
    loader = MigrationLoader(None)
    detector = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps))
    assert detector.changes(graph=loader.graph) == {}


def test_the_organization_comes_first_in_every_key_of_a_tenants_table(catalogue: psycopg.Connection) -> None:
    allowed = set(UNIQUE_ACROSS_ORGANIZATIONS)
    for table in TENANT_TABLES:
        for _, _, unique, _, columns in catalogue.execute(INDEXES, [table]).fetchall():
            if unique and columns[0] != "organization_id":
                assert (table, tuple(columns)) in allowed
                allowed.remove((table, tuple(columns)))
    assert not allowed


def test_the_organization_comes_first_in_every_foreign_key_of_a_tenants_table(catalogue: psycopg.Connection) -> None:
    allowed = set(POINTING_OUTSIDE)
    for table in TENANT_TABLES:
        for target, columns in catalogue.execute(FOREIGN_KEYS, [table]).fetchall():
            if columns[0] != "organization_id":
                assert (table, target) in allowed
                allowed.remove((table, target))
    assert not allowed


def test_every_tenants_table_has_row_security_and_its_two_policies_and_no_other(
    catalogue: psycopg.Connection, any_database: Database
) -> None:
    statement = """
        select c.relname, p.polname, pg_get_userbyid(p.polroles[1]), array_length(p.polroles, 1), p.polcmd::text,
          pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)
        from pg_policy p join pg_class c on c.oid = p.polrelid
    """
    own = "(organization_id = aos_organization())"
    expected = {(table, "tenant", any_database.roles.app, 1, "*", own, own) for table in TENANT_TABLES}
    expected |= {(table, "machine", any_database.roles.machine, 1, "*", "true", "true") for table in TENANT_TABLES}
    assert {tuple(row) for row in catalogue.execute(statement)} == expected
    rows = catalogue.execute(f"select c.relname from pg_class c where {OURS} and c.relrowsecurity")
    assert {row[0] for row in rows} == TENANT_TABLES
