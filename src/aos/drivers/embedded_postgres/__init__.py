"""Embedded Postgres under AOS's own supervisor: the server of a machine that has none.

    layout = locate(Settings(checkout=..., data_home=...))
    postgres = start(layout)            # ready; this process supervises it
    postgres.superuser_dsn()            # ...
    postgres.stop()

Rules: the environment is read by the caller, never here. Parents' permissions are never changed. Nothing is trusted
that another user could have put there. What cannot be mended says what to do, AOS_DATABASE_URL included. Nothing is
imported here: where things lie is asked by every command, which needs no driver of a database for it.
"""
