"""Schedules that are due: each time starts one run at most, whoever races, dies or is asked first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from aos.kernel.errors import Conflict, NotFound, Unavailable
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.operations.due_schedules import DueSchedules, Fired
from aos.operations.runs import Runs, RunStarted
from aos.store.sql_files import sql
from aos.workers.schedules import ScheduleDuty
from tests.databases import Database
from tests.operations.test_runs_crashes import run_agent
from tests.working import Working, working
from tests.worlds import IDS, World, make_world

EVERY_MINUTE = "* * * * *"


def company(database: Database, *roles: str, rules: list[Rule] | None = None) -> World:
    """Return an organization with one agent, whose owner has these roles."""
    world = make_world(database, agents=[run_agent("echo")], rules=rules or [])
    world.rows(
        "insert into member (organization_id, id, person_id, roles) values (%s, %s, %s, %s)",
        world.organization_id,
        IDS.new(),
        world.person_id,
        list(roles or ("operator",)),
    )
    return world


def schedule(world: World, *, minutes_late: float = 0, cron: str = EVERY_MINUTE, **more: Any) -> UUID:
    """Write a schedule that was due at a whole minute so long ago."""
    columns = {
        "organization_id": world.organization_id,
        "id": IDS.new(),
        "name": f"s-{IDS.new().hex[-8:]}",
        "target_kind": "agent",
        "target": "echo",
        "cron": cron,
        "timezone": "Europe/Berlin",
        "catch_up": "last",
        "overlap": "allow",
        "owner_id": world.person_id,
        "next_at": minute(world, -minutes_late),
        **more,
    }
    names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    world.rows(f"insert into schedule ({names}) values ({marks})", *columns.values())
    return columns["id"]


def minute(world: World, minutes: float) -> datetime:
    """Return the whole minute of the database's time so many minutes from now."""
    ((now,),) = world.rows("select date_trunc('minute', aos_now())")
    moment: datetime = now + timedelta(minutes=minutes)
    return moment.astimezone(UTC)


def row(world: World, id: UUID) -> dict[str, Any]:
    """Return a schedule's row."""
    names = ("next_at", "last_at", "last_run_id", "last_error", "enabled", "asked_at")
    (found,) = world.rows(f"select {', '.join(names)} from schedule where id = %s", id)
    return dict(zip(names, found, strict=True))


def keys(world: World) -> list[str]:
    """Return the times that runs were started for, oldest first."""
    found = world.rows("select key from idempotency where status = 201 order by key")
    return [key.split(":", 2)[2] for (key,) in found]


def runs(world: World) -> int:
    """Return how many runs there are."""
    ((count,),) = world.rows("select count(*) from run")
    return int(count)


def told(world: World, story: Callable[[Working], Coroutine[Any, Any, None]], *, started: bool = False) -> None:
    """Tell a story in which no worker runs by itself."""

    async def go() -> None:
        async with working(world, started=started) as aos:
            await story(aos)

    asyncio.run(go())


async def fire_all(aos: Working) -> list[Fired]:
    """Act on everything that is due, once each."""
    return [await aos.do.schedules.fire(each) for each in await aos.do.schedules.due()]


def test_a_due_schedule_starts_its_run_as_its_owner_and_moves_to_the_next_time(database: Database) -> None:
    world = company(database)
    id = schedule(world, priority=7, goal="for ${due.date}", labels='{"by": "time"}')

    async def story(aos: Working) -> None:
        due = minute(world, 0)
        assert await fire_all(aos) == [Fired.STARTED]
        found = row(world, id)
        assert (found["last_at"], found["last_error"], found["enabled"]) == (due, None, True)
        assert found["next_at"] > due
        run = aos.run(found["last_run_id"])
        assert (run["schedule_id"], run["priority"], run["labels"]) == (id, 7, {"by": "time"})
        assert run["chain"][0]["id"] == str(world.person_id)
        assert aos.content(run["goal_content_id"]) == f"for {due.astimezone(ZoneInfo('Europe/Berlin')).date()}"
        (task,) = aos.tasks(run["id"]).values()
        assert task["priority"] == 7
        assert await aos.do.schedules.due() == []

    told(world, story)
    assert keys(world) == [row(world, id)["last_at"].astimezone(UTC).isoformat()]


