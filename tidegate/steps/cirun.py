"""A run of steps: each timed, each a verdict, whatever the user's code raises; and what they come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tidegate.errors import CheckBroke, RegistryError, SourceError, TidegateError, UsageError
from tidegate.gate.line import Line
from tidegate.verdicts import Outcome, Verdict


@dataclass(frozen=True)
class Step:
    """One step: ``asked`` False where there is nothing to do; ``code`` the exit code that it asks for."""

    name: str
    outcome: Outcome
    seconds: float
    reasons: tuple[str, ...]
    asked: bool = True
    code: Literal[0, 2, 3, 4] = 0
    next: str = ""
    lines: tuple[Line, ...] = ()


@dataclass
class Run:
    """The steps so far, and what they made for those after them."""

    model: str
    steps: list[Step] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Fail if a step failed, inconclusive if one that was asked is, else pass."""
        asked = [s for s in self.steps if s.asked]
        for outcome in ("fail", "inconclusive"):
            found = [s for s in asked if s.outcome == outcome]
            if found:
                return Verdict(
                    "fail" if outcome == "fail" else "inconclusive",
                    tuple(f"{s.name}: {r}" for s in found for r in s.reasons[:1]),
                )
        return Verdict("pass", (f"{len(asked)} steps",)) if asked else Verdict("inconclusive", ("nothing was done",))

    @property
    def code(self) -> int:
        """The command's exit code: 2 where a file of the home is wrong, else by the verdict."""
        if any(s.code == 2 for s in self.steps):
            return 2
        return {"pass": 0, "fail": 3, "inconclusive": 4}[self.verdict.outcome]

    @property
    def next(self) -> str:
        """What to do about the step that the verdict names first."""
        return next((s.next for s in self.steps if s.asked and s.outcome == self.verdict.outcome and s.next), "")

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model, "verdict": self.verdict.as_dict(), "code": self.code, "next": self.next,
            "steps": [asdict(s) for s in self.steps],
        }  # fmt: skip

    def step(self, name: str, work: Callable[[], Verdict], do: str = "") -> bool:
        """Do a step; whether those that need it can be done."""
        begun = time.perf_counter()
        verdict, code, do = _done(work, do)
        self._add(name, verdict, time.perf_counter() - begun, code, do)
        return verdict.passed

    def told(self, name: str, why: str) -> None:
        """A step that there is nothing to do for."""
        self.steps.append(Step(name, "inconclusive", 0.0, (why,), asked=False))

    def left_out(self, names: Sequence[str], needs: str) -> None:
        """Steps that cannot be done without an earlier one."""
        self.steps += [Step(n, "inconclusive", 0.0, (f"not done: needs {needs}",), code=4) for n in names]

    def _add(self, name: str, verdict: Verdict, seconds: float, code: Literal[2, 3, 4], do: str) -> None:
        fine = verdict.passed
        lines = tuple(verdict.numbers.get("lines", ()))
        self.steps.append(
            Step(name, verdict.outcome, seconds, verdict.reasons, True, 0 if fine else code, "" if fine else do, lines)
        )


def _done(work: Callable[[], Verdict], do: str) -> tuple[Verdict, Literal[2, 3, 4], str]:
    try:
        verdict = work()
    except UsageError as fault:
        return Verdict("fail", (_without_next(fault),)), 2, fault.do or do
    except (SourceError, RegistryError, CheckBroke) as fault:
        return Verdict("fail", (_without_next(fault),)), 3, fault.do or do
    except TidegateError:
        # A store that breaks says nothing about the model.
        raise
    except (Exception, SystemExit) as fault:
        # The user's estimator may raise wherever it is touched, and must not take the table with it.
        words = " ".join(str(fault).split())[:300]
        return Verdict("fail", (f"{type(fault).__name__}: {words}",)), 3, do or "mend the user code"
    return verdict, 4 if verdict.outcome == "inconclusive" else 3, do


def _without_next(fault: TidegateError) -> str:
    return str(fault).removesuffix(f". Next: {fault.do}")
