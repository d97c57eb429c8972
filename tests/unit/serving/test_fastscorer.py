import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import treelite
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression

from tidegate.adapters import scorerproof
from tidegate.adapters.fastscorer import prepare
from tidegate.adapters.packages import Loaded
from tidegate.adapters.proofs import Proof, Proofs
from tidegate.config.dataset import Dataset
from tidegate.contract.conform import ARROW
from tidegate.errors import SourceError
from tidegate.training.members import mean_of
from tidegate.training.scoring import design

RNG = np.random.default_rng(5)
N = 400
KINDS = {"temp": "number", "carrier": "category", "km": "integer", "new": "boolean", "wind": "number"}
BATCH = pa.table(
    {
        "temp": pa.array(np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(15, 8, N)), from_pandas=True),
        "carrier": pa.array(RNG.choice(["AA", "B6", "ÜÜ", "x y", None], N).tolist()),
        "km": pa.array([None if i % 11 == 0 else int(v) for i, v in enumerate(RNG.integers(10, 6000, N))], pa.int64()),
        "new": pa.array([None if i % 13 == 0 else bool(v) for i, v in enumerate(RNG.random(N) < 0.5)]),
        "wind": pa.array(RNG.gamma(2, 5, N)),
    }
)
WHOLE = pa.table({n: BATCH[n].fill_null({"temp": 1.5, "km": 7, "new": False}.get(n, "AA")) if n != "wind" else BATCH[n]
                  for n in KINDS})  # fmt: skip
NUMERIC = [n for n in KINDS if n != "carrier"]
SIGNAL = WHOLE["temp"].to_numpy() + np.where(np.array(WHOLE["carrier"].to_pylist()) == "B6", 8, 0)
SIGNAL = SIGNAL + RNG.normal(0, 4, N)
TARGET = {
    "binary": (SIGNAL > 16).astype(int),
    "multiclass": np.digitize(SIGNAL, [12, 20]),
    "regression": SIGNAL - SIGNAL.min() + 1,
}
CLASSES = {"binary": [0, 1], "multiclass": ["a", "b", "c"], "regression": []}
DATASET = Dataset.model_validate(
    {
        "name": "d",
        "source": {"files": "{date}.csv"},
        "event_time": "at",
        "key": ["at"],
        "columns": {"at": {"type": "timestamp"}, "note": {"type": "text"}} | {n: {"type": k} for n, k in KINDS.items()},
    }
)


def hist(what, **more):
    kind = HistGradientBoostingRegressor if what == "regression" else HistGradientBoostingClassifier
    return lambda seed: kind(max_iter=12 + seed, early_stopping=False, random_state=seed, min_samples_leaf=9, **more)


def forest(kind, **more):
    return lambda seed: kind(n_estimators=7, max_leaf_nodes=20, random_state=seed, **more)


def package_of(folder, kind, build, names=tuple(KINDS), members=3, rows=BATCH, **spec):
    spec = {
        "kind": kind,
        "classes": CLASSES[kind],
        "features": {n: KINDS[n] for n in names},
        "user": {"build": "shop.model:build", "features": None},
        **spec,
    }
    frame, target = design(rows, spec, None), TARGET[kind]
    # Each member is blind to some rows, and so to a category now and then.
    seen = [np.arange(N) % 3 != k for k in range(members)]
    seen[0] &= np.array(rows["carrier"].to_pylist(), dtype=object) != "x y"
    fitted = [build(k).fit(frame[keep].assign(**_again(frame[keep])), target[keep]) for k, keep in enumerate(seen)]
    estimator = mean_of(fitted, kind) if members > 1 else fitted[0]
    reference = Path(folder) / "tidegate" / "reference"
    reference.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows.slice(0, 40), reference / "probe.parquet")
    return Loaded(Path(folder), "0" * 64, spec, estimator, None)


def _again(frame):
    return {
        n: frame[n].cat.remove_unused_categories() for n in frame if isinstance(frame[n].dtype, pd.CategoricalDtype)
    }


def rows_of(table, names):
    return [tuple(row.values()) for row in table.select(list(names)).to_pylist()]


