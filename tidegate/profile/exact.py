"""Sums that do not depend on how the rows were split: exact, rounded only when they are read."""

from __future__ import annotations

import math
from collections.abc import Iterable

Expansion = tuple[float, ...]
"""A number as a sum of floats, each the correctly rounded rest of those before it."""


def expansion(parts: Iterable[float]) -> Expansion:
    """The exact sum of finite floats in its one canonical form; empty for zero.

    The same numbers give the same tuple in whatever order and grouping they are added, which a
    plain float sum does not. Usually two or three floats long.

    Examples
    --------
    >>> expansion([0.1, 0.2, 1e17, -1e17]) == expansion([1e17, 0.2, -1e17, 0.1])
    True
    >>> expansion([1e16, 1.0, -1e16])
    (1.0,)

    References
    ----------
    Shewchuk, Adaptive precision floating-point arithmetic, 1997; `math.fsum`.
    """
    rest = [p for p in parts if p]
    out: list[float] = []
    while rest and (head := math.fsum(rest)):
        out.append(head)
        if rest == [head]:
            break
        rest.append(-head)
    return tuple(out)
