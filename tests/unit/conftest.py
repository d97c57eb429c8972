"""Model files as small as they can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidegate.config.model import Model

LABELS: dict[str, dict[str, Any]] = {
    "binary": {"classes": [0, 1], "positive": 1},
    "multiclass": {"classes": ["a", "b", "c"]},
    "regression": {},
}


@pytest.fixture(scope="session")
def a_model() -> Callable[..., Model]:
    """Makes a model of a kind; keyword arguments are its other keys."""

    def make(kind: str = "binary", **keys: Any) -> Model:
        label = {"column": "y", "source": {"files": "{date}.csv"}, **LABELS[kind], **keys.pop("label", {})}
        if kind == "regression":
            keys = {"metric": {"primary": "rmse"}, **keys}
        estimator = {"build": "shop.model:build"}
        body = {"name": "m", "dataset": "d", "kind": kind, "features": ["x"], "estimator": estimator, "label": label}
        return Model.model_validate({**body, **keys})

    return make