def test_a_worker_starts_what_is_due_by_itself_and_sleeps_until_the_next_time(database: Database) -> None:
    world = company(database)
    id = schedule(world)

    async def story(aos: Working) -> None:
        (found,) = await aos.until("select * from schedule where last_run_id is not null")
        assert found["id"] == id
        assert (await aos.ended(found["last_run_id"]))["state"] == "succeeded"
        await aos.check_books()

    told(world, story, started=True)


def test_the_duty_wakes_when_the_next_time_comes(database: Database) -> None:
    world = company(database)
    later = schedule(world, cron="0 0 1 1 *", next_at=minute(world, 0) + timedelta(days=1))

    async def story(aos: Working) -> None:
        duty = ScheduleDuty(aos.do.schedules)
        assert await duty.work_once(None) == 0
        assert duty.interval_seconds == 2.0
        world.rows("update schedule set next_at = aos_now() + interval '0.4 s' where id = %s", later)
        assert await duty.work_once(None) == 0
        assert 0 < duty.interval_seconds <= 0.4

    told(world, story)


def test_workers_that_race_start_one_run_for_a_time(database: Database) -> None:
    world = company(database)
    ids = [schedule(world) for _ in range(5)]

    async def story(aos: Working) -> None:
        async with working(world, started=False) as other:
            found = [*(await aos.do.schedules.due()), *(await other.do.schedules.due())]
            assert len(found) == 2 * len(ids)
            ends = await asyncio.gather(
                *(
                    (aos if index % 2 else other).do.schedules.fire(each)
                    for index, each in enumerate(sorted(found * 2, key=lambda each: each["id"]))
                )
            )
        assert ends.count(Fired.STARTED) == len(ids)
        assert runs(world) == len(ids)

    told(world, story)


class Dies(Exception):
    """Stands for a worker's end."""


@pytest.mark.parametrize("step", ["before the start", "within the start", "after the start", "after the commit"])
def test_a_worker_that_dies_between_any_two_steps_loses_no_time_and_repeats_none(database: Database, step: str) -> None:
    world = company(database)
    id = schedule(world)

    class Dying(Runs):
        async def start_run(self, principal: Any, request: Any, *, besides: Any = None) -> Any:
            async def dies(transaction: Any, run_id: UUID) -> None:
                if step == "after the start":
                    await besides(transaction, run_id)
                raise Dies

            if step == "before the start":
                raise Dies
            if step == "after the commit":
                await super().start_run(principal, request, besides=besides)
                raise Dies
            return await super().start_run(principal, request, besides=dies)

    async def story(aos: Working) -> None:
        dying = DueSchedules(
            aos.running.database,
            aos.running.facts,
            Dying(aos.running.database, aos.running.facts, aos.do.acts, aos.running.drivers),
            aos.running.drivers,
        )
        (found,) = await dying.due()
        with pytest.raises(Dies):
            await dying.fire(found)
        moved = step == "after the commit"
        assert runs(world) == (1 if moved else 0)
        assert await fire_all(aos) == ([] if moved else [Fired.STARTED])
        assert runs(world) == 1
        assert row(world, id)["last_run_id"] is not None

    told(world, story)


def test_a_time_is_not_started_again_when_its_key_is_forgotten(database: Database) -> None:
    world = company(database)
    schedule(world)

    async def story(aos: Working) -> None:
        (found,) = await aos.do.schedules.due()
        assert await aos.do.schedules.fire(found) is Fired.STARTED
        world.rows("delete from idempotency")
        assert await aos.do.schedules.fire(found) is Fired.LOST
        assert runs(world) == 1

    told(world, story)


