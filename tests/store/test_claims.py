"""Who is served by a claim: organizations and departments in turn, the urgent first, within the limits that are set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest
from psycopg.rows import dict_row
from uuid_utils.compat import uuid7

from aos.kernel.workflow.lanes import NO_LANE, Limits, lane_of
from aos.operations.tasks import FIRST_TURN, Turn, claim_params
from aos.store.hot.database import prefer_indexes
from aos.store.sql_files import sql
from tests.databases import Database

WORKER = uuid7()


@dataclass
class Queue:
    """Ready tasks of organizations, and claims on them."""

    owner: psycopg.Connection
    database: Database

    def organization(self, name: str) -> UUID:
        """Write an organization with one run and return its id, which is the run's too."""
        id = uuid7()
        self.owner.execute("insert into organization (id, name) values (%s, %s)", [id, name])
        self.owner.execute(
            "insert into run (organization_id, id, name, state, chain, origin_key_content_id)"
            " values (%s, %s, 'run', 'running', '[]', %s)",
            [id, id, uuid7()],
        )
        return id

    def agent(self, organization: UUID, name: str) -> UUID:
        """Write an agent and return its id."""
        id, person = uuid7(), uuid7()
        self.owner.execute("insert into person (id, email, name) values (%s, %s, '')", [person, f"{person}@x.example"])
        self.owner.execute(
            "insert into agent (organization_id, id, name, type, status, version, owner_id)"
            " values (%s, %s, %s, 'functional', 'running', 1, %s)",
            [organization, id, name, person],
        )
        return id

    def limit(self, organization: UUID, kind: str, name: str, at_most: int) -> None:
        """Set how many may be under way at once."""
        self.owner.execute(
            "insert into concurrency_limit (organization_id, id, kind, name, at_most) values (%s, %s, %s, %s, %s)",
            [organization, uuid7(), kind, name, at_most],
        )

    def ready(self, organization: UUID, count: int, name: str = "t", **columns: Any) -> None:
        """Write ready tasks."""
        names = "".join(f", {column}" for column in columns)
        marks = ", %s" * len(columns)
        self.owner.cursor().executemany(
            "insert into task (organization_id, id, run_id, name, label, kind, chain, spec, state, ready_at"
            f"{names}) values (%s, %s, %s, %s, 'l', 'agent', '[]', '{{}}', 'ready', aos_now(){marks})",
            [[organization, uuid7(), organization, name, *columns.values()] for _ in range(count)],
        )

    def many(self, organization: UUID, count: int, *, lane: UUID, queue: str) -> None:
        """Write very many ready tasks."""
        self.owner.execute(
            "insert into task (organization_id, id, run_id, name, label, kind, chain, spec, state, ready_at, lane, queue)"
            " select %s, gen_random_uuid(), %s, 't', 'l', 'agent', '[]', '{}', 'ready', aos_now(), %s, %s"
            " from generate_series(1, %s)",
            [organization, organization, lane, queue, count],
        )

    def tasks_read(self, most: int) -> int:
        """Return how many rows of tasks one claim reads, those that it passes over included."""
        with psycopg.connect(self.database.machine, autocommit=True) as connection:
            connection.execute(prefer_indexes().encode())
            with connection.transaction(force_rollback=True):
                connection.execute(sql("lock_limits").encode())
                explain = "explain (analyze, format json) " + sql("claim_tasks")
                (plan,) = connection.execute(explain.encode(), claim_params(WORKER, most, FIRST_TURN)).fetchone() or ()
        return sum(
            node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            for node in nodes(plan[0]["Plan"])
            if node.get("Relation Name") == "task" and node["Node Type"] != "ModifyTable"
        )

    def claim(self, most: int, turn: Turn = FIRST_TURN) -> list[dict[str, Any]]:
        """Claim as a worker does."""
        with psycopg.connect(self.database.machine, autocommit=True, row_factory=dict_row) as connection:
            return claim(connection, most, turn)


