"""What must hold of the whole simulation: at any moment, and when everything has come to its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aos.kernel.workflow.states import FINAL, RUN_FINAL, TaskState, may_move
from aos.operations.contents import DataKeys, open_json
from aos.operations.drivers import Drivers
from tests.simulation.run_world import WATCH
from tests.simulation.stepper import Broken, Stage
from tests.simulation.whole_agents import differs
from tests.simulation.whole_book import Book
from tests.simulation.whole_company import RUN_KEY, Company, Ordered

PREPARE = WATCH.replace("create table seen (id uuid", "create table seen (organization_id uuid, id uuid").replace(
    "insert into seen (id, before, after) values (new.id,",
    "insert into seen (organization_id, id, before, after) values (new.organization_id, new.id,",
)
RETIRE = (
    "update run set archived_at = aos_now(), state = 'cancelled' where organization_id = %(organization_id)s",
    "delete from approval where organization_id = %(organization_id)s",
    "delete from task where organization_id = %(organization_id)s",
    "delete from ledger_pending where organization_id = %(organization_id)s",
    "delete from action where organization_id = %(organization_id)s and state = 'intended'",
)
"""What is done to the company of a play, so that the next play meets nothing of it."""
FINALS = tuple(state.value for state in FINAL)

ACCOUNTS = """
select b.name, b.limit_nanos, a.held_nanos, a.settled_nanos,
  coalesce(sum((h.hold ->> 2)::bigint) filter (where x.state = 'intended'), 0)::bigint as held,
  coalesce(sum(x.cost_nanos) filter (where x.state in ('performed', 'failed', 'unknown')), 0)::bigint as settled
from budget_account a
join budget b on b.organization_id = a.organization_id and b.id = a.budget_id
left join (action x cross join lateral jsonb_array_elements(x.holds) as h(hold))
  on x.organization_id = a.organization_id and (h.hold ->> 0)::uuid = a.budget_id
  and (h.hold ->> 1)::date = a.period_start
where a.organization_id = %(organization_id)s
group by a.organization_id, a.budget_id, a.period_start, b.organization_id, b.id
"""
RUNS = """
select r.id, r.state, r.error_code, r.labels, r.tasks_open, r.tasks_total, r.output_content_id, r.undoes_id,
  (r.parent_run_id is null and r.undoes_id is null and r.forked_from_id is null) as ordered,
  (select count(*) from task t where t.organization_id = r.organization_id and t.run_id = r.id
    and not t.state = any(%(finals)s)) as still_open,
  (select count(*) from task t where t.organization_id = r.organization_id and t.run_id = r.id)
    + (select count(*) from task_finished t where t.organization_id = r.organization_id and t.run_id = r.id) as tasks
from run r where r.organization_id = %(organization_id)s order by r.id
"""
TASKS = """
select id, run_id, name, label, state, error_code, claims, attempt, blockers, started_at from task
where organization_id = %(organization_id)s
union all
select id, run_id, name, label, state, error_code, claims, attempt, blockers, started_at from task_finished
where organization_id = %(organization_id)s
"""
ACTIONS = """
select a.id, a.kind, a.name, a.state, a.outcome, a.task_id, a.holds, a.cost_nanos,
  array(select r.kind from record r where r.organization_id = a.organization_id and r.action_id = a.id) as records
from action a where a.organization_id = %(organization_id)s
"""
COUNTS = """
select (select count(*) from record where organization_id = %(organization_id)s) as records,
  (select count(*) from ledger_leaf where organization_id = %(organization_id)s) as leaves,
  (select count(*) from ledger_pending where organization_id = %(organization_id)s) as pending,
  (select count(*) from usage_event where organization_id = %(organization_id)s) as charged,
  (select count(distinct record_id) from usage_event where organization_id = %(organization_id)s) as charged_records,
  (select count(*) from usage_event u where organization_id = %(organization_id)s and not exists (
    select from record r where r.organization_id = u.organization_id and r.id = u.record_id)) as without_record
"""
FINISHED = """
select j.body ->> 'task_id' as task_id, j.body ->> 'status' as status
from record r cross join lateral (select convert_from(r.bytes, 'utf8')::jsonb as body) j
where r.organization_id = %(organization_id)s and r.kind = 'task.finished'
"""


WANTED = """
select
  array(select id from approval where organization_id = %(organization_id)s and status = 'pending' order by id) as asked,
  array(select jsonb_build_array(run_id, id) from task
    where organization_id = %(organization_id)s and state = 'stuck' order by id) as stuck,
  array(select id from run where organization_id = %(organization_id)s and state = 'paused'
    and parent_run_id is null order by id) as paused