@pytest.mark.parametrize(
    ("catch_up", "started"),
    [("none", [0]), ("last", [0]), ("all", [-4, -3, -2, -1, 0])],
)
def test_times_missed_while_nothing_ran_are_caught_up_with_as_the_schedule_says(
    database: Database, catch_up: str, started: list[int]
) -> None:
    world = company(database)
    schedule(world, minutes_late=4, catch_up=catch_up)

    async def story(aos: Working) -> None:
        before = minute(world, 0)
        while await fire_all(aos):
            pass
        if minute(world, 0) == before:  # no further minute came while this was told
            assert keys(world) == [(before + timedelta(minutes=each)).isoformat() for each in started]

    told(world, story)


def test_what_was_missed_long_ago_is_left_where_the_schedule_says_none(database: Database) -> None:
    world = company(database)
    id = schedule(world, cron="0 0 1 1 *", catch_up="none", next_at=datetime(2026, 1, 1, tzinfo=UTC))

    async def story(aos: Working) -> None:
        world.rows("update schedule set next_at = aos_now() - interval '2 hours'")
        assert await fire_all(aos) == [Fired.PASSED]
        assert row(world, id)["last_error"] == "missed, and not caught up with"
        assert row(world, id)["next_at"] > minute(world, 0)

    told(world, story)
    assert runs(world) == 0


def test_catching_up_is_bounded(database: Database) -> None:
    world = company(database)
    id = schedule(world, minutes_late=60 * 24 * 30, catch_up="all")

    async def story(aos: Working) -> None:
        assert await fire_all(aos) == [Fired.STARTED]
        assert minute(world, 0) - row(world, id)["last_at"] <= timedelta(minutes=100)

    told(world, story)


def test_runs_that_may_not_overlap_leave_a_time_out_while_one_is_open(database: Database) -> None:
    world = company(database)
    id = schedule(world, overlap="skip", cron="0 0 1 1 *")

    async def story(aos: Working) -> None:
        assert await fire_all(aos) == [Fired.STARTED]
        run_id = row(world, id)["last_run_id"]
        world.rows("update schedule set next_at = %s where id = %s", minute(world, -1), id)
        assert await fire_all(aos) == [Fired.PASSED]
        assert row(world, id)["last_error"] == f"left out: run {run_id} is still open"
        with pytest.raises(Conflict, match="still open"):
            await aos.do.schedules.run_now(aos.person, str(id))
        await aos.worker.start()
        await aos.ended(run_id)
        world.rows("update schedule set next_at = %s where id = %s", minute(world, -2), id)
        await aos.until("select from schedule where last_run_id <> %s", run_id)

    told(world, story)


def test_a_run_by_hand_is_the_askers_and_leaves_the_times_alone(database: Database) -> None:
    world = company(database)
    id = schedule(world, cron="0 0 1 1 *", minutes_late=-60, overlap="skip")

    async def story(aos: Working) -> None:
        before = row(world, id)["next_at"]
        started = await aos.do.schedules.run_now(aos.person, str(id))
        assert isinstance(started, RunStarted)
        found = row(world, id)
        assert (found["last_run_id"], found["next_at"]) == (started.run_id, before)
        assert aos.run(started.run_id)["schedule_id"] == id

    told(world, story)


@pytest.mark.parametrize("roles", [["viewer"], None])
def test_a_schedule_pauses_when_its_owner_loses_the_right(database: Database, roles: list[str] | None) -> None:
    world = company(database)
    id = schedule(world)
    if roles is None:
        world.rows("delete from member")
    else:
        world.rows("update member set roles = %s", roles)

    async def story(aos: Working) -> None:
        assert await fire_all(aos) == [Fired.PASSED]
        found = row(world, id)
        assert (found["enabled"], found["next_at"]) == (False, None)
        assert "may no longer start runs" in found["last_error"]
        assert await aos.do.schedules.due() == []
        assert len(aos.rows("select from record where kind = 'registry.changed'")) == 1

    told(world, story)
    assert runs(world) == 0


