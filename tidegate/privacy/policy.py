"""The privacy policy: what is done to a value before it is written anywhere."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from operator import itemgetter
from typing import Any

from tidegate.config.dataset import Column, Dataset
from tidegate.contract.conform import is_missing

Row = tuple[Any, ...]
Change = Callable[[Any], Any]

_STARTS: dict[Any, dict[str, int]] = {
    "hour": {"minute": 0, "second": 0, "microsecond": 0},
    "day": {"hour": 0, "minute": 0, "second": 0, "microsecond": 0},
    "month": {"day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0},
    "year": {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0},
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a row may leave behind.

    Attributes
    ----------
    columns : tuple of str
        The columns that stay, in their order in the row.
    kinds : tuple of str
        What each is then: a type of the contract, or ``pseudonym`` (text, whatever it was).
    apply : callable
        A row's tuple of values to the list of those that stay.
    """

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    apply: Callable[[Row], Sequence[Any]]


def compile_policy(dataset: Dataset, columns: Sequence[str], key: tuple[int, bytes] | None) -> Policy:
    """The policy of a dataset as one function of a row's values.

    Missing values stay missing. A pseudonym is ``p<version>:`` and the first 128 bits of HMAC-SHA-256 (RFC 2104)
    over the column's name and the value as text, so that equal values of one column have equal pseudonyms for as
    long as the key stays, and those of two columns cannot be linked.

    Parameters
    ----------
    columns : sequence of str, length m
        What a row has, in this order.
    key : (int, bytes) or None
        Version and secret of the pseudonyms; needed only where a column has one.

    Returns
    -------
    Policy
        `apply` takes tuples of length m.

    Raises
    ------
    ValueError
        If a column has pseudonyms and there is no key.

    Examples
    --------
    >>> dataset = Dataset.model_validate({
    ...     "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["id"], "columns": {
    ...         "id": {"type": "integer", "privacy": "drop"}, "at": {"type": "timestamp"},
    ...         "age": {"type": "integer", "privacy": "generalise", "granularity": 10},
    ...         "zip": {"type": "text", "privacy": "generalise", "granularity": 2}}})
    >>> policy = compile_policy(dataset, ("id", "age", "zip"), None)
    >>> policy.columns, policy.apply((7, 39, "10115"))
    (('age', 'zip'), [30, '10'])
    """
    rules = [(i, name, dataset.columns[name]) for i, name in enumerate(columns)]
    kept = [(i, name, rule) for i, name, rule in rules if rule.privacy != "drop"]
    changes: list[tuple[int, Change]] = []
    for place, (_, name, rule) in enumerate(kept):
        if (change := _change(name, rule, key)) is not None:
            changes.append((place, change))
    kinds = tuple("pseudonym" if rule.privacy == "pseudonym" else rule.type for _, _, rule in kept)
    return Policy(tuple(name for _, name, _ in kept), kinds, _applied([i for i, _, _ in kept], len(columns), changes))


def _applied(kept: list[int], width: int, changes: list[tuple[int, Change]]) -> Callable[[Row], Sequence[Any]]:
    if not changes and len(kept) == width:
        return lambda row: row
    taken: Callable[[Row], Sequence[Any]]
    if len(kept) == width:
        taken = tuple
    elif len(kept) > 1:
        taken = itemgetter(*kept)
    else:
        taken = lambda row: tuple(row[i] for i in kept)  # noqa: E731 - itemgetter of one gives no tuple

    def apply(row: Row) -> list[Any]:
        out = list(taken(row))
        for place, change in changes:
            if not is_missing(out[place]):
                out[place] = change(out[place])
        return out

    return apply


def _change(name: str, rule: Column, key: tuple[int, bytes] | None) -> Change | None:
    grain = rule.granularity
    if rule.privacy == "keep":
        return None
    if rule.privacy == "pseudonym":
        if key is None:
            raise ValueError(f"no key for the pseudonyms of {name}")
        return pseudonym(name, *key)
    if rule.type == "timestamp":
        parts = _STARTS[grain]
        return lambda value: value.astimezone(UTC).replace(**parts)
    if rule.type in ("category", "text"):
        leading = int(grain or 1)
        return lambda value: value[:leading]
    return _stepped(Decimal(repr(grain)), ROUND_FLOOR if rule.privacy == "generalise" else ROUND_HALF_EVEN, rule.type)


def pseudonym(column: str, version: int, secret: bytes) -> Change:
    """The function that gives the values of a column their pseudonyms.

    Examples
    --------
    >>> name = pseudonym("tail", 1, b"k" * 32)
    >>> name("N1") == name("N1"), name("N1") == pseudonym("tail", 2, b"j" * 32)("N1"), name("N1")[:3], len(name("N1"))
    (True, False, 'p1:', 35)
    """
    before, head = f"{column}\0".encode(), f"p{version}:"

    def change(value: Any) -> str:
        if isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat()
        return head + hmac.digest(secret, before + str(value).encode(), hashlib.sha256)[:16].hex()

    return change


def _stepped(step: Decimal, rounding: str, kind: str) -> Change:
    """Numbers as multiples of a step; decimal, since .3 / .1 is below 3 in doubles."""
    whole = kind == "integer" and step == step.to_integral_value()

    def change(value: Any) -> Any:
        if not math.isfinite(value):
            return None
        found = (Decimal(repr(value)) / step).to_integral_value(rounding) * step
        return int(found) if whole else float(found)

    return change


__all__ = ["Policy", "compile_policy", "pseudonym"]
