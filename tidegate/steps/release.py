"""Release: a person lets quarantined rows or a blocked batch through; the ledger keeps who and why."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.adapters import ledger
from tidegate.clock import now
from tidegate.errors import UsageError
from tidegate.steps.ingest import ingest
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict


def release(
    stores: Stores, dataset_name: str, window_id: str, *, rows: Sequence[str] | None, batch: bool, by: str, why: str
) -> tuple[Verdict, int]:
    """Release rows (all of the window's quarantine when None), then judge the window again.

    Raises
    ------
    UsageError
        If a row is not in the window's quarantine, or there is nothing to release.
    """
    dataset = stores.project.dataset(dataset_name)
    window = stores.project.calendar(dataset).window(window_id)
    held = stores.data.read("quarantine", dataset_name, [window.id])
    known = set(held["row_id"].to_pylist()) if held.num_rows else set()
    wanted = known if rows is None else set(rows)
    if wanted - known:
        raise UsageError(
            f"quarantine of {dataset_name} {window.id}",
            f"row ids among its {len(known)}",
            sorted(wanted - known)[0],
            f"look at tidegate quarantine list {dataset_name}",
        )
    if not wanted and not batch:
        raise UsageError(
            f"quarantine of {dataset_name} {window.id}",
            "rows to release",
            "none",
            f"look at tidegate quarantine list {dataset_name}",
        )
    before = stores.data_records.verdict(dataset_name, "release", window.id)
    free = sorted({*wanted, *(before.numbers["rows"] if before else ())})
    at = now()
    stores.data_records.put_verdict(
        dataset_name,
        "release",
        window.id,
        Verdict("pass", (f"{by}: {why}",), {"rows": free, "batch": batch or bool(before and before.numbers["batch"])}),
        at,
    )
    with stores.control.write() as c:
        ledger.append(
            c,
            namespace=stores.namespace,
            owner=dataset.owner,
            model=dataset_name,
            kind="release",
            window=window.id,
            at=at,
            body={"rows": len(wanted), "batch": batch, "by": by, "why": why},
        )
    return ingest(stores, dataset, window, at, again=True), len(wanted)
