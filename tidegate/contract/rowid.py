"""The row id of one row, as `row_ids` gives it for columns, without their cost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate.config.dataset import Dataset
from tidegate.contract.conform import is_missing

Text = Callable[[Any], str]

_TEXT: dict[str, Text] = {
    "integer": lambda v: str(int(v)),
    "number": lambda v: str(float(v)),
    "category": str,
    "text": str,
    "boolean": lambda v: str(bool(v)),
    "timestamp": lambda v: (v if v.tzinfo is UTC else v.astimezone(UTC)).isoformat(),
}
_WHOLE = frozenset((str, int, bool, datetime))


def row_id_of(dataset: Dataset, columns: Sequence[str]) -> Callable[[tuple[Any, ...]], str | None]:
    """A function from a row's values to its row id, None where a part of the key is missing.

    Parameters
    ----------
    columns : sequence of str
        What the rows' tuples have, in this order; values in the contract's types.

    Returns
    -------
    callable
        Gives None for every row when `columns` lack a part of the key.

    Examples
    --------
    >>> import pandas as pd
    >>> from tidegate.contract.admit import row_ids
    >>> dataset = Dataset.model_validate({
    ...     "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["id"],
    ...     "columns": {"id": {"type": "text"}, "at": {"type": "timestamp"}}})
    >>> row_id_of(dataset, ("id",))(("a",)) == row_ids([pd.Series(["a"])])[0]
    True
    """
    if not set(dataset.key) <= set(columns):
        return lambda _row: None
    parts = [(columns.index(name), _TEXT[dataset.columns[name].type]) for name in dataset.key]
    sha256 = hashlib.sha256

    def row_id(row: tuple[Any, ...]) -> str | None:
        whole = ""
        for place, text in parts:
            value = row[place]
            # Only floats and strange types need a closer look: this runs at every answer.
            if value is None or value == "" or (type(value) not in _WHOLE and is_missing(value)):
                return None
            part = text(value)
            whole += f"{len(part)}:{part}"
        return sha256(whole.encode()).hexdigest()[:32]

    return row_id


__all__ = ["row_id_of"]
