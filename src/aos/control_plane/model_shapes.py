"""The JSON Schemas of models and purposes: what is sent is what a manifest writes, with the name."""

from __future__ import annotations

from aos.control_plane.shapes import (
    MADE,
    NUMBER,
    TEXT,
    UUID,
    VERSION,
    Schema,
    closed,
    list_of,
    maybe,
    new_of,
    part_of,
    patch_of,
    ref,
)
from aos.kernel.manifest.models import PER_MILLION


def model_components() -> dict[str, Schema]:
    """Return the named schemas of models and purposes."""
    columns: Schema = {"id": UUID, "name": TEXT, "version": NUMBER, "draft_version": maybe(NUMBER)}
    model, purpose = _model_fields(), _purpose_fields()
    return {
        "ModelNew": new_of("models"),
        "ModelPatch": patch_of("models"),
        "Model": closed({**columns, **model, **MADE}),
        "ModelVersion": closed({**model, **VERSION}),
        "ModelPrice": closed(
            {
                **{name: maybe(ref("Money")) for name in PER_MILLION},
                "since": maybe(TEXT),
                "above_tokens": NUMBER,
                "source": TEXT,
            },
            description="What a million tokens of each sort cost; what is null costs as other input does",
        ),
        "PurposeNew": new_of("purposes"),
        "PurposePatch": patch_of("purposes"),
        "Purpose": closed({**columns, **purpose, **MADE}),
        "PurposeVersion": closed({**purpose, **VERSION}),
    }


def _model_fields() -> Schema:
    fields: Schema = part_of("models")["properties"]
    for name in ("api_key", "base_url", "context", "concurrency"):
        fields[name] = maybe(fields[name])
    return {**fields, "price": list_of(ref("ModelPrice"))}


def _purpose_fields() -> Schema:
    fields: Schema = part_of("purposes")["properties"]
    return {**fields, "hedge_after": maybe(fields["hedge_after"])}