CASES = {
    "hist binary": ("binary", hist("binary"), {}),
    "hist of one member": ("binary", hist("binary"), {"members": 1}),
    "hist without categories": ("binary", hist("binary"), {"names": NUMERIC}),
    "hist multiclass": ("multiclass", hist("multiclass"), {}),
    "hist regression": ("regression", hist("regression"), {}),
    "hist poisson": ("regression", hist("regression", loss="poisson"), {}),
    "hist of numbers as categories": (
        "binary", hist("binary", categorical_features=["new", "carrier"]), {}),
    "forest binary": ("binary", forest(RandomForestClassifier), {"names": NUMERIC}),
    "forest multiclass": ("multiclass", forest(RandomForestClassifier), {"names": NUMERIC}),
    "forest regression": ("regression", forest(RandomForestRegressor), {"names": NUMERIC}),
    "extra trees multiclass": ("multiclass", forest(ExtraTreesClassifier), {"names": NUMERIC}),
    "extra trees regression": ("regression", forest(ExtraTreesRegressor), {"names": NUMERIC, "members": 1}),
    "gradient boosting binary": (
        "binary", forest(GradientBoostingClassifier), {"names": NUMERIC, "rows": WHOLE}),
    "gradient boosting multiclass": (
        "multiclass", forest(GradientBoostingClassifier), {"names": NUMERIC, "rows": WHOLE}),
    "gradient boosting regression": (
        "regression", forest(GradientBoostingRegressor), {"names": NUMERIC, "rows": WHOLE}),
    "binary, recalibrated": ("binary", hist("binary"), {"calibration": {"slope": 1.7, "offset": -0.4}}),
    "multiclass, recalibrated": (
        "multiclass", hist("multiclass"), {"calibration": {"slope": 0.8, "offset": [0.1, 0.2, -0.3]}}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_ensemble_scores_as_its_package_does(tmp_path, case):
    kind, build, more = CASES[case]
    package = package_of(tmp_path, kind, build, **more)
    made = prepare(package, DATASET)
    assert (made.fast, made.why) == (True, "")
    assert made.apart <= 1e-12
    rows = rows_of(more.get("rows", BATCH), made.columns)
    wanted = package.scores(more.get("rows", BATCH))
    assert made.scores(rows).shape == wanted.shape
    np.testing.assert_allclose(made.scores(rows), wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        np.concatenate([made.scores([r]) for r in rows[:50]]), wanted[:50], rtol=1e-12, atol=1e-12
    )


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    package = package_of(tmp_path_factory.mktemp("package"), "binary", hist("binary"))
    return package, prepare(package, DATASET)


VALUES = {
    "temp": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 30),
    "carrier": st.none() | st.text(max_size=3) | st.sampled_from(["AA", "B6", "ÜÜ", "x y"]),
    "km": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 6000),
    "new": st.none() | st.booleans(),
    "wind": st.none() | st.floats(allow_nan=False, allow_infinity=False),
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*VALUES.values()), min_size=1, max_size=12))
def test_any_rows_that_the_contract_lets_through_score_alike(flight, rows):
    package, made = flight
    table = pa.table({n: pa.array(v, ARROW[KINDS[n]]) for n, v in zip(KINDS, zip(*rows, strict=True), strict=True)})
    wanted = package.scores(table)
    np.testing.assert_allclose(made.scores(rows), wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(made.scores(rows[:1]), wanted[:1], rtol=0, atol=1e-12)


def test_no_rows_are_no_scores(flight):
    assert flight[1].scores([]).shape == (0,)


def test_threads_do_not_write_into_one_anothers_rows(flight):
    package, made = flight
    rows = rows_of(BATCH, made.columns)[:60]
    wanted, wrong = package.scores(BATCH)[:60], []

    def ask(start):
        for i in range(400):
            at = (start + i) % 60
            if abs(made.scores([rows[at]])[0] - wanted[at]) > 1e-12:
                wrong.append(at)

    threads = [threading.Thread(target=ask, args=(7 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_import_that_went_wrong_is_caught(tmp_path, monkeypatch):
    package = package_of(tmp_path, "binary", hist("binary"))
    real = treelite.sklearn.import_model

    def bent(member):
        model = real(member)
        tree = model.get_tree_accessor(model.num_tree - 1)
        leaves = tree.get_field("leaf_value")
        leaves[-1] += 1e-9
        tree.set_field("leaf_value", leaves)
        return model

    monkeypatch.setattr(treelite.sklearn, "import_model", bent)
    made = prepare(package, DATASET)
    assert not made.fast
    assert "differ from the package's by" in made.why
    np.testing.assert_array_equal(made.scores(rows_of(BATCH, made.columns)), package.scores(BATCH))


def test_a_threshold_that_is_one_step_off_is_caught(tmp_path, monkeypatch):
    package = package_of(tmp_path, "regression", hist("regression"), members=1)
    real = treelite.sklearn.import_model

    def bent(member):
        model = real(member)
        for i in range(model.num_tree):
            tree = model.get_tree_accessor(i)
            tree.set_field("threshold", np.nextafter(tree.get_field("threshold"), np.inf))
        return model

    monkeypatch.setattr(treelite.sklearn, "import_model", bent)
    assert "thresholds" in prepare(package, DATASET).why


def test_a_link_that_treelite_has_another_idea_of_is_caught(tmp_path):
    # Its probability is expit(2 x), Treelite takes expit(x).
    build = forest(GradientBoostingClassifier, loss="exponential")
    made = prepare(package_of(tmp_path, "binary", build, names=NUMERIC, rows=WHOLE), DATASET)
    assert not made.fast
    assert "differ" in made.why


def test_what_a_package_refuses_is_refused_in_its_own_words(tmp_path):
    made = prepare(
        package_of(tmp_path, "binary", CASES["gradient boosting binary"][1], names=NUMERIC, rows=WHOLE), DATASET
    )
    assert made.fast
    for row in [(None, 7, True, 1.0), (1e300, 7, True, 1.0)]:
        with pytest.raises(SourceError, match="mend the user code"):
            made.scores([row])


def test_what_a_users_function_makes_goes_through_treelite_and_is_not_light(flight):
    package, _ = flight
    own = {**package.spec, "user": {"build": "shop.model:build", "features": "shop.model:features"}}
    made = prepare(Loaded(package.folder, "", own, package.estimator, lambda f: f.copy()), DATASET)
    assert made.fast
    assert not made.light
    assert made.designed == made.columns
    some = rows_of(WHOLE, made.columns)[:40]
    np.testing.assert_allclose(made.scores(some), package.scores(made.table(some)), rtol=0, atol=1e-12)


def test_what_cannot_be_fast_says_why_and_scores_by_the_package(tmp_path, flight):
    package, _ = flight
    weighted = mean_of(package.estimator.estimators_, "binary")
    weighted.weights = [1, 2, 3]
    linear = LogisticRegression().fit(design(WHOLE, {"features": {"wind": "number"}}, None), TARGET["binary"])
    mixed = VotingClassifier([], voting="soft")
    mixed.estimators_ = [package.estimator.estimators_[0], linear]
    own = {**package.spec, "user": {"build": "shop.model:build", "features": "shop.model:features"}}

    def kept(estimator, features=None):
        return Loaded(
            package.folder, "", {**package.spec, **({"features": features} if features else {})}, estimator, None
        )

    cases = [
        (
            Loaded(package.folder, "", own, package.estimator, lambda f: f.assign(at=pd.Timestamp("2013"))),
            "feature at is",
        ),
        (Loaded(package.folder, "", own, package.estimator, lambda f: f.assign(more=1.0)), "other columns"),
        (kept(weighted), "weights"),
        (kept(linear, {"wind": "number"}), "LogisticRegression"),
        (kept(mixed), "several classes"),
        (kept(None, {**KINDS, "at": "timestamp"}), "feature at is"),
        (kept(None, {**KINDS, "note": "text"}), "feature note is"),
        (kept(None, {**KINDS, "note": "category"}), "was a category in its training"),
        (kept(package.estimator, dict(reversed(KINDS.items()))), "other columns"),
    ]
    for case, why in cases:
        made = prepare(case, DATASET)
        assert not made.fast
        assert why in made.why
        if case.estimator in (package.estimator, linear) and "other columns" not in why:
            rows = rows_of(WHOLE, made.columns)[:5]
            np.testing.assert_array_equal(made.scores(rows), case.scores(made.table(rows)))


@pytest.fixture
def provable(tmp_path):
    """A package whose probe holds what its training predicted of it, as real ones do."""
    package = package_of(tmp_path / "package", "binary", hist("binary"))
    file = tmp_path / "package" / "tidegate" / "reference" / "probe.parquet"
    probe = pq.read_table(file)
    pq.write_table(probe.append_column("expected", pa.array(package.scores(probe))), file)
    return package


def test_a_proof_holds_for_a_package_a_contract_and_an_environment(provable, tmp_path, monkeypatch):
    asked, real = [], scorerproof.proven
    monkeypatch.setattr(scorerproof, "proven", lambda *given: asked.append(1) or real(*given))
    proofs = Proofs(tmp_path / "proofs")
    first = prepare(provable, DATASET, proofs)
    assert first.fast
    assert proofs.get(provable.digest, DATASET) == Proof(first.apart)
    assert prepare(provable, DATASET, proofs).fast
    assert asked == [1]
    wider = DATASET.model_copy(update={"columns": {**DATASET.columns, "more": DATASET.columns["temp"]}})
    assert proofs.get(provable.digest, wider) is None
    assert proofs.get("1" * 64, DATASET) is None
    (file,) = (tmp_path / "proofs").iterdir()
    file.write_text("{")
    assert prepare(provable, DATASET, proofs).fast
    assert asked == [1, 1]


def test_a_proof_that_is_not_true_any_more_is_made_again(provable, tmp_path, monkeypatch):
    proofs, real = Proofs(tmp_path / "proofs"), treelite.sklearn.import_model
    assert prepare(provable, DATASET, proofs).fast

    def bent(member):
        model = real(member)
        tree = model.get_tree_accessor(0)
        tree.set_field("leaf_value", tree.get_field("leaf_value") + 1e-3)
        return model

    monkeypatch.setattr(treelite.sklearn, "import_model", bent)
    assert "differ from the package's by" in prepare(provable, DATASET, proofs).why
    monkeypatch.undo()
    # What was found against it holds as well, until the package, the contract or a library is another.
    assert not prepare(provable, DATASET, proofs).fast


def test_a_disk_that_keeps_no_proof_costs_nothing_but_the_next_one(provable, tmp_path):
    (tmp_path / "proofs").write_text("no folder")
    assert prepare(provable, DATASET, Proofs(tmp_path / "proofs")).fast
