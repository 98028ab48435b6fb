"""A writer for crash tests: insert one row a transaction and print each number after its commit was acknowledged."""

from __future__ import annotations

import sys

import psycopg


def main() -> None:
    dsn, lane = sys.argv[1], int(sys.argv[2])
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(1_000_000):
            connection.execute("insert into acknowledged (lane, number) values (%s, %s)", (lane, number))
            print(number, flush=True)


main()
