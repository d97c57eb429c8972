"""CI for models: everything that can be said of a model's files before they are merged, in a minute.

Data are read, judged and labelled as by night, on a sample, in a state folder that is thrown away; the model is
trained as a candidate is, twice; nothing is written to the home.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tidegate.adapters.expectations import read_suite
from tidegate.adapters.packages import Loaded, load
from tidegate.adapters.usersource import load_function
from tidegate.clock import evening_of
from tidegate.config.behaviour import Behaviour, behaviour_file, load_behaviour
from tidegate.config.dataset import Dataset
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.config.project import Project
from tidegate.errors import UsageError
from tidegate.gate.behaviour import Subject, judge_behaviour, sample
from tidegate.lineage.digest import folder_digest
from tidegate.steps import fastchecks
from tidegate.steps.cirun import Run
from tidegate.steps.labels import class_order
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.retrain import train_package
from tidegate.steps.sample import Sample, asked_windows, judge_contract, label, windows_there
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores, open_stores
from tidegate.verdicts import Verdict

MEMBERS_NIGHTS = 3
"""Nights that a training needs, at least."""


def run_ci(
    home: Home, name: str, *, now: datetime, windows: Sequence[str] = (), rows: int = 20_000, seed: int = 0
) -> Run:
    """Every step that can be done, in order; what needs a step that did not pass is inconclusive.

    Raises
    ------
    UsageError
        If the model has no file, or `rows` is below 100.
    StoreError
        If the temporary state cannot be written.
    """
    if rows < 100:
        raise UsageError("--rows", "100 or more", str(rows), "correct the number")
    project = Project(home)
    project.model_layers(name)
    run = Run(name)
    made: dict[str, Any] = {}
    after = (*DATA, *TRAINING, "behaviour")
    if not run.step("configuration", lambda: _configuration(project, name, made), "correct the file"):
        run.left_out(("user code", *after), "the configuration")
        return run
    model: Model = made["model"]
    dataset: Dataset = made["dataset"]
    if not run.step("user code", lambda: _user_code(home, model, dataset), "mend the user code"):
        run.left_out(after, "the user code")
        return run
    with tempfile.TemporaryDirectory(prefix="tidegate-ci-") as folder:
        state = Path(folder).resolve()
        # Not the cached one: the folder is gone when this is over.
        stores = open_stores.__wrapped__(Home(home.root, state, state))
        _Trial(run, stores, model, dataset, made["behaviour"], rows, seed).all(now, windows)
    return run


DATA = ("contract", "labels")
TRAINING = (
    "training", "scores", "better than a constant", "repeatable", "package", "single rows", "empty batch", "nulls",
    "unseen categories", "extremes", "leakage",
)  # fmt: skip


def _configuration(project: Project, name: str, made: dict[str, Any]) -> Verdict:
    models = project.models()
    folder = project.home.root / "configs" / "datasets"
    datasets = {p.stem: project.dataset(p.stem) for p in sorted(folder.glob("*.yaml"))}
    tests = {m.name: load_behaviour(project.home.root, m, datasets[m.dataset]) for m in models.values()}
    made |= {"model": models[name], "dataset": datasets[models[name].dataset], "behaviour": tests[name]}
    suite = made["dataset"].quality.suite
    if suite:
        read_suite(project.home.root / suite)
    count = sum(len(t.tests()) for t in tests.values() if t)
    return Verdict("pass", (f"{len(models)} models, {len(datasets)} datasets, {count} behavioural tests",))


def _user_code(home: Home, model: Model, dataset: Dataset) -> Verdict:
    """Everything of the user's that the model names can be imported."""
    named = (
        dataset.source.python, model.label.source.python, model.estimator.build, model.estimator.features,
        model.gate.baseline,
    )  # fmt: skip
    paths = list(dict.fromkeys(p for p in named if p))
    for path in paths:
        load_function(path, home.root)
    return Verdict("pass", (f"imported: {', '.join(paths) if paths else 'none declared'}",))


