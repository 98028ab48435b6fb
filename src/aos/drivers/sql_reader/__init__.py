"""Readings of databases that are not AOS's own, by psycopg. `PostgresReader` is all that is used from outside."""

from __future__ import annotations

from aos.drivers.sql_reader.reader import PostgresReader

__all__ = ["PostgresReader"]
