"""Steps with their outcomes as JUnit XML, which the viewers of CI systems read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from tidegate.text import printable


@dataclass(frozen=True)
class Case:
    """A step or a test: ``seconds`` of wall time, ``asked`` False where there was nothing to do."""

    name: str
    outcome: Literal["pass", "fail", "inconclusive"]
    seconds: float
    reason: str
    asked: bool = True


def junit(suite: str, cases: Sequence[Case]) -> str:
    """One test suite; what failed is a failure, what could not be said an error, what was not asked skipped.

    Examples
    --------
    >>> print(junit("ci of m", [Case("training", "fail", 1.5, "no <rows>")]).splitlines()[-1])
    ... # doctest: +NORMALIZE_WHITESPACE
    <testsuite name="ci of m" tests="1" failures="1" errors="0" skipped="0" time="1.500"><testcase
    classname="ci of m" name="training" time="1.500"><failure message="no &lt;rows&gt;" /></testcase></testsuite>
    """
    kinds = ["skipped" if not c.asked else _KINDS[c.outcome] for c in cases]
    root = ET.Element(
        "testsuite", name=printable(suite), tests=str(len(cases)), failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")), skipped=str(kinds.count("skipped")),
        time=f"{sum(c.seconds for c in cases):.3f}",
    )  # fmt: skip
    for case, kind in zip(cases, kinds, strict=True):
        made = ET.SubElement(
            root, "testcase", classname=printable(suite), name=printable(case.name), time=f"{case.seconds:.3f}"
        )
        if kind:
            ET.SubElement(made, kind, message=printable(case.reason))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


_KINDS = {"pass": "", "fail": "failure", "inconclusive": "error"}
