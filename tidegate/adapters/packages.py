"""Model packages: one folder with the estimator, the user's code and the reference.

    package/
      MLmodel, model.skops, …     MLflow's scikit-learn flavour, skops, never pickle
      tidegate/spec.json          what it is and what it was made from
      tidegate/user/*.py          the user's code, as it was at training
      tidegate/reference/         profile and held-out outcomes, Parquet

A package is named by the digest over all its files, which is checked before anything in
it is loaded; the types that skops may build come from our own list, not from the file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tidegate.adapters.modelfile import REFUSE, TRUSTED, build, check_files, refuse_strangers, types_in
from tidegate.errors import IntegrityError, RegistryError
from tidegate.lineage.digest import folder_digest
from tidegate.lineage.usercode import load_copied
from tidegate.training.recalibration import wrong_map
from tidegate.training.scoring import design, score

KEPT = 16
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A package ready to score."""

    folder: Path
    digest: str
    spec: dict[str, Any]
    estimator: Any
    features: Callable[[pd.DataFrame], pd.DataFrame] | None

    def scores(self, batch: pa.Table) -> np.ndarray:
        """Scores of a batch (Arrow in): (n,) for binary and regression, (n, classes) else.

        Binary scores are probabilities of the positive class, in [0, 1].
        """
        return score(self.estimator, design(batch, self.spec, self.features), self.spec)

    def member_scores(self, batch: pa.Table, member: np.ndarray) -> np.ndarray:
        """Scores of a batch by single members: row i by member ``member[i]``, shape as `scores`."""
        frame = design(batch, self.spec, self.features)
        members = list(self.estimator.estimators_)
        alone = np.stack([score(m, frame, self.spec) for m in members])
        return np.asarray(alone[member % len(members), np.arange(len(member))])

    def reference(self, name: str) -> pa.Table:
        """`profile` or `outcomes` of the training; of an adjusted package also `adjustment`."""
        return _read(self.folder / "tidegate" / "reference" / f"{name}.parquet")


def cached_by_package(make: Callable[Concatenate[Loaded, P], T]) -> Callable[Concatenate[Loaded, P], T]:
    """Keep what `make` derives from a package and plain arguments: a package never changes."""
    kept: dict[tuple[object, ...], T] = {}

    @wraps(make)
    def cached(package: Loaded, /, *args: P.args, **named: P.kwargs) -> T:
        key = (package.digest, *args, *sorted(named.items()))
        if key not in kept:
            while len(kept) >= KEPT:
                del kept[next(iter(kept))]
            kept[key] = make(package, *args, **named)
        return kept[key]

    return cached


def save(folder: Path, estimator: Any, example: pd.DataFrame, scores: np.ndarray) -> None:
    """Write MLflow's files of the estimator into a new package folder.

    Raises
    ------
    RegistryError
        If the estimator holds types that are not on our list.
    """
    import mlflow.sklearn
    import skops.io
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature

    plain = example.head(50).copy()
    for name in plain.columns:
        if isinstance(plain[name].dtype, pd.CategoricalDtype):
            plain[name] = plain[name].astype(object)
    settings = {
        "serialization_format": "skops",
        "signature": infer_signature(plain, scores[:50]),
        "pip_requirements": requirements(),
    }
    try:
        mlflow.sklearn.save_model(estimator, str(folder), skops_trusted_types=list(TRUSTED), **settings)
    except MlflowException:
        types = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
        refuse_strangers("estimator", types, "use scikit-learn's estimators, or classes of your own model module")
        shutil.rmtree(folder, ignore_errors=True)
        mlflow.sklearn.save_model(estimator, str(folder), skops_trusted_types=types, **settings)


def requirements() -> list[str]:
    """The exact libraries that the estimator needs."""
    import importlib.metadata as meta

    return [f"{name}=={meta.version(name)}" for name in ("scikit-learn", "numpy", "pandas", "scipy", "skops")]


@lru_cache(maxsize=12)
def _read(path: Path) -> pa.Table:
    return pq.read_table(path)


@lru_cache(maxsize=8)
def load(folder: Path, digest: str) -> Loaded:
    """Check a package's digest, then load it.

    Raises
    ------
    IntegrityError
        If a byte of the package differs from what was recorded.
    RegistryError
        If it holds a type that is not on our list.
    """
    found = folder_digest(folder)
    if found != digest:
        raise IntegrityError(
            f"model package {folder.name}",
            f"digest {digest[:12]}",
            found[:12],
            "fetch it again from the registry: its files were changed",
        )
    thing, code = f"model package {folder.name}", folder / "tidegate" / "user"
    check_files(folder)
    spec = _spec_of(thing, folder / "tidegate" / "spec.json")
    user = spec["user"]
    if folder_digest(code) != user["digest"]:
        raise IntegrityError(thing, "the user code that it was trained with", "another", REFUSE)
    types = types_in(thing, folder / "model.skops")
    named = [user[k] for k in ("features", "build") if user.get(k)]
    loaded = [load_copied(path, code, spec["model"], user["digest"]) for path in named]
    estimator = build(thing, folder / "model.skops", types, code, spec["model"], user["digest"])
    return Loaded(folder, digest, spec, estimator, loaded[0] if user.get("features") else None)


def _spec_of(thing: str, path: Path) -> dict[str, Any]:
    try:
        spec: dict[str, Any] = json.loads(path.read_text())
        missing = [k for k in ("model", "kind", "features", "classes", "user") if k not in spec]
        missing += [f"user.{k}" for k in ("build", "digest") if k not in spec["user"]] if not missing else []
    except (OSError, ValueError, TypeError, RecursionError) as fault:
        raise RegistryError(thing, "a spec.json", f"{type(fault).__name__}: {fault}", REFUSE) from None
    if missing:
        raise RegistryError(thing, "a spec.json with all its keys", f"none of {', '.join(missing)}", REFUSE)
    wrong = wrong_map(spec["kind"], spec["calibration"]) if spec.get("calibration") is not None else ""
    if wrong:
        raise RegistryError(thing, "a calibration map with a slope above 0 and an offset", wrong, REFUSE)
    return spec
