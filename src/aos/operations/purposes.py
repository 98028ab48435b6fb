"""Purposes in the registry: names for what models are wanted for, in immutable versions."""

from __future__ import annotations

from typing import Final, TypeAlias

from aos.kernel.manifest.gains import purpose_gains
from aos.kernel.manifest.values import Purpose
from aos.operations.drafted import Detail, Drafted, Version

PurposeDetail: TypeAlias = Detail[Purpose]
PurposeVersion: TypeAlias = Version[Purpose]

PURPOSES: Final[Drafted[Purpose]] = Drafted(
    name="purpose",
    type=Purpose,
    standing=lambda edit: edit.registry.manifest.purposes,
    gains=purpose_gains,
)
