"""The `approval` flow without a person at a screen: answered at once, refused, invited by a retrain."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.parameters import ApprovalRequest, RetrainRequest
from tidegate.errors import UsageError

FIRST = date(2024, 1, 1)


@pytest.fixture(scope="module")
def clinic(prefect, make_diabetes, tmp_path_factory):
    """Ten nights with their labels; nothing is trained."""
    from tidegate.clock import evening_of
    from tidegate.config.home import Home
    from tidegate.steps.ingest import ingest
    from tidegate.steps.labels import collect_labels
    from tidegate.steps.stores import open_stores

    root = make_diabetes(tmp_path_factory.mktemp("clinic"), 10, 99)
    path = root / "configs/models/progression.yaml"
    path.write_text(path.read_text() + "promotion: automatic\n")
    stores = open_stores(Home.at(root))
    dataset, model = stores.project.dataset("patients"), stores.project.model("progression")
    for window in stores.project.calendar(dataset).range(FIRST, FIRST + timedelta(days=9)):
        ingest(stores, dataset, window, evening_of(window))
        collect_labels(stores, model, window, evening_of(window))
    return stores


def retrained(clinic):
    from flows.retrain import retrain

    day = FIRST + timedelta(days=9)
    return retrain(RetrainRequest(home=str(clinic.home.root), model="progression", window=day))


def answer(clinic, **more):
    from flows.approval import approval

    return approval(ApprovalRequest(home=str(clinic.home.root), model="progression", **more))


def test_a_frozen_model_is_gated_and_waits_for_a_person_then_one_answers(clinic):
    from prefect import get_client

    from flows.approval import approval, invite
    from tidegate.clock import now
    from tidegate.steps.approval import ask
    from tidegate.steps.freeze import freeze, unfreeze

    model = clinic.project.model("progression")
    with pytest.raises(UsageError, match="expected a challenger that passed the gate, found none"):
        answer(clinic)
    freeze(clinic, model, now(), by="ann", why="a sale")
    verdict = retrained(clinic)
    assert verdict.passed
    assert verdict.reasons[-2] == "not promoted: frozen by ann until it is ended: a sale"
    assert verdict.reasons[-1].endswith("tidegate approve progression 1 --by NAME")
    assert clinic.plans.get("progression").revision == 0

    with pytest.raises(UsageError, match=r"cannot wait\. Next: tidegate approve progression 1"):
        answer(clinic)
    with pytest.raises(UsageError, match="tidegate unfreeze progression"):
        answer(clinic, decision="approve", by="bob")
    unfreeze(clinic, model, now(), by="ann")

    # Without a deployment an invitation is one question to the server; with one it is one run, however often asked.
    asked = ask(clinic, model, 1, now())
    with get_client(sync_client=True) as client:
        client.hello()
        begun = time.perf_counter()
        invite(clinic.home, asked)
        assert time.perf_counter() - begun < 2
        known = client.create_deployment(client.create_flow(approval), "approval")
        for _ in range(2):
            invite(clinic.home, asked)
        [run] = [r for r in client.read_flow_runs() if r.deployment_id == known]
        client.delete_deployment(known)
    assert run.name == "progression version 1"
    assert run.parameters == {
        "request": {"home": str(clinic.home.root), "model": "progression", "version": 1},
    }
    assert Path(ApprovalRequest(**run.parameters["request"]).resolved().root) == clinic.home.root

    with pytest.raises(UsageError, match="by: expected 1 to 120"):
        answer(clinic, decision="approve")
    assert answer(clinic, decision="approve", by="bob", reason="fine") == (
        "version 1 of progression is champion, approved by bob, plan revision 1"
    )
    with pytest.raises(UsageError, match="found bob approved it"):
        answer(clinic, version=1, decision="reject", by="eve", reason="no")
    with pytest.raises(UsageError, match="an answer, or none needed"):
        answer(clinic, version=1)


@pytest.mark.parametrize(
    "wrong", [{"version": 0}, {"decision": "perhaps"}, {"by": "x" * 121}, {"reason": "x" * 1001}, {"force": True}]
)
def test_parameters_are_checked(wrong):
    with pytest.raises(ValidationError):
        ApprovalRequest(**({"model": "m"} | wrong))
