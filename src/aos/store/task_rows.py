"""Rows of runs and tasks as they enter the hot statements; the rules are those of `rows`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from aos.store.rows import ContentRow, OriginRow, RecordRow


class TaskKey(msgspec.Struct, kw_only=True):
    """One row to lock or load, by its organization and id."""

    organization_id: UUID
    id: UUID


class ClaimRow(msgspec.Struct, kw_only=True):
    """One claim that a worker holds."""

    organization_id: UUID
    task_id: UUID
    claim_token: UUID


class TaskInputRow(msgspec.Struct, kw_only=True):
    """What one claimed task needs opened before it starts."""

    n: int
    organization_id: UUID
    id: UUID
    reads: object
    input_content_id: UUID | None = None
    run_input_content_id: UUID | None = None
    goal_content_id: UUID | None = None


class StartRow(msgspec.Struct, kw_only=True):
    """One task that starts, with the delegation that was decided; `action_id` is None where a spawn decided it."""

    n: int
    organization_id: UUID
    epoch: int
    task_id: UUID
    claim_token: UUID
    run_id: UUID
    attempt: int
    name: str
    outcome: str
    rules: object
    chain: object
    digest: str
    action_id: UUID | None = None
    agent_id: UUID | None = None
    agent_version: int | None = None
    department_id: UUID | None = None
    approval_id: UUID | None = None
    call_key: str | None = None
    arguments_content_id: UUID | None = None
    input_content_id: UUID | None = None
    clock: datetime | None = None
    total_timeout_seconds: float | None = None


class CompleteRow(msgspec.Struct, kw_only=True):
    """One attempt that ended; state `ready` means that it is made again after `retry_seconds`.

    `tolerated` says that those who wait for the task lose nothing, though it did not succeed. Where a fallback agent is
    named, the task is its from now on, with `attempts_more`.
    """

    n: int
    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    state: str
    runtime_ms: int = 0
    retry_seconds: float = 0.0
    output_content_id: UUID | None = None
    error_code: str | None = None
    error_content_id: UUID | None = None
    tolerated: bool = False
    fallback_agent_id: UUID | None = None
    fallback_lane: UUID | None = None
    attempts_more: int = 0


class ParkRow(msgspec.Struct, kw_only=True):
    """One task whose pass waits."""

    n: int
    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    waits_for: str
    runtime_ms: int = 0
    wake_at: datetime | None = None
    needs: int | None = None


class WaitRow(msgspec.Struct, kw_only=True):
    """One thing that a parked task waits for: a `child`, an `approval` or a `signal`, which has a `name`."""

    n: int
    source_id: UUID
    kind: str
    name: str | None = None


class TimerRow(msgspec.Struct, kw_only=True):
    """One call of a task that is over after `delay_seconds`."""

    n: int
    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    key: str
    attempt: int
    tries: int
    name: str
    delay_seconds: float


class TakeRow(msgspec.Struct, kw_only=True):
    """One call of a task that waits for a signal, for at most `limit_seconds` where it says so."""

    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    run_id: UUID
    key: str
    attempt: int
    tries: int
    name: str
    limit_seconds: float | None = None
    timeout_content_id: UUID | None = None


class NameRow(msgspec.Struct, kw_only=True):
    """The name of a signal in its run, to lock."""

    run_id: UUID
    name: str


class SignalRow(msgspec.Struct, kw_only=True):
    """One signal to send, with the act that was decided; `source_id` is what those who wait for it have an edge from."""

    organization_id: UUID
    epoch: int
    id: UUID
    run_id: UUID
    name: str
    sender: object
    content_id: UUID
    source_id: UUID
    action_id: UUID
    outcome: str
    rules: object
    chain: object
    digest: str
    outcome_content_id: UUID
    key: str | None = None
    agent_id: UUID | None = None
    agent_version: int | None = None
    department_id: UUID | None = None
    approval_id: UUID | None = None
    clock: datetime | None = None
    origin_incomplete: bool = False


class ContinueRow(msgspec.Struct, kw_only=True):
    """One task that goes on with a fresh history."""

    n: int
    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    input_content_id: UUID
    runtime_ms: int = 0


class ReleaseRow(msgspec.Struct, kw_only=True):
    """One claim that is given back."""

    n: int
    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    counted: bool
    delay_seconds: float = 0.0
    runtime_ms: int = 0


class OfferRow(msgspec.Struct, kw_only=True):
    """One task that is offered to the agent that fetches its tasks."""

    n: int
    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    look_again_seconds: float


class WantRow(msgspec.Struct, kw_only=True):
    """How many tasks one agent asks for."""

    organization_id: UUID
    agent_id: UUID
    tasks_max: int = 0


class ItemRow(msgspec.Struct, kw_only=True):
    """One item of a `for_each` task."""

    id: UUID
    index: int
    input_content_id: UUID | None = None


class SpawnRow(msgspec.Struct, kw_only=True):
    """One spawn: the act, the call and the child."""

    n: int
    organization_id: UUID
    epoch: int
    task_id: UUID
    claim_token: UUID
    run_id: UUID
    attempt: int
    call_key: str
    tries: int
    action_id: UUID
    name: str
    outcome: str
    rules: object
    chain: object
    digest: str
    child_id: UUID
    child_name: str
    child_label: str
    child_agent_id: UUID
    child_chain: object
    child_spec: object
    outcome_content_id: UUID
    child_lane: UUID = UUID(int=0)
    child_queue: str | None = None
    child_after: object = ()
    agent_id: UUID | None = None
    agent_version: int | None = None
    department_id: UUID | None = None
    approval_id: UUID | None = None
    arguments_content_id: UUID | None = None
    child_input_content_id: UUID | None = None
    clock: datetime | None = None
    child_budget_id: UUID | None = None
    child_budget_nanos: int | None = None
    child_budget_currency: str | None = None


class CallRow(msgspec.Struct, kw_only=True):
    """One call that no gate decides, with the report that it makes where it makes one."""

    n: int
    organization_id: UUID
    task_id: UUID
    claim_token: UUID
    key: str
    attempt: int
    tries: int
    kind: str
    name: str
    state: str
    run_id: UUID
    agent_id: UUID | None = None
    outcome_content_id: UUID | None = None
    report_id: UUID | None = None
    report_kind: str | None = None
    report_content_id: UUID | None = None


class PlannedRow(msgspec.Struct, kw_only=True):
    """One task of a run that starts; one that is `kept` has succeeded in another run, with the output named here."""

    id: UUID
    name: str
    kind: str
    agent_id: UUID | None
    spec: object
    blockers: int
    attempts_max: int
    needs: int | None = None
    lane: UUID | None = None
    queue: str | None = None
    priority: int | None = None
    kept: bool = False
    output_content_id: UUID | None = None


class EdgeRow(msgspec.Struct, kw_only=True):
    """One `after` edge of a run that starts."""

    source_id: UUID
    target_id: UUID


class RunBudgetRow(msgspec.Struct, kw_only=True):
    """The budget of a run."""

    id: UUID
    currency: str
    limit_nanos: int


class RunRow(msgspec.Struct, kw_only=True):
    """One run to start, with the act that was decided and all that is written with it."""

    organization_id: UUID
    epoch: int
    id: UUID
    name: str
    chain: object
    origin_key_content_id: UUID
    origin_incomplete: bool
    tasks_total: int
    action_id: UUID
    act_name: str
    outcome: str
    rules: object
    act_chain: object
    digest: str
    outcome_content_id: UUID
    workflow_id: UUID | None = None
    workflow_version: int | None = None
    agent_id: UUID | None = None
    department_id: UUID | None = None
    goal_content_id: UUID | None = None
    input_content_id: UUID | None = None
    labels: object = None
    thread: str | None = None
    clock_start: datetime | None = None
    act_agent_id: UUID | None = None
    act_agent_version: int | None = None
    approval_id: UUID | None = None
    clock: datetime | None = None
    idempotency_principal: UUID | None = None
    idempotency_key: str | None = None
    priority: int = 0
    parent_run_id: UUID | None = None
    parent_task_id: UUID | None = None
    parent_claim_token: UUID | None = None
    parent_attempt: int | None = None
    call_key: str | None = None
    total_timeout_seconds: float | None = None
    schedule_id: UUID | None = None
    undoes_id: UUID | None = None
    forked_from_id: UUID | None = None
    forked_task: str | None = None
    origins_from_id: UUID | None = None
    tasks_open: int | None = None
    root_run_id: UUID | None = None
    nested_max: int = 0
    tasks: list[PlannedRow] = []
    edges: list[EdgeRow] = []
    records: list[RecordRow] = []
    contents: list[ContentRow] = []
    origins: list[OriginRow] = []
    budgets: list[RunBudgetRow] = []


class FinishRow(msgspec.Struct, kw_only=True):
    """One run that ends."""

    n: int
    organization_id: UUID
    run_id: UUID
    state: str
    error_code: str | None = None
    output_content_id: UUID | None = None


class SettleRow(msgspec.Struct, kw_only=True):
    """One approval that is answered or expires; `roles` are those that a yes is given with."""

    n: int
    organization_id: UUID
    approval_id: UUID
    status: str
    person_id: UUID | None = None
    answer_content_id: UUID | None = None
    error_code: str | None = None
    roles: tuple[str, ...] = ()
