"""A home whose champion has decayed, up to the evening before it is proven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

PROVEN = 21
"""The night on which this home's data prove the decay; it is yesterday's."""
FIRST_MODEL = 8


@pytest.fixture(scope="module")
def decayed(make_wine, ports, tmp_path_factory):
    """Every night before yesterday's is done; version 1 is champion, by a person's word."""
    from tidegate.clock import evening_of
    from tidegate.config.home import Home
    from tidegate.steps.approval import approve
    from tidegate.steps.candidate import look_at, train_and_register
    from tidegate.steps.decide import decide_window
    from tidegate.steps.due import finish
    from tidegate.steps.estimate import estimate
    from tidegate.steps.ingest import ingest
    from tidegate.steps.labels import collect_labels
    from tidegate.steps.measure import measure
    from tidegate.steps.score import score
    from tidegate.steps.stores import stores_of
    from tidegate.steps.watch import watch

    first = datetime.now(UTC).date() - timedelta(days=PROVEN + 1)
    root = make_wine(tmp_path_factory.mktemp("decayed") / "home", PROVEN + 1, 11, first)
    model = root / "configs/models/cultivars.yaml"
    # Whatever the hour, yesterday's night is due.
    text = model.read_text().replace("promotion: automatic", 'promotion: approve\nschedule: "0 0 * * *"')
    model.write_text(text)
    platform = root / "configs/tidegate.yaml"
    places = ", ".join(f"{key}: {ports()}" for key in ("prefect_port", "mlflow_port", "pages_port"))
    platform.write_text(platform.read_text() + f"operations: {{{places}}}\nserving: {{port: {ports()}, workers: 1}}\n")
    stores = stores_of(Home.at(root))
    model, dataset = stores.project.model("cultivars"), stores.project.dataset("tastings")
    calendar = stores.project.calendar(dataset)
    for i, window in enumerate(calendar.range(first, calendar.shift(calendar.window(first), PROVEN - 1).date)):
        now = evening_of(window)
        assert ingest(stores, dataset, window, now).passed
        score(stores, model, window, now)
        collect_labels(stores, model, window, now)
        measure(stores, model, window, now)
        estimate(stores, model, window, now)
        watch(stores, model, window, now)
        decision = decide_window(stores, model, window, now)
        assert decision.action == ("retrain" if i == FIRST_MODEL else "nothing")
        if i == FIRST_MODEL:
            version = train_and_register(stores, model, window, now, reason="first_model")
            assert look_at(stores, model, version, window, now).passed
            approve(stores, model, version, now, by="ann")
        finish(stores, model, window, now)
    return root