@dataclass
class _Trial:
    """The steps that need data, in a state of their own."""

    run: Run
    stores: Stores
    model: Model
    dataset: Dataset
    behaviour: Behaviour | None
    rows: int
    seed: int

    def all(self, now: datetime, windows: Sequence[str]) -> None:
        run, stores, model = self.run, self.stores, self.model
        there = windows_there(stores.project, model, stores.home)
        today = stores.project.calendar(self.dataset).of(now)
        rng, samples = np.random.default_rng(self.seed), []

        def contract() -> Verdict:
            samples.append(asked_windows(stores, model, windows, there, today))
            return judge_contract(stores, model, samples[0], self.rows, there)

        look = f"correct the file, or the contract in configs/datasets/{self.dataset.name}.yaml"
        if not run.step("contract", contract, look):
            run.left_out(("labels", *TRAINING, "behaviour"), "data that pass the contract")
            return
        labels = "put label files there, or name another --window"
        if not run.step("labels", lambda: label(stores, model, samples[0], self.rows, rng), labels):
            run.left_out((*TRAINING, "behaviour"), "labels")
            return
        if model.estimator.build is None:
            for name in TRAINING:
                run.told(name, "a monitor-only model is not trained")
            self._no_model()
            return
        self._trained(samples[0], rng)

    def _trained(self, taken: Sample, rng: np.random.Generator) -> None:
        run, stores, model = self.run, self.stores, self.model
        batches = stores.data.read("batches", model.dataset, taken.nights)
        rows = join(batches, labels_of(stores, model, taken.nights, taken.evening))
        packages: list[Loaded] = []

        def training() -> Verdict:
            short = _too_little(model, rows, taken.nights)
            if short:
                return Verdict("inconclusive", (short,))
            packages.append(self._package(taken, "first"))
            spec = packages[0].spec
            return Verdict("pass", (f"{spec['rows']} rows, {len(taken.nights)} nights, seed {spec['seed']}",))

        if not run.step("training", training, "take more with --rows, or mend the user code"):
            run.left_out((*TRAINING[1:], "behaviour"), "a trained model")
            return
        package = packages[0]
        mend = f"mend {model.estimator.features or model.estimator.build}"
        run.step("scores", lambda: fastchecks.in_range(model, package), f"mend {model.estimator.build}")
        run.step("better than a constant", lambda: fastchecks.beats_dummy(model, package),
                 "look at the features, or take more with --rows")  # fmt: skip
        run.step("repeatable", lambda: fastchecks.repeatable(package, self._package(taken, "second"), rows),
                 f"mend {model.estimator.build}")  # fmt: skip
        run.step("package", lambda: fastchecks.round_trip(package), f"mend {model.estimator.build}")
        run.step("single rows", lambda: fastchecks.single_rows(package, rows), mend)
        run.step("empty batch", lambda: fastchecks.empty_batch(package, rows), mend)
        columns = self.dataset.columns
        for what, cases in fastchecks.edge_cases(model, columns).items():
            if cases:
                run.step(what, lambda c=cases: fastchecks.answered(package, rows, columns, c), mend)  # type: ignore[misc]
            else:
                run.told(what, "the contract leaves none to try")
        run.step("leakage", lambda: fastchecks.no_leak(model, self.dataset, rows), "look at the feature")
        self._behaviour(package, batches, rows)

    def _package(self, taken: Sample, name: str) -> Loaded:
        staging = self.stores.home.state / "ci" / name
        staging.mkdir(parents=True)
        folder = train_package(
            self.stores, self.model, taken.evening, evening_of(taken.evening), taken.nights, staging,
            held=len(taken.nights),
        )  # fmt: skip
        return load(folder, folder_digest(folder))

    def _no_model(self) -> None:
        if self.behaviour is None:
            self.run.told("behaviour", f"no tests declared: {behaviour_file(self.model.name)} is not there")
        else:
            why = "there are tests, but a monitor-only model cannot be asked"
            self.run.step("behaviour", lambda: Verdict("inconclusive", (why,)), "remove the file of tests")

    def _behaviour(self, package: Loaded, batches: pa.Table, labelled: pa.Table) -> None:
        tests, model = self.behaviour, self.model
        if tests is None or not tests.tests():
            file = behaviour_file(model.name)
            self.run.told("behaviour", f"no tests declared: {file} {'is not there' if tests is None else 'has none'}")
            return

        def work() -> Verdict:
            outcomes = package.reference("outcomes")
            held = outcomes.select(["row_id", "label"])
            at = {row: i for i, row in enumerate(labelled["row_id"].to_pylist())}
            where = pa.array([at[r] for r in held["row_id"].to_pylist()])
            subject = Subject(
                model, package.scores, self.dataset.columns, class_order(model), float(package.spec["threshold"]),
                sample(batches, tests.rows, np.random.default_rng(tests.seed)), labelled.take(where),
                scores_of(outcomes),
            )  # fmt: skip
            check = judge_behaviour(tests, subject, np.random.default_rng(tests.seed))
            return Verdict(check.verdict.outcome, check.verdict.reasons, {"lines": check.lines})

        self.run.step("behaviour", work, f"look at the features, or at {behaviour_file(model.name)}")


def _too_little(model: Model, rows: pa.Table, nights: Sequence[str]) -> str:
    """Why these rows cannot be trained on; empty where they can."""
    if len(nights) < MEMBERS_NIGHTS:
        return f"{len(nights)} labelled nights, {MEMBERS_NIGHTS} needed"
    if not rows.num_rows:
        return "no row has a label"
    if model.kind == "regression":
        return ""
    names = class_order(model)
    found = sorted({int(v) for v in rows["label"].to_pylist()})
    missing = [str(c) for i, c in enumerate(names) if i not in found]
    if missing:
        return f"{rows.num_rows} labelled rows, none of class {', '.join(missing)}"
    return ""


__all__ = ["run_ci"]