def claim(connection: psycopg.Connection[Any], most: int, turn: Turn = FIRST_TURN) -> list[dict[str, Any]]:
    """Claim in one transaction."""
    connection.execute(prefer_indexes().encode())
    with connection.transaction():
        connection.execute(sql("lock_limits").encode())
        return connection.execute(sql("claim_tasks").encode(), claim_params(WORKER, most, turn)).fetchall()


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a plan."""
    yield node
    for below in node.get("Plans", ()):
        yield from nodes(below)


def counted(rows: Sequence[dict[str, Any]], column: str) -> Counter[Any]:
    """Count claimed tasks by a column."""
    return Counter(row[column] for row in rows)


@pytest.fixture
def queue(any_database: Database) -> Iterator[Queue]:
    """An empty queue, on the oldest and on the newest Postgres."""
    with psycopg.connect(any_database.owner, autocommit=True) as owner:
        yield Queue(owner, any_database)


def test_an_organization_with_much_ready_leaves_the_others_their_share(queue: Queue) -> None:
    large, small = queue.organization("large"), queue.organization("small")
    queue.ready(large, 500)
    queue.ready(small, 3)
    assert counted(queue.claim(20), "organization_id") == {large: 10, small: 3}
    queue.ready(small, 30)
    assert counted(queue.claim(20), "organization_id") == {large: 10, small: 10}


def test_one_organization_alone_gets_the_whole_batch(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 50)
    assert len(queue.claim(20)) == 20


def test_many_departments_do_not_make_an_organizations_share_larger(queue: Queue) -> None:
    wide, narrow = queue.organization("wide"), queue.organization("narrow")
    lanes = [uuid7() for _ in range(5)]
    for lane in lanes:
        queue.ready(wide, 50, lane=lane)
    queue.ready(narrow, 50)
    rows = queue.claim(20)
    assert counted(rows, "organization_id") == {wide: 10, narrow: 10}
    assert counted([row for row in rows if row["organization_id"] == wide], "lane") == dict.fromkeys(lanes, 2)


def test_the_urgent_and_then_the_oldest_come_first_inside_a_lane(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 2, "plain")
    queue.ready(only, 2, "urgent", priority=5)
    queue.ready(only, 2, "later", priority=-5)
    names = [[row["name"] for row in queue.claim(2)] for _ in range(3)]
    assert names == [["urgent"] * 2, ["plain"] * 2, ["later"] * 2]


def test_every_lane_is_served_where_there_are_more_than_one_claim_serves(queue: Queue) -> None:
    organizations = [queue.organization(f"o{n}") for n in range(150)]
    for organization in organizations:
        queue.ready(organization, 2)
    served: set[UUID] = set()
    turn = FIRST_TURN
    for _ in range(3):
        rows = queue.claim(64, turn)
        served.update(row["organization_id"] for row in rows)
        turn = max((row["organization_id"], row["lane"]) for row in rows)
    assert served == set(organizations)


def test_no_more_tasks_of_an_agent_or_queue_are_claimed_than_its_limit_allows(queue: Queue) -> None:
    only = queue.organization("only")
    slow, free = queue.agent(only, "slow"), queue.agent(only, "free")
    queue.limit(only, "agent", "slow", 3)
    queue.limit(only, "queue", "gpu", 2)
    queue.ready(only, 10, agent_id=slow)
    queue.ready(only, 5, agent_id=free, queue="gpu")
    queue.ready(only, 5, agent_id=free)
    rows: list[dict[str, Any]] = []
    for _ in range(8):
        rows += queue.claim(6)
    assert counted(rows, "agent_id") == {slow: 3, free: 7}
    queue.owner.execute("update task set state = 'succeeded', claim_token = null where state = 'running'")
    rows = queue.claim(20)
    assert counted(rows, "agent_id") == {slow: 3, free: 2}


def test_a_limit_on_another_organizations_agent_of_the_same_name_does_not_count(queue: Queue) -> None:
    here, there = queue.organization("here"), queue.organization("there")
    agents = {organization: queue.agent(organization, "same") for organization in (here, there)}
    queue.limit(here, "agent", "same", 1)
    for organization, agent in agents.items():
        queue.ready(organization, 4, agent_id=agent)
    assert counted(queue.claim(20), "organization_id") == {here: 1, there: 4}


def test_two_claims_at_once_never_count_the_same_room(queue: Queue) -> None:
    only = queue.organization("only")
    agent = queue.agent(only, "slow")
    queue.limit(only, "agent", "slow", 2)
    queue.ready(only, 10, agent_id=agent)
    with (
        psycopg.connect(queue.database.machine, row_factory=dict_row) as first,
        psycopg.connect(queue.database.machine, row_factory=dict_row) as second,
    ):
        claimed = claim(first, 4)
        assert len(claimed) == 2
        assert claim(second, 4) == []
        first.commit()
        second.commit()
        assert claim(second, 4) == []


def test_a_task_of_a_paused_run_and_one_whose_time_has_not_come_are_left(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 2, "held", paused=True)
    queue.ready(only, 2, "soon")
    queue.owner.execute("update task set ready_at = aos_now() + interval '1 hour' where name = 'soon'")
    queue.ready(only, 2, "now")
    assert counted(queue.claim(10), "name") == {"now": 2}


def test_however_many_tasks_a_full_limit_holds_back_no_claim_walks_over_them(queue: Queue) -> None:
    only, other = queue.organization("only"), queue.organization("other")
    queue.limit(only, "queue", "gpu", 2)
    gpu = lane_of(None, "gpu", Limits(only, {"gpu": 2}))
    queue.many(only, 20_000, lane=gpu, queue="gpu")
    assert len(queue.claim(6)) == 2
    queue.ready(only, 5)
    queue.ready(other, 5)
    assert queue.tasks_read(20) < 200
    assert counted(queue.claim(20), "lane") == {NO_LANE: 10}
    assert queue.tasks_read(20) < 200
    queue.owner.execute("update task set state = 'succeeded', claim_token = null where state = 'running'")
    assert counted(queue.claim(20), "lane") == {gpu: 2}


def test_a_lane_of_its_own_is_served_up_to_its_limit_beside_its_department(queue: Queue) -> None:
    only = queue.organization("only")
    agent = queue.agent(only, "slow")
    queue.limit(only, "agent", "slow", 3)
    lane = uuid5(only, "agent:slow")
    queue.ready(only, 50, agent_id=agent, lane=lane)
    queue.ready(only, 50)
    rows = [row for _ in range(6) for row in queue.claim(20)]
    assert counted(rows, "lane") == {lane: 3, NO_LANE: 50}


def test_a_departments_lane_is_not_passed_over_for_its_first_task(queue: Queue) -> None:
    only = queue.organization("only")
    queue.limit(only, "queue", "gpu", 1)
    queue.ready(only, 4, "held", queue="gpu", priority=9)
    queue.ready(only, 4, "free")
    assert counted([row for _ in range(3) for row in queue.claim(20)], "name") == {"held": 1, "free": 4}


def test_a_task_whose_limit_is_gone_or_never_was_is_claimed_from_the_lane_it_was_born_in(queue: Queue) -> None:
    only = queue.organization("only")
    queue.ready(only, 4, lane=uuid5(only, "queue:gpu"), queue="gpu")
    assert len(queue.claim(20)) == 4
