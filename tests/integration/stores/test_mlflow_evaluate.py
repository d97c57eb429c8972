"""MLflow's own evaluation on judged rows, in a real registry."""

from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from tidegate.adapters.mlflowevaluate import evaluate
from tidegate.adapters.registry import Registry
from tidegate.errors import RegistryError

FILE = Path(__file__).parents[2] / "unit" / "report" / "gate_case.py"


@pytest.fixture(scope="module")
def case():
    spec = spec_from_file_location("gate_case", FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    return Registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture
def logged(registry, tmp_path):
    (tmp_path / "MLmodel").write_text("x")
    _, run_id = registry.register("m", tmp_path, params={}, metrics={}, tags={}, evidence={})
    (model,) = [
        m
        for m in registry.client.search_logged_models(experiment_ids=[registry._experiment("m")])
        if m.source_run_id == run_id
    ]
    return run_id, model.model_id


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_metrics_are_of_the_logged_model_and_name_their_data(registry, logged, case, kind):
    run_id, model_id = logged
    rows, classes = case.judged_of(kind, nights=6), case.model_of(kind).label.classes or ()
    made = evaluate(registry.client, run_id, model_id, rows, kind=kind, classes=classes, name="hold-out")
    assert made["example_count"] == len(rows)
    found = registry.client.get_logged_model(model_id).metrics
    assert {m.key: m.value for m in found} == pytest.approx(made)
    assert {m.dataset_name for m in found} == {"hold-out"}
    run = registry.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    files = [a.path for a in registry.client.list_artifacts(run_id)]
    assert ("confusion_matrix.png" in files) == (kind != "regression")
    if kind == "binary":
        chosen = rows.ours >= rows.our_cut
        assert made["accuracy_score"] == pytest.approx((chosen == rows.label).mean())
        assert made["true_positives"] == (chosen & (rows.label == 1)).sum()
        assert made["brier"] == pytest.approx(((rows.ours - rows.label) ** 2).mean())
    if kind == "multiclass":
        assert made["accuracy_score"] == pytest.approx((rows.ours.argmax(axis=1) == rows.label).mean())


def test_the_digest_is_over_all_rows(registry, logged, case):
    run_id, model_id = logged
    rows = case.judged_of(nights=42)
    ours = rows.ours.copy()
    # MLflow's own digest looks at the first 10,000 rows only.
    ours[-1] = 0.5
    for scores in (rows.ours, ours):
        one = type(rows)(rows.night, rows.label, scores, rows.theirs, rows.our_cut, rows.their_cut)
        evaluate(registry.client, run_id, model_id, one, kind="binary", classes=(False, True), name="hold-out")
    assert len({m.dataset_digest for m in registry.client.get_logged_model(model_id).metrics}) == 2


def test_bad_rows_are_no_metrics(registry, logged, case):
    run_id, model_id = logged
    rows = case.judged_of(nights=3)
    nothing = rows.where(np.zeros(len(rows), bool))
    assert evaluate(registry.client, run_id, model_id, nothing, kind="binary", classes=(0, 1), name="x") == {}
    one = rows.where(rows.label == 0)
    made = evaluate(registry.client, run_id, model_id, one, kind="binary", classes=(0, 1), name="one class")
    assert "roc_auc" not in made


def test_a_run_that_is_not_there_is_a_fault(registry, case):
    rows = case.judged_of(nights=3)
    with pytest.raises(RegistryError, match="evaluation of run"):
        evaluate(registry.client, "0" * 32, "m-none", rows, kind="binary", classes=(0, 1), name="x")


def test_what_mlflow_cannot_evaluate_gives_no_metrics_and_no_trace(registry, logged, case):
    run_id, model_id = logged
    rows, classes = case.judged_of("binary", nights=6), case.model_of("binary").label.classes
    one, blank = replace(rows, label=np.zeros_like(rows.label)), replace(rows, ours=np.full(len(rows), np.nan))
    for bad in (one, blank):
        assert evaluate(registry.client, run_id, model_id, bad, kind="binary", classes=classes, name="x") == {}