"""


@dataclass(frozen=True)
class Wanted:
    """What waits for a person: approvals, tasks that ended their workers too often (run and task), runs that are paused."""

    asked: list[UUID]
    stuck: list[tuple[UUID, UUID]]
    paused: list[UUID]


class Checks:
    """The checks of one company."""

    def __init__(self, stage: Stage, company: Company, book: Book) -> None:
        self._stage = stage
        self._company = company
        self._book = book
        self._where = {"organization_id": company.world.organization_id, "finals": list(FINALS)}
        self._seen = 0

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Ask as the superuser."""
        cursor = await self._stage.monitor.execute(query.encode(), self._where)
        return await cursor.fetchall()

    async def at_any_moment(self) -> None:
        """Check what holds after every step."""
        problems = list(self._stage.problems)
        for move in await self.rows(f"select at, id, before, after from seen where at > {self._seen} order by at"):
            self._seen = move["at"]
            if not may_move(TaskState(move["before"]), TaskState(move["after"])):
                problems.append(f"task {move['id']} moved from {move['before']} to {move['after']}")
        for account in await self.rows(ACCOUNTS):
            problems += _account_problems(account)
        for run in await self.rows(RUNS):
            problems += _run_problems(run)
        problems += self._book.problems(self._company.safe)
        _raise(problems)

    async def is_over(self) -> bool:
        """Say whether nothing is left to be done."""
        open_rows = await self.rows(
            "select (select count(*) from run where organization_id = %(organization_id)s"
            "   and state in ('running', 'paused'))"
            " + (select count(*) from action where organization_id = %(organization_id)s and state = 'intended')"
            " + (select count(*) from ledger_pending where organization_id = %(organization_id)s) as left"
        )
        return bool(open_rows[0]["left"] == 0)

    async def wanted(self) -> Wanted:
        """Return what waits for a person."""
        (row,) = await self.rows(WANTED)
        stuck = [(UUID(run_id), UUID(task_id)) for run_id, task_id in row["stuck"]]
        return Wanted(row["asked"], stuck, row["paused"])

    async def at_the_end(self, keys: DataKeys, drivers: Drivers) -> None:
        """Check what came of everything."""
        await self.at_any_moment()
        runs, tasks = await self.rows(RUNS), await self.rows(TASKS)
        actions, finished = await self.rows(ACTIONS), await self.rows(FINISHED)
        (counts,) = await self.rows(COUNTS)
        outputs = {run["id"]: await self._output(run, keys, drivers) for run in runs}
        _raise(
            [
                *self._orders_problems(runs, outputs),
                *_tasks_problems(tasks, finished),
                *_actions_problems(actions),
                *(await self._order_problems(runs, tasks)),
                *_counts_problems(counts),
            ]
        )

    async def what_is_left(self) -> str:
        """Return what keeps the simulation from its end."""
        runs = [f"{run['labels'].get(RUN_KEY)} {run['state']}" for run in await self.rows(RUNS)]
        tasks = [
            f"{task['label']} {task['state']} blockers {task['blockers']} claims {task['claims']}"
            for task in await self.rows(TASKS)
            if task["state"] not in FINALS
        ]
        acts = [f"{act['name']} {act['state']}" for act in await self.rows(ACTIONS) if act["state"] == "intended"]
        return f"runs {runs}, tasks {tasks}, acts {acts}"

    async def _output(self, run: dict[str, Any], keys: DataKeys, drivers: Drivers) -> Any:
        if run["output_content_id"] is None:
            return None
        (row,) = await self.rows(
            f"select * from content where organization_id = %(organization_id)s and id = '{run['output_content_id']}'"
        )
        return open_json(row, keys=keys, crypto=drivers.crypto)

    def _orders_problems(self, runs: list[dict[str, Any]], outputs: dict[Any, Any]) -> list[str]:
        problems = []
        by_key = {order.key: order for order in self._company.orders}
        times = Counter(run["labels"].get(RUN_KEY) for run in runs if run["ordered"])
        first = {run["id"] for run in runs if run["ordered"]}
        told = Counter(
            text
            for run, output in outputs.items()
            if run in first
            for text in _all_texts(output)
            if text.startswith("told ")
        )
        problems += [f"the value of `{text}` was taken {count} times" for text, count in told.items() if count > 1]
        problems += [f"{key} was started {times[key]} times" for key in by_key if times[key] != 1]
        for run in runs:
            if run["state"] not in {state.value for state in RUN_FINAL}:
                problems.append(f"run {run['labels']} is lost: {run['state']}")
            if run["state"] == "succeeded" and run["ordered"]:
                problems += self._output_problems(by_key[run["labels"][RUN_KEY]], outputs[run["id"]])
        return problems

    def _output_problems(self, order: Ordered, output: Any) -> list[str]:
        problems = []
        wanted = order.output
        if isinstance(wanted, dict):
            found = output if isinstance(output, dict) else {}
            wrong = [
                name
                for name, value in wanted.items()
                if differs(found.get(name), value) and not (found.get(name) is None and name in order.may_lack)
            ]
            if wrong:
                problems.append(f"{order.key} returned {output}, not {wanted}")
        elif differs(output, wanted):
            problems.append(f"{order.key} returned {output}, not {wanted}")
        told = {thing for thing in _texts(output) if thing in order.things}
        problems += [f"{thing} is said to be done and was not" for thing in told if not self._book.done(thing)]
        return problems

    async def _order_problems(self, runs: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> list[str]:
        """Return which tasks ran before what they need had succeeded."""
        moves = await self.rows(
            "select at, id, after from seen where organization_id = %(organization_id)s order by at"
        )
        began: dict[Any, int] = {}
        succeeded: dict[Any, int] = {}
        for move in moves:
            if move["after"] == "running":
                began.setdefault(move["id"], move["at"])
            if move["after"] == "succeeded":
                succeeded[move["id"]] = move["at"]
        key_of = {run["id"]: run["labels"].get(RUN_KEY) for run in runs if run["ordered"]}
        by_name = {(key_of.get(task["run_id"]), task["label"]): task["id"] for task in tasks}
        problems = []
        for (key, label), needs in self._company.after.items():
            task = by_name.get((key, label))
            if task not in succeeded:
                continue
            for need in needs:
                source = by_name[key, need]
                if succeeded.get(source, began[task] + 1) > began[task]:
                    problems.append(f"{key}: {label} ran before {need} had succeeded")
        return problems


def _account_problems(account: dict[str, Any]) -> list[str]:
    problems = []
    if account["held_nanos"] != account["held"]:
        problems.append(f"budget {account['name']} holds {account['held_nanos']}, its acts {account['held']}")
    if account["settled_nanos"] != account["settled"]:
        problems.append(f"budget {account['name']} settled {account['settled_nanos']}, its acts {account['settled']}")
    if account["held_nanos"] + account["settled_nanos"] > account["limit_nanos"]:
        problems.append(f"budget {account['name']} is overdrawn")
    return problems


def _run_problems(run: dict[str, Any]) -> list[str]:
    name = run["labels"].get(RUN_KEY)
    problems = []
    if run["tasks_open"] != run["still_open"]:
        problems.append(f"{name} counts {run['tasks_open']} open tasks and has {run['still_open']}")
    if run["tasks_total"] != run["tasks"]:
        problems.append(f"{name} counts {run['tasks_total']} tasks and has {run['tasks']}")
    return problems


def _tasks_problems(tasks: list[dict[str, Any]], finished: list[dict[str, Any]]) -> list[str]:
    problems = [
        f"task {task['label']} ended as {task['error_code']}" for task in tasks if task["error_code"] == "diverged"
    ]
    ends = Counter(row["task_id"] for row in finished if row["status"] in FINALS)
    for task in tasks:
        times = ends[str(task["id"])]
        due = (0, 1) if task["state"] == "cancelled" else (1,)
        if times not in due:
            problems.append(f"task {task['label']} is {task['state']} and has {times} records of its end")
    return problems


def _actions_problems(actions: list[dict[str, Any]]) -> list[str]:
    problems = []
    for action in actions:
        told = f"action {action['name']} ({action['kind']}, {action['state']})"
        if action["state"] == "intended":
            problems.append(f"{told} was never concluded")
        if not action["outcome"] or not action["records"]:
            problems.append(f"{told} has no decision or no record: {action['records']}")
        if action["kind"] == "tool" and action["state"] in ("performed", "failed", "unknown"):
            wanted = {"act.intended", f"act.{action['state']}"}
            if not wanted <= set(action["records"]) or len(action["records"]) != len(set(action["records"])):
                problems.append(f"{told} has the records {sorted(action['records'])}")
    return problems


def _counts_problems(counts: dict[str, Any]) -> list[str]:
    problems = []
    if counts["records"] != counts["leaves"] or counts["pending"]:
        problems.append(f"{counts['records']} records, {counts['leaves']} leaves, {counts['pending']} pending")
    if counts["charged"] != counts["charged_records"] or counts["without_record"]:
        problems.append(f"usage events and records do not agree: {counts}")
    return problems


def _texts(value: Any) -> set[str]:
    return set(_all_texts(value))


def _all_texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return _all_texts(list(value.values()))
    return [text for each in value for text in _all_texts(each)] if isinstance(value, list) else []


def _raise(problems: list[str]) -> None:
    if problems:
        raise Broken("; ".join(problems[:8]))
