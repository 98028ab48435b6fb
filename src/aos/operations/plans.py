"""From a stored workflow to what a run of it will do, with its input checked.

A workflow's tasks and edges follow from its text alone: they are computed once for each text that is in use.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.schema import check
from aos.kernel.workflow.plan import Plan, plan_workflow
from aos.kernel.workflow.spec import WorkflowSpec, workflow_from
from aos.operations.run_rows import Planned
from aos.store.hot.database import Row

PLANS_MAX = 128
PLAN_BYTES_MAX = 100_000
"""How many plans are kept, and of texts how long at most: what is kept stays below a hundred megabytes."""


def planned_workflow(row: Row, value: Json) -> Planned:
    """Return what a run will do of the workflow that `load_workflow` found, started with `value`.

    Raises InvalidRequest where the input does not fit, InvalidManifest and TooLarge where the workflow cannot be planned.
    """
    plan_of = _kept_plan if len(row["spec"]) <= PLAN_BYTES_MAX else _plan
    workflow, plan = plan_of(row["name"], row["spec"])
    if workflow.input is not None:
        errors = check(value, workflow.input)
        if errors:
            told = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:5])
            raise InvalidRequest(f"input of workflow `{workflow.name}`: {told}", errors=errors)
    return Planned(row["name"], plan, workflow_id=row["id"], workflow_version=row["version"])


def _plan(name: str, spec: str) -> tuple[WorkflowSpec, Plan]:
    workflow = workflow_from({**msgspec.json.decode(spec), "name": name})
    return workflow, plan_workflow(workflow)


_kept_plan = lru_cache(maxsize=PLANS_MAX)(_plan)
