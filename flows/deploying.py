"""Registers deployments and automations at the Prefect server; again and again changes nothing."""

from __future__ import annotations

import json
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import ConcurrencyOptions, WorkPool
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker
from pydantic import TypeAdapter

from tidegate.deploy.documents import POOL, full_name
from tidegate.steps.deploying import Planned

OURS = "Tidegate: "
"""How the names of our automations begin."""


def register(client: SyncPrefectClient, plan: Planned) -> dict[str, Any]:
    """Make the server's deployments and automations those of the plan; returns the ids of deployments by name.

    What an earlier registration left of models that are gone is deleted; what cannot be read is left as it was.
    """
    _pool(client)
    ids = {full_name(d): _deployment(client, d, plan) for d in plan.deployments}
    _forget(client, ids, set(plan.wrong))
    _automations(client, plan, ids)
    return ids


def _pool(client: SyncPrefectClient) -> WorkPool:
    template = ProcessWorker.get_default_base_job_template()
    try:
        found = client.read_work_pool(POOL)
    except ObjectNotFound:
        return client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    if not found.base_job_template:
        client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    return found


def _deployment(client: SyncPrefectClient, made: dict[str, Any], plan: Planned) -> Any:
    flow: Flow[Any, Any] = load_flow_from_entrypoint(made["entrypoint"], use_placeholder_flow=False)
    limit = made.get("concurrency_limit")
    schedules = [
        DeploymentScheduleCreate(
            schedule=CronSchedule(cron=s["cron"], timezone=s["timezone"]), active=s["active"], slug=s["slug"]
        )
        for s in made.get("schedules", ())
    ]
    return client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        name=made["name"],
        description=made["description"],
        entrypoint=made["entrypoint"],
        tags=made["tags"],
        parameters=made["parameters"],
        parameter_openapi_schema=form(flow, plan),
        enforce_parameter_schema=made["enforce_parameter_schema"],
        work_pool_name=POOL,
        job_variables=made["work_pool"]["job_variables"],
        schedules=schedules,
        pull_steps=[],
        concurrency_limit=limit["limit"] if limit else None,
        concurrency_options=ConcurrencyOptions(collision_strategy=limit["collision_strategy"]) if limit else None,
    )


def form(flow: Flow[Any, Any], plan: Planned) -> dict[str, Any]:
    """The flow's form with this home's names to choose from; the home itself, which is given, comes last."""
    schema = parameter_schema(flow).model_dump_for_openapi()
    for kind in schema.get("definitions", {}).values():
        fields = kind.get("properties", {})
        for field, names in (("model", plan.models), ("dataset", plan.datasets)):
            if field in fields and names and "anyOf" not in fields[field]:
                fields[field] = {k: v for k, v in fields[field].items() if k != "pattern"} | {"enum": list(names)}
        if "home" in fields:
            fields["home"] = fields.pop("home")
            for position, shown in enumerate(fields.values()):
                shown["position"] = position
    return schema


def _forget(client: SyncPrefectClient, ids: dict[str, Any], wrong: set[str]) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=["tidegate"]))
    for found in client.read_deployments(deployment_filter=ours, limit=200):
        if found.id not in ids.values() and found.name not in wrong:
            client.delete_deployment(found.id)


def _automations(client: SyncPrefectClient, plan: Planned, ids: dict[str, Any]) -> None:
    known = {a.name: a for a in client.read_automations(limit=200) if a.name.startswith(OURS)}
    for made in plan.automations:
        actions = [_with_id(action, ids) for action in made["actions"]]
        wanted = TypeAdapter(AutomationCore).validate_python({**made, "actions": actions})
        found = known.pop(wanted.name, None)
        if found is None:
            client.create_automation(wanted)
        elif _same(wanted, found) is False:
            client.update_automation(found.id, wanted)
    for gone in known.values():
        if not any(model in gone.name.split() for model in plan.wrong):
            client.delete_automation(gone.id)


def _same(wanted: AutomationCore, found: AutomationCore) -> bool:
    """Whether a person has switched it off does not count: that stays."""
    keep = set(AutomationCore.model_fields) - {"enabled", "owner_resource"}
    # The server gives its triggers ids of their own.
    a, b = (json.dumps(_bare(one.model_dump(mode="json", include=keep)), sort_keys=True) for one in (wanted, found))
    return a == b


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if k != "id"}
    # What is a set here comes in any order.
    return sorted((_bare(v) for v in value), key=repr) if isinstance(value, list) else value


def _with_id(action: dict[str, Any], ids: dict[str, Any]) -> dict[str, Any]:
    if "deployment" not in action:
        return action
    named = {k: v for k, v in action.items() if k != "deployment"}
    return {**named, "deployment_id": str(ids[action["deployment"]])}
