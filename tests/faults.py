"""`make faults`: runs every test marked with a row of the fault catalogue, prints a line a row.

Ends with an error if a test fails, or if a row that must have a test has none.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

FAULTS = {
    1: "Two retrains race",
    2: "A dead run holds the slot",
    3: "A zombie wakes up",
    4: "Retrain loop",
    5: "Promotion half-done",
    6: "Concurrent promotions",
    7: "Registry clean-up deletes a served model",
    8: "Orphan runs and models after a kill",
    9: "Loads in training, not in the server",
    10: "Rollback target broken, registry and Prefect down",
    11: "Canary receives no traffic",
    12: "Empty batch",
    13: "Partial batch",
    14: "Duplicate batch, rerun",
    15: "Late data",
    16: "Late or selective labels",
    17: "Clock changes, time zones",
    18: "Schema change",
    19: "NaN burst, inf",
    20: "Category explosion",
    21: "Unit change x100",
    22: "Label leakage",
    23: "Poisoned retraining data",
    24: "Training-serving skew",
    25: "Alert storm",
    26: "Monitor dies silently",
    27: "Log disk full",
    28: "Read-only directory",
    29: "Torn or corrupt Parquet",
    30: "Registry or Prefect hung",
    31: "Pickled code in a model",
    32: "Artifact swapped",
    33: "Path traversal, odd names",
    34: "SSRF through a webhook",
    35: "YAML bomb",
    36: "CSV/HTML injection",
    37: "Huge or deep JSON",
    38: "Unauthenticated access",
    39: "Personal data at rest",
    40: "Privacy budget overspent by reruns",
    41: "kill -9 of the gateway under load",
}
REQUIRED = {*range(1, 11), *range(12, 39), 41}


class Rows:
    """Keeps the tests of catalogued faults, and counts what became of them by row."""

    def __init__(self) -> None:
        self.rows: dict[str, set[int]] = {}
        self.seconds: dict[str, float] = defaultdict(float)
        self.outcome: dict[str, str] = {}
        self.broken: list[str] = []

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        marks = {item: {int(mark.args[0]) for mark in item.iter_markers("fault")} for item in items}
        config.hook.pytest_deselected(items=[item for item in items if not marks[item]])
        items[:] = [item for item in items if marks[item]]
        self.rows = {item.nodeid: marks[item] for item in items}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        known = self.outcome.get(report.nodeid, "passed")
        # A test that was expected to fail has not shown anything: it counts as skipped.
        self.outcome[report.nodeid] = known if known == "failed" or report.outcome == "passed" else report.outcome

    def tests(self, row: int) -> list[str]:
        return [test for test, rows in self.rows.items() if row in rows]

    def passed(self, row: int) -> bool:
        """Every test of the row ran and held, save some that this machine cannot run."""
        outcomes = [self.outcome.get(test, "failed") for test in self.tests(row)]
        return "passed" in outcomes and "failed" not in outcomes

    def line(self, row: int) -> str:
        tests = self.tests(row)
        if not tests:
            return f"{row:3}  {FAULTS[row]:50}  NO TEST"
        skipped = sum(self.outcome.get(test) == "skipped" for test in tests)
        text = f"{len(tests):4} tests {sum(self.seconds[test] for test in tests):7.1f} s"
        return f"{row:3}  {FAULTS[row]:50}  {'pass' if self.passed(row) else 'FAIL'} {text}" + (
            f"  ({skipped} skipped)" if skipped else ""
        )


def main(arguments: list[str]) -> int:
    """Run the tests; 0 if every row held and none that must have a test is without."""
    rows = Rows()
    code = pytest.main(["-q", "--no-header", "--no-summary", *(arguments or [str(Path(__file__).parent)])], [rows])
    print()
    known = {row for marks in rows.rows.values() for row in marks}
    shown = sorted(known | REQUIRED)
    for row in shown:
        print(rows.line(row))
    held = sum(rows.passed(row) for row in shown)
    failed = [test for test, outcome in rows.outcome.items() if outcome == "failed"]
    for test in (*rows.broken, *failed):
        print(f"failed: {test}")
    print(f"{held} of {len(shown)} rows held, {len(rows.rows)} tests, {sum(rows.seconds.values()):.0f} s")
    return int(held < len(shown) or bool(rows.broken) or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
