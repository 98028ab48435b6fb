"""Reports: what an agent tells of its work to those who watch: progress, a KPI's value, an observer's finding.

A finding enters the log, by a code and what it is about; its words stay in content.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, principal_ids, record_time
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import OrganizationFacts
from aos.operations.kept_calls import KeptCall
from aos.operations.passes import PassState
from aos.operations.records import record_row
from aos.store.task_rows import CallRow
from aos_sdk.frames import Call

KINDS: Final = frozenset({"progress", "kpi", "finding"})
_CODE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_.:/@*-]{1,200}")


def report_call(state: PassState, call: Call, facts: OrganizationFacts, *, now: datetime, drivers: Drivers) -> KeptCall:
    """Return what to write of a report. Of a finding, `fields.code` and `fields.subject` enter the log where they are fit.

    Raises InvalidRequest for a kind of report that there is not.
    """
    if call.name not in KINDS:
        raise InvalidRequest(f"there is no report `{call.name[:40]}`; there are {', '.join(sorted(KINDS))}")
    content = seal(call.arguments, "report", facts, drivers)
    row = call_row(state, call, "performed")
    row.agent_id = state.agent.id
    row.report_id = drivers.ids.new()
    row.report_kind = call.name
    row.report_content_id = content.row.id
    member = KeptCall(row, [content.row])
    if call.name == "finding":
        fields = call.arguments.get("fields")
        record = Record(
            id=drivers.ids.new(),
            kind=RecordKind.FINDING_REPORTED,
            organization_id=state.task.organization_id,
            at=record_time(now),
            agent_version=state.agent.version,
            finding=_told(fields, "code", _CODE) or "finding",
            principal=principal_ids(state.principal),
            result_digest=content.digest,
            result_id=content.row.id,
            run_id=state.task.run_id,
            subject=_told(fields, "subject", _SUBJECT) or f"run:{state.task.run_id}",
            task_id=state.task.id,
        )
        member.records.append(record_row(record))
    return member


def call_row(state: PassState, call: Call, outcome: str) -> CallRow:
    """Return the row of a call of this pass that no gate decides."""
    task = state.task
    return CallRow(
        n=0,
        organization_id=task.organization_id,
        task_id=task.id,
        claim_token=task.token,
        key=call.key,
        attempt=task.attempt,
        tries=call.tries,
        kind=call.kind,
        name=call.name,
        state=outcome,
        run_id=task.run_id,
    )


def _told(fields: Json, name: str, form: re.Pattern[str]) -> str | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, str) and form.fullmatch(value) else None
