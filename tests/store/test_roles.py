import psycopg


def test_x(database):
    with psycopg.connect(database.app) as c:
        print(c.execute("select count(*) from agent").fetchone())
    with psycopg.connect(database.test_machine) as c:
        print(
            c.execute(
                "select current_user, session_user, aos_now(), (set_config('aos.now','2020-01-01',false)), aos_now()"
            ).fetchone()
        )
