"""The report on one endpoint: how its versions do beside each other, from what all workers counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pack.serving.endpoint import Endpoint
from pack.serving.metrics import Family, Sample


def reported(endpoint: Endpoint, families: Iterable[Family]) -> dict[str, Any]:
    """Requests, errors, rows and mean seconds of each version, and what became of the mirrored requests."""
    samples = _by_name(endpoint.name, families)
    found: dict[str, Any] = {"name": endpoint.name, "canary_share": endpoint.share}
    for role, slot in endpoint.slots.items():
        versions = [one for one in (slot.current, slot.previous) if one is not None]
        found[role] = [
            {**one.shown(), **_summary(samples, role=role, version=one.number, digest=one.digest[:12])}
            for one in versions
        ]
    if endpoint.shadow is not None:
        found["compared"] = _compared(samples)
    return found


def _by_name(model: str, families: Iterable[Family]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for family in families:
        for sample in family.samples:
            if sample.labels.get("model") == model:
                found[sample.name].append(sample)
    return found


def _summary(samples: dict[str, list[Sample]], **labels: str) -> dict[str, Any]:
    def those(name: str) -> list[Sample]:
        return [one for one in samples[name] if labels.items() <= one.labels.items()]

    statuses = {int(one.labels["status"]): int(one.value) for one in those("pack_requests_total")}
    good = statuses.get(200, 0)
    return {
        "requests": sum(statuses.values()),
        "errors": sum(count for status, count in statuses.items() if status >= 500),
        "refused": sum(count for status, count in statuses.items() if 400 <= status < 500),
        "rows": sum(int(one.value) for one in those("pack_rows_total")),
        "mean_seconds": sum(one.value for one in those("pack_request_seconds_sum")) / good if good else None,
    }


def _compared(samples: dict[str, list[Sample]]) -> dict[str, Any]:
    counts = {one.labels["outcome"]: int(one.value) for one in samples["pack_shadow_total"]}
    compared = counts["agreed"] + counts["differed"]
    unanswered = counts["failed"] + counts["late"]
    seconds = sum(one.value for one in samples["pack_shadow_seconds_sum"])
    timed = sum(one.value for one in samples["pack_shadow_seconds_count"])
    return {
        **counts,
        "disagreement": counts["differed"] / compared if compared else None,
        "errors": unanswered / (compared + unanswered) if compared + unanswered else None,
        "mean_seconds": seconds / timed if timed else None,
    }
