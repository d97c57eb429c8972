"""Who carries out a decision to retrain: an automation where there is one, else the night itself; never both."""

from __future__ import annotations

from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from prefect import get_client, runtime
from prefect.events import Event, Resource
from prefect.exceptions import ObjectNotFound

from flows.parameters import RetrainRequest
from tidegate.config.home import Home
from tidegate.deploy.automations import WANTED, name_of, resource_of
from tidegate.steps.stores import open_stores


def by_event(home: Home, model: str, window: str, reason: str, now: datetime) -> bool:
    """Ask for a retraining by an event, where an automation listens; False where the night has to do it itself.

    The event is named by (window, champion): sent again it is the same one, and the retraining that it starts trains
    nothing if there is a version of that window already, or another champion. It is sent, and the answer awaited,
    before the night counts as done.
    """
    if runtime.deployment.id is None:
        return False
    champion = open_stores(home).plans.get(model).champion
    request = RetrainRequest.model_validate(
        {"home": str(home.root), "model": model, "window": window, "reason": reason[:200], "champion": champion}
    )
    event = Event(
        occurred=now,
        event=WANTED,
        resource=Resource.model_validate(
            {"prefect.resource.id": resource_of(model), "prefect.resource.name": model, "tidegate.home": str(home.root)}
        ),
        payload={"request": request.model_dump(mode="json")},
        id=uuid5(NAMESPACE_URL, f"{home.state}/{model}/{window}/{champion}"),
    )
    with get_client(sync_client=True) as client:
        try:
            listens = not client.read_deployment_by_name(f"retrain/{model}").paused
        except ObjectNotFound:
            return False
        if not (listens and any(a.enabled for a in client.read_automations_by_name(name_of(model)))):
            return False
        client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()
    return True
