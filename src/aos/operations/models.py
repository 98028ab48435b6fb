"""Models in the registry: what agents may ask, where it is, what it costs, in immutable versions."""

from __future__ import annotations

from typing import Final, TypeAlias

from aos.kernel.manifest.gains import model_gains
from aos.kernel.manifest.values import ModelSpec
from aos.kernel.specs import spec_of
from aos.operations.drafted import Detail, Drafted, Version
from aos.operations.limits import set_limit
from aos.operations.registry import model_of

ModelDetail: TypeAlias = Detail[ModelSpec]
ModelVersion: TypeAlias = Version[ModelSpec]

MODELS: Final[Drafted[ModelSpec]] = Drafted(
    name="model",
    type=ModelSpec,
    standing=lambda edit: edit.registry.manifest.models,
    gains=model_gains,
    stored=lambda spec, entry: spec_of(model_of(spec, entry)),
    limit=lambda edit, name, spec: set_limit(edit, "model", name, spec.concurrency if spec is not None else None),
    filters={"provider": None, "retired": None},
)