def test_what_a_schedule_cannot_start_is_said_and_the_schedule_goes_on(database: Database) -> None:
    world = company(database)
    gone = schedule(world, target="nobody")
    wrong = schedule(world, goal="${due.nothing}")
    right = schedule(world)

    async def story(aos: Working) -> None:
        assert sorted(await fire_all(aos)) == [Fired.PASSED, Fired.PASSED, Fired.STARTED]
        assert row(world, gone)["last_error"] == "not-found: there is no agent `nobody`"
        assert row(world, wrong)["last_error"] == "invalid condition"
        assert all(row(world, each)["enabled"] for each in (gone, wrong, right))
        assert row(world, right)["last_error"] is None

    told(world, story)


def test_what_is_due_is_found_without_a_look_at_its_owners_idempotency_keys() -> None:
    assert "idempotency" not in sql("load_due_schedules")


DENIED = Rule("no-runs", 1, Outcome.DENY, (), ("run:echo",), "", "not at night")
ASKED = Rule("ask", 1, Outcome.ESCALATE, (), ("run:echo",), "", "a person first", approvers=Approvers())


def test_a_refused_start_is_said_without_what_the_run_was_to_be_given(database: Database) -> None:
    world = company(database, rules=[DENIED])
    id = schedule(world, goal="a secret goal")

    async def story(aos: Working) -> None:
        assert await fire_all(aos) == [Fired.PASSED]
        assert row(world, id)["last_error"].startswith("refused (denied): see action ")

    told(world, story)


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
def test_a_start_that_waits_for_a_person_happens_once_when_they_agree(database: Database, catch_up: str) -> None:
    world = company(database, "operator", "approver", rules=[ASKED])
    id = schedule(world, minutes_late=1, catch_up=catch_up)

    async def story(aos: Working) -> None:
        asked = minute(world, -1 if catch_up == "all" else 0)
        assert await fire_all(aos) == [Fired.WAITS]
        assert await fire_all(aos) == [Fired.WAITS]
        (approval,) = aos.rows("select id from approval")
        assert row(world, id)["last_error"] == f"waits for approval {approval['id']}"
        assert row(world, id)["asked_at"] == asked
        # Later times come while the person thinks.
        world.rows("update schedule set next_at = next_at - interval '1 hour'") if catch_up == "last" else None
        await aos.answer(approval["id"])
        assert await fire_all(aos) == [Fired.STARTED]
        assert (row(world, id)["last_at"], row(world, id)["last_error"]) == (asked, None)
        assert row(world, id)["asked_at"] is None
        assert runs(world) == 1

    told(world, story)


def test_one_schedule_that_fails_keeps_no_other_waiting(database: Database) -> None:
    world = company(database)
    ids = [schedule(world) for _ in range(3)]

    class Failing(DueSchedules):
        async def fire(self, found: Any) -> Fired:
            if found["id"] == ids[0]:
                raise RuntimeError("broken")
            if found["id"] == ids[1]:
                raise Unavailable("away")
            return await super().fire(found)

    async def story(aos: Working) -> None:
        do = aos.do
        duty = ScheduleDuty(Failing(aos.running.database, aos.running.facts, do.runs, aos.running.drivers))
        assert await duty.work_once(None) == 1
        assert await duty.work_once(None) == 0
        assert row(world, ids[2])["last_run_id"] is not None

    told(world, story)
    assert runs(world) == 1


def test_a_schedule_of_one_organization_is_not_started_in_another(database: Database) -> None:
    world = company(database)
    other = make_world(database, agents=[run_agent("echo")], keys=world.keys)
    id = schedule(world, cron="0 0 1 1 *", minutes_late=-60)

    async def story(aos: Working) -> None:
        with pytest.raises(NotFound):
            await aos.do.schedules.run_now(aos.person, str(id))

    told(other, story)
