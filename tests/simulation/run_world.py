"""A small run that several workers work on at once, and what must hold of it whatever they do in whatever order.

Everything goes through the statements that AOS runs; a mutant changes the text of one, or leaves one out.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from aos.drivers.ids import StandardIds
from aos.kernel.limits import CLAIMS_MAX
from aos.kernel.workflow.states import FINAL, TaskState, may_move
from aos.operations.run_rows import RunRows, start_params
from aos.operations.tasks import FIRST_TURN, claim_params
from aos.store.rows import RecordRow, hex_bytes, rows_json
from aos.store.sql_files import sql
from aos.store.task_rows import (
    ClaimRow,
    CompleteRow,
    EdgeRow,
    ItemRow,
    ParkRow,
    PlannedRow,
    ReleaseRow,
    RunRow,
    SettleRow,
    SpawnRow,
    TaskKey,
    WaitRow,
)
from tests.simulation.interleaving import Actor

IDS = StandardIds()
WATCH = """
create table seen (id uuid, before text, after text, at bigserial);
grant insert on seen to public;
grant usage on sequence seen_at_seq to public;
create function watch() returns trigger language plpgsql as $$
begin
  if old.state is distinct from new.state then
    insert into seen (id, before, after) values (new.id, old.state, new.state);
  end if;
  return new;
end
$$;
create trigger watch after update on task for each row execute function watch();
"""
STATES = ("succeeded", "succeeded", "succeeded", "failed", "ready", "stuck")
"""What an attempt that ends comes to; `ready` is another attempt, at once or later."""
ORGANIZATION = """
insert into organization (id, name) values (%(id)s, 'model');
insert into organization_settings (organization_id, currency) values (%(id)s, 'EUR');
insert into person (id, email, name) values (%(person)s, 'maria@example.com', 'Maria');
insert into agent (organization_id, id, name, type, status, version, owner_id)
  values (%(id)s, %(agent)s, 'worker', 'functional', 'running', 1, %(person)s);
