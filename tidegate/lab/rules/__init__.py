"""The rules that the lab compares with, each after what its authors publish."""

from tidegate.lab.rules.base import Column, Rule, column_of, merged
from tidegate.lab.rules.evidently import Evidently
from tidegate.lab.rules.psi import AnyPsi
from tidegate.lab.rules.threesigma import ThreeSigma

COMPARATORS: tuple[Rule, ...] = (Evidently(), AnyPsi(), ThreeSigma())

__all__ = ["COMPARATORS", "Column", "Rule", "column_of", "merged"]
