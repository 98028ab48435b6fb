"""The tool that the courier calls: it runs in a host of AOS, not in the courier."""

from __future__ import annotations


def label(parcel: str) -> dict[str, str]:
    """Return the label of a parcel."""
    return {
        "parcel": parcel,
        "label": f"LBL-{parcel}",
        "depot": "north" if parcel.endswith(tuple("02468")) else "south",
    }