"""


@dataclass(frozen=True)
class Mutant:
    """A break in the statements that the model must notice."""

    name: str
    statement: str
    find: str = ""
    replace: str = ""
    leave_out: bool = False


@dataclass
class Held:
    """A claim that some worker believes it holds."""

    task_id: UUID
    token: UUID
    kind: str
    attempt: int
    started: bool


@dataclass
class World:
    """What the workers of one run know, and who checks them."""

    dsn: str
    chance: random.Random
    mutant: Mutant | None = None
    organization_id: UUID = field(default_factory=IDS.new)
    agent_id: UUID = field(default_factory=IDS.new)
    person_id: UUID = field(default_factory=IDS.new)
    run_id: UUID = field(default_factory=IDS.new)
    held: list[Held] = field(default_factory=list)
    holders: dict[UUID, UUID] = field(default_factory=dict)
    children: dict[UUID, list[UUID]] = field(default_factory=dict)
    expanded: set[UUID] = field(default_factory=set)
    approvals: list[tuple[UUID, UUID]] = field(default_factory=list)
    ended: Counter[UUID] = field(default_factory=Counter)
    records: set[UUID] = field(default_factory=set)

    # --- statements --------------------------------------------------------------------------------------------------

    async def run(self, actor: Actor, name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Run one of AOS's statements, or its mutant."""
        text = sql(name)
        if self.mutant is not None and self.mutant.statement == name:
            if self.mutant.leave_out:
                return []
            assert self.mutant.find in text, f"mutant `{self.mutant.name}` finds nothing to break"
            text = text.replace(self.mutant.find, self.mutant.replace)
        return await actor.run(text, params)

    def keys(self, *ids: UUID) -> str:
        return rows_json([TaskKey(organization_id=self.organization_id, id=each) for each in ids])

    def record(self, n: int) -> RecordRow:
        return RecordRow(
            n=n,
            organization_id=self.organization_id,
            id=IDS.new(),
            kind="task.finished",
            bytes=hex_bytes(b"{}"),
            leaf=hex_bytes(b"l" * 32),
            position=n,
            run_id=self.run_id,
        )

    # --- beginning ---------------------------------------------------------------------------------------------------

    def begin(self, tasks: int, *, fans: int) -> None:
        """Make the organization and a run of a random graph."""
        with psycopg.connect(self.dsn, autocommit=True) as owner:
            owner.execute(WATCH)
            for statement in ORGANIZATION.strip().split(";\n"):
                owner.execute(statement, {"id": self.organization_id, "person": self.person_id, "agent": self.agent_id})
            ids = [IDS.new() for _ in range(tasks)]
            after = [self.chance.sample(range(n), self.chance.randint(0, min(n, 3))) for n in range(tasks)]
            fan = set(self.chance.sample(range(tasks), fans))
            planned = [
                PlannedRow(
                    id=ids[n],
                    name=f"t{n}",
                    kind="fan" if n in fan else "agent",
                    agent_id=self.agent_id,
                    spec={},
                    blockers=len(after[n]),
                    needs=self.chance.choice([None, None, self.chance.randint(1, len(after[n]))]) if after[n] else None,
                    attempts_max=3,
                )
                for n in range(tasks)
            ]
            edges = [EdgeRow(source_id=ids[s], target_id=ids[n]) for n in range(tasks) for s in after[n]]
            run = RunRow(
                organization_id=self.organization_id,
                epoch=1,
                id=self.run_id,
                name="model",
                chain=[],
                origin_key_content_id=IDS.new(),
                origin_incomplete=False,
                tasks_total=tasks,
                action_id=IDS.new(),
                act_name="model",
                outcome="allow",
                rules=[],
                act_chain=[],
                digest=hex_bytes(b"d"),
                outcome_content_id=IDS.new(),
            )
            assert owner.execute(sql("start_run"), start_params([RunRows(run, planned, edges)])).fetchall()

    # --- what workers do ---------------------------------------------------------------------------------------------

    async def claim(self, actor: Actor) -> None:
        params = claim_params(IDS.new(), self.chance.randint(1, 4), FIRST_TURN)
        rows = await self.run(actor, "claim_tasks", params)
        for row in rows:
            self.hold(row)

    def hold(self, row: dict[str, Any]) -> None:
        """Note that a worker holds a task that was claimed for it."""
        assert row["id"] not in self.holders, "two workers hold one task"
        self.holders[row["id"]] = row["claim_token"]
        self.held.append(Held(row["id"], row["claim_token"], row["kind"], row["attempt"], row["started"]))

    def wrote(self, claim: Held, *, ends: bool = True) -> None:
        """Note that something was written under a claim: it must be the one that stands."""
        assert self.holders.get(claim.task_id) == claim.token, "a stale claim wrote"
        if ends:
            del self.holders[claim.task_id]

    def take(self, most: int) -> list[Held]:
        """Take some claims to work with: a claim is used by one transaction at a time, stale ones too."""
        taken = self.chance.sample(self.held, min(len(self.held), self.chance.randint(1, most)))
        for each in taken:
            self.held.remove(each)
        return taken

    def complete(self, claims: list[Held], *, states: tuple[str, ...] = STATES):
        rows = [
            CompleteRow(
                n=n,
                organization_id=self.organization_id,
                task_id=each.task_id,
                claim_token=each.token,
                state=self.chance.choice(states),
                retry_seconds=self.chance.choice([0.0, 600.0]),
            )
            for n, each in enumerate(claims)
        ]

        async def work(actor: Actor) -> None:
            await self.run(actor, "lock_tasks", {"tasks": self.keys(*(each.task_id for each in claims))})
            records = [self.record(n) for n in range(len(rows))]
            params: dict[str, Any] = {"members": rows_json(rows), "records": rows_json(records)}
            params |= {"contents": "[]", "usage": "[]", "hand_on_max": self.chance.randint(0, 2)}
            params |= {"worker_id": IDS.new(), "lease_seconds": 30}
            done = await self.run(actor, "complete_tasks", params)
            written = [row["n"] for row in done if row["n"] is not None]
            handed = [row for row in done if row["n"] is None]
            for n in written:
                self.wrote(claims[n])
                if rows[n].state in FINAL:
                    self.ended[rows[n].task_id] += 1
                    self.records.add(records[n].id)
            claims_handed = [
                ClaimRow(organization_id=self.organization_id, task_id=row["task_id"], claim_token=row["claim_token"])
                for row in handed
            ]
            if claims_handed:
                for claim in await self.run(actor, "load_claimed", {"claims": rows_json(claims_handed)}):
                    self.hold(claim)

        return work

    def spawn(self, parent: Held):
        child = IDS.new()
        row = SpawnRow(
            n=0,
            organization_id=self.organization_id,
            epoch=1,
            task_id=parent.task_id,
            claim_token=parent.token,
            run_id=self.run_id,
            attempt=parent.attempt,
            call_key=f"spawn-{child}",
            tries=0,
            action_id=IDS.new(),
            name="worker",
            outcome="allow",
            rules=[],
            chain=[],
            digest=hex_bytes(b"d"),
            child_id=child,
            child_name="worker",
            child_label="worker",
            child_agent_id=self.agent_id,
            child_chain=[],
            child_spec={},
            outcome_content_id=IDS.new(),
        )

        async def work(actor: Actor) -> None:
            await self.run(actor, "lock_tasks", {"tasks": self.keys(parent.task_id)})
            params = {"members": rows_json([row]), "contents": "[]", "records": "[]", "tasks_max": 1_000}
            if await self.run(actor, "spawn_tasks", params):
                self.wrote(parent, ends=False)
                self.children.setdefault(parent.task_id, []).append(child)
            if parent not in self.held:
                self.held.append(parent)

        return work

    def expand(self, fan: Held):
        items = [ItemRow(id=IDS.new(), index=n) for n in range(self.chance.randint(1, 4))]

        async def work(actor: Actor) -> None:
            await self.run(actor, "lock_tasks", {"tasks": self.keys(fan.task_id)})
            params = {
                "organization_id": self.organization_id,
                "task_id": fan.task_id,
                "claim_token": fan.token,
                "items": rows_json(items),
                "count": len(items),
                "spec": "{}",
                "contents": "[]",
                "tasks_max": 1_000,
            }
            if await self.run(actor, "expand_fan", params):
                self.wrote(fan)
                self.expanded.add(fan.task_id)

        return work

    def escalate(self, claim: Held) -> UUID:
        """Open an approval for a call of a task, as the gate does."""
        approval = IDS.new()
        with psycopg.connect(self.dsn, autocommit=True) as owner:
            owner.execute(
                "insert into approval (organization_id, id, action_id, act_kind, act_name, digest, chain, task_id, rules,"
                " approver_role, roles_left, status, shown_content_id, expires_at) values"
                " (%s, %s, %s, 'tool', 't', 'd', '[]', %s, '[]', 'approver', '{approver}', 'pending', %s, aos_now() + '1 h')",
                (self.organization_id, approval, IDS.new(), claim.task_id, IDS.new()),
            )
        self.approvals.append((approval, claim.task_id))
        return approval

    def park(self, claim: Held):
        waits = [WaitRow(n=0, source_id=child, kind="child") for child in self.children.get(claim.task_id, [])]
        if not waits or self.chance.random() < 0.3:
            waits.append(WaitRow(n=0, source_id=self.escalate(claim), kind="approval"))
        row = ParkRow(
            n=0,
            organization_id=self.organization_id,
            task_id=claim.task_id,
            claim_token=claim.token,
            waits_for="children",
        )

        async def work(actor: Actor) -> None:
            ids = [claim.task_id, *(each.source_id for each in waits if each.kind == "child")]
            await self.run(actor, "lock_tasks", {"tasks": self.keys(*ids)})
            if await self.run(actor, "park_tasks", {"members": rows_json([row]), "waits": rows_json(waits)}):
                self.wrote(claim)

        return work

    def answer(self, approval: UUID, task_id: UUID):
        row = SettleRow(
            n=0,
            organization_id=self.organization_id,
            approval_id=approval,
            status=self.chance.choice(["approved", "denied"]),
            person_id=self.person_id,
            roles=("approver",),
        )

        async def work(actor: Actor) -> None:
            await self.run(actor, "lock_tasks", {"tasks": self.keys(task_id)})
            params = {"members": rows_json([row]), "contents": "[]", "records": "[]"}
            await self.run(actor, "settle_approvals", params)

        return work

    def release(self, claims: list[Held]):
        rows = [
            ReleaseRow(
                n=n,
                organization_id=self.organization_id,
                task_id=each.task_id,
                claim_token=each.token,
                counted=False,
            )
            for n, each in enumerate(claims)
        ]

        async def work(actor: Actor) -> None:
            await self.run(actor, "lock_tasks", {"tasks": self.keys(*(each.task_id for each in claims))})
            for row in await self.run(actor, "release_tasks", {"members": rows_json(rows)}):
                self.wrote(claims[row["n"]])

        return work

    async def lose_leases(self, actor: Actor) -> None:
        """The leases of some claims run out, and the sweep takes the tasks back; their workers do not know."""
        lost = self.chance.sample(self.held, min(len(self.held), 2))
        await actor.run(
            "update task set lease_until = aos_now() - interval '1 s' where id = any(%(ids)s::uuid[]) and state = 'running'",
            {"ids": [each.task_id for each in lost]},
        )
        params = {"tasks_max": 10, "claims_max": CLAIMS_MAX * 100, "lease_seconds": 60}
        for row in await self.run(actor, "sweep_leases", params):
            self.holders.pop(row["id"], None)

    async def wake(self, actor: Actor) -> None:
        """The time of some tasks comes, and a person lets some that are stuck try again."""
        await actor.run("update task set wake_at = aos_now() where state = 'waiting' and wake_at is not null", {})
        await self.run(actor, "wake_tasks", {"tasks_max": 100})
        await actor.run("update task set state = 'ready', claims = 0, ready_at = aos_now() where state = 'stuck'", {})

    async def renew(self, actor: Actor) -> None:
        rows = [
            ClaimRow(organization_id=self.organization_id, task_id=each.task_id, claim_token=each.token)
            for each in self.held
        ]
        await self.run(actor, "renew_leases", {"claims": rows_json(rows), "lease_seconds": 60})

    async def cancel(self, actor: Actor) -> None:
        where = {"organization_id": self.organization_id, "run_ids": [self.run_id]}
        await self.run(actor, "lock_run_tasks", where)
        await self.run(actor, "cancel_run", {**where, "usage": "[]", "records": "[]"})

    def set_paused(self, paused: bool):
        async def work(actor: Actor) -> None:
            where = {"organization_id": self.organization_id, "run_ids": [self.run_id]}
            await self.run(actor, "lock_run_tasks", where)
            from_state, to_state = ("running", "paused") if paused else ("paused", "running")
            params = {**where, "paused": paused, "from_state": from_state, "to_state": to_state, "records": "[]"}
            await self.run(actor, "set_run_paused", params)

        return work

    # --- what must hold ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Look at every row, nothing being under way."""
        with psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row) as owner:
            tasks = owner.execute("select * from task").fetchall()
            (run,) = owner.execute("select * from run").fetchall()
            edges = owner.execute("select * from edge").fetchall()
            open_approvals = {row["id"] for row in owner.execute("select id from approval where status = 'pending'")}
            moves = owner.execute("select id, before, after from seen order by at").fetchall()
            records = {row["id"] for row in owner.execute("select id from record where kind = 'task.finished'")}
        finals = {state.value for state in FINAL}
        open_tasks = {task["id"] for task in tasks if task["state"] not in finals}
        if run["state"] != "cancelled":
            assert run["tasks_open"] == len(open_tasks), f"{run['tasks_open']} counted, {len(open_tasks)} open"
        else:
            assert not open_tasks, "a cancelled run has an open task"
        assert run["tasks_total"] == len(tasks)
        if run["state"] in ("running", "paused"):
            wrong = [t["label"] for t in tasks if t["id"] in open_tasks and t["paused"] != (run["state"] == "paused")]
            assert not wrong, f"the run is {run['state']}, but not so {wrong}"
        for move in moves:
            assert may_move(TaskState(move["before"]), TaskState(move["after"])), f"illegal move: {move}"
        finished = Counter(move["id"] for move in moves if move["after"] in finals)
        assert all(count == 1 for count in finished.values()), "a task ended twice"
        for task in tasks:
            self._check_task(task, edges, open_tasks | open_approvals)
        done = {task["id"] for task in tasks if task["state"] in finals and task["state"] != "cancelled"}
        assert set(self.ended) == done, "what workers were told and what stands differ"
        assert max(self.ended.values(), default=1) == 1, "a task's end was written twice"
        assert self.records <= records, "a task ended without its record"

    def _check_task(self, task: dict[str, Any], edges: list[dict[str, Any]], open_sources: set[UUID]) -> None:
        kind = {"blocked": "after", "waiting": "child"}.get(task["state"])
        if kind is None:
            assert (task["claim_token"] is not None) == (task["state"] == "running")
            return
        mine = [edge for edge in edges if edge["target_id"] == task["id"] and edge["kind"] == kind]
        count = sum(edge["source_id"] in open_sources for edge in mine)
        assert task["blockers"] == count, (
            f"{task['label']} {task['state']}: counts {task['blockers']}, waits for {count}"
        )
        if task["waits_for"] == "retry" and task["state"] == "waiting":
            assert (count, task["wake_at"] is None) == (0, False), f"{task['label']} waits for a time that never comes"
            return
        assert (task["needs"] or 0) <= count, f"{task['label']} needs {task['needs']} of {count}: its end was lost"
        assert count > 0, f"{task['label']} is {task['state']} and waits for nothing: its wake-up was lost"

    def state_of_run(self) -> dict[str, Any]:
        with psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row) as owner:
            (run,) = owner.execute("select state, tasks_open from run").fetchall()
            return dict(run)
