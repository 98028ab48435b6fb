"""What the gRPC calls act through, bound once by boot."""

from __future__ import annotations

from dataclasses import dataclass

from aos.operations.authenticate import Authenticator
from aos.operations.authorizations import Authorizations
from aos.operations.gate import Gate
from aos.operations.model_calls import ModelCalls
from aos.operations.outside_tasks import OutsideTasks
from aos.operations.runs import Runs


@dataclass(frozen=True, slots=True)
class GrpcServices:
    """One gRPC process's operations."""

    gate: Gate
    authenticator: Authenticator
    authorizations: Authorizations
    models: ModelCalls
    runs: Runs
    work: OutsideTasks
