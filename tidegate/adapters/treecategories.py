"""Categories of tree ensembles as numbers that all members have in common, since Treelite takes no text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.contract.conform import is_missing

HIST = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
BITS = 256
"""Categories that a node of the histogram kind can tell apart."""


class UnsuitedError(Exception):
    """Why an estimator cannot be scored this way; never leaves the fast scorer."""


@dataclass(frozen=True)
class Codes:
    """Numbers for the categories of the column at `at`; of `words`, or of numbers."""

    at: int
    words: bool
    code: dict[Any, float]


def coded(members: Sequence[Any], kinds: Sequence[str]) -> tuple[list[Any], list[Codes]]:
    """Members whose categories are numbers, the same ones in all of them, and these numbers.

    Treelite refuses categories that are text, and a member numbers only those that it has seen.
    """
    if type(members[0]).__name__ not in HIST:
        if "category" in kinds:
            raise UnsuitedError("it takes categories as numbers")
        return list(members), []
    found: dict[int, Codes] = {}
    seen = []
    for member in members:
        prepares = getattr(member, "_preprocessor", None)
        at = [] if prepares is None else np.flatnonzero(member.is_categorical_).tolist()
        if any((kind == "category") > (i in at) for i, kind in enumerate(kinds)):
            raise UnsuitedError("it takes categories as numbers")
        words = [] if prepares is None else [c.tolist() for c in prepares.transformers_[0][1].categories_]
        codes = [found.setdefault(i, Codes(i, kinds[i] == "category", {})) for i in at]
        seen.append([(c, [_code(c, word) for word in these]) for c, these in zip(codes, words, strict=True)])
    return [_numbered(m, s) for m, s in zip(members, seen, strict=True)], [found[i] for i in sorted(found)]


def _numbered(member: Any, seen: list[tuple[Codes, list[float]]]) -> Any:
    """A copy of a member whose categories are the common numbers.

    A category that only others have seen is missing to it, and goes where its nodes send what is missing; Treelite
    would send it to the right. So these nodes get it into their lists.
    """
    if not seen:
        return member
    plain = copy.copy(member)
    plain._preprocessor = copy.copy(member._preprocessor)
    name, encoder, columns = plain._preprocessor.transformers_[0]
    encoder = copy.copy(encoder)
    strange = [sorted(set(codes.code.values()) - set(mine)) for codes, mine in seen]
    encoder.categories_ = [np.array([*mine, *s], dtype=np.int64) for (_, mine), s in zip(seen, strange, strict=True)]
    if max(map(len, encoder.categories_)) > BITS:
        raise UnsuitedError(f"its members know more than {BITS} categories of a column together")
    plain._preprocessor.transformers_ = [(name, encoder, columns), *plain._preprocessor.transformers_[1:]]
    # The encoder puts its columns first, so that a node's feature is one of the first columns.
    bits = [range(len(mine), len(mine) + len(s)) for (_, mine), s in zip(seen, strange, strict=True)]
    plain._predictors = [[_sent(tree, bits) for tree in several] for several in member._predictors]
    return plain


def _sent(tree: Any, bits: Sequence[range]) -> Any:
    """A tree whose nodes send these bits of their columns' sets as they send what is missing."""
    nodes = tree.nodes
    left = nodes[(nodes["is_categorical"] == 1) & (nodes["missing_go_to_left"] == 1) & (nodes["is_leaf"] == 0)]
    if not len(left) or not any(bits):
        return tree
    tree = copy.copy(tree)
    tree.raw_left_cat_bitsets = tree.raw_left_cat_bitsets.copy()
    for node in left:
        for bit in bits[node["feature_idx"]]:
            tree.raw_left_cat_bitsets[node["bitset_idx"], bit // 32] |= np.uint32(1 << bit % 32)
    return tree


def _code(codes: Codes, word: Any) -> float:
    # A missing value is given as NaN, never by its number; the number only keeps the others' places.
    key = (None,) if is_missing(word) else word
    return codes.code.setdefault(key, float(len(codes.code)))


__all__ = ["HIST", "Codes", "UnsuitedError", "coded"]
