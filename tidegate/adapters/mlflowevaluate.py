"""MLflow's own evaluation of a version on the rows that its gate judged: metrics of the logged model, with their data.

`mlflow.models.evaluate` ties the logged model, the data set (by its name and a digest of ours) and the metrics
together, so that MLflow's pages can compare versions and find by data; and it draws the confusion matrix. It takes
rows for independent and knows no blocks, so nothing here decides. Its explainer is off: it would explain the scores.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.errors import RegistryError
from tidegate.lineage.digest import table_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.gate.judged import Judged

MOST: Final = 36
"""Characters that MLflow keeps of a data set's digest."""
COLUMNS: Final = ("label", "prediction", "score")


def evaluate(
    client: Any, run_id: str, model_id: str, judged: Judged, *, kind: str, classes: Sequence[object], name: str
) -> dict[str, float]:
    """Evaluate the candidate's side of judged rows into its run and logged model; returns the metrics logged.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Of the registry that has the run.
    model_id : str
        The logged model that the metrics belong to.
    judged : Judged
        No rows, labels of one class, and values that are not finite give no metrics: MLflow would raise, and the
        gate's verdict says so already.
    classes : sequence
        The classes by position, for a classification.
    name : str
        Of the data set, such as ``flights hold-out, 2013-04-02..2013-05-13``.

    Raises
    ------
    RegistryError
        If MLflow refuses.
    """
    labels, scores = judged.label.astype(np.float64), judged.ours.astype(np.float64)
    if not len(judged) or not (np.isfinite(labels).all() and np.isfinite(scores).all()):
        return {}
    if kind != "regression" and labels.min() == labels.max():
        return {}
    os.environ.setdefault("MPLBACKEND", "Agg")
    import mlflow
    from mlflow.exceptions import MlflowException

    columns = _columns(kind, judged, classes)
    frame = pa.table(columns).to_pandas()
    digest = table_digest(pa.table({"night": judged.night.astype(str)} | columns))[:MOST]
    config: dict[str, Any] = {"log_model_explainability": False, "log_explainer": False}
    known = mlflow.get_tracking_uri()
    try:
        with _quiet(mlflow):
            mlflow.set_tracking_uri(client.tracking_uri)
            data = mlflow.data.from_pandas(
                frame, targets="label", predictions="prediction", name=name[:500], digest=digest
            )
            with mlflow.start_run(run_id=run_id):
                made = mlflow.models.evaluate(
                    data=data,
                    model_type="regressor" if kind == "regression" else "classifier",
                    evaluators="default",
                    evaluator_config=config,
                    extra_metrics=_extra(kind),
                    model_id=model_id,
                )
    except (MlflowException, OSError) as fault:
        do = "look at the disk and the registry, then run it again"
        raise RegistryError(f"evaluation of run {run_id}", "a registry that takes it", str(fault), do) from fault
    finally:
        mlflow.set_tracking_uri(known)
    return {k: float(v) for k, v in made.metrics.items() if math.isfinite(v)}


def _columns(kind: str, judged: Judged, classes: Sequence[object]) -> dict[str, NDArray[Any]]:
    if kind == "regression":
        return {"label": judged.label.astype(np.float64), "prediction": judged.ours}
    names = np.array([str(c) for c in classes], dtype=object)
    truth = judged.label.astype(np.int64)
    if kind == "binary":
        # Label 1 is the positive class; MLflow takes the higher of two numbers for it.
        return {"label": truth, "prediction": (judged.ours >= judged.our_cut).astype(np.int64), "score": judged.ours}
    return {"label": names[truth], "prediction": names[judged.ours.argmax(axis=1)]}


def _extra(kind: str) -> list[Any]:
    """What MLflow computes only from a model that it can call: we have the scores already."""
    if kind != "binary":
        return []
    from mlflow.metrics import make_metric
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    def of(metric: Any) -> Any:
        def value(predictions: Any, targets: Any, metrics: Any, score: Any) -> float:
            return float(metric(targets, score)) if targets.nunique() == 2 else math.nan

        return value

    made = {"roc_auc": roc_auc_score, "pr_auc": average_precision_score, "log_loss": log_loss,
            "brier": brier_score_loss}  # fmt: skip
    return [
        make_metric(eval_fn=of(metric), greater_is_better=name.endswith("auc"), name=name)
        for name, metric in made.items()
    ]


@contextmanager
def _quiet(mlflow: Any) -> Iterator[None]:
    """Without its chatter, its hints about nullable integers, and the model that it would leave active."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mlflow.clear_active_model()
        logger.setLevel(level)
