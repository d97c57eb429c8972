"""A watched run that failed is told of once, by whoever sees it: the automation, or the runner's look."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.states import Completed, Crashed, Failed

from flows.deploying import register
from flows.runner import idle
from flows.untold import LEAVE, TRIES, tell_of_untold
from tidegate.config.home import Home
from tidegate.steps.deploying import planned

SOON = LEAVE + dt.timedelta(seconds=5)


@pytest.fixture
def client(prefect, make_wine, tmp_path):
    home = Home.at(make_wine(tmp_path / "home", 3, 99))
    with get_client(sync_client=True) as one:
        register(one, planned(home, at=str(home.root)))
        # The server's automation would be faster: here it is what did not see the end.
        for made in one.read_automations(limit=200):
            if made.name == "Tidegate: a run that failed is told of":
                one.delete_automation(made.id)
        yield one


def ended(client, name, state, **request):
    deployment = client.read_deployment_by_name(name)
    known = deployment.parameters["request"]
    made = client.create_flow_run_from_deployment(deployment.id, parameters={"request": {**known, **request}})
    client.set_flow_run_state(made.id, state, force=True)
    return made


def told(client):
    runs = client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["failure"])), limit=200)
    return [run.parameters["request"] for run in runs]


def test_runs_that_failed_or_crashed_are_told_of_once(client):
    before = {request["run"] for request in told(client)}
    failed = ended(client, "nightly/cultivars", Failed(message="no file"))
    crashed = ended(client, "retrain/cultivars", Crashed(message="killed"))
    ended(client, "nightly/cultivars", Completed())
    # Nobody is told of what is not watched, nor of `failure` itself.
    ended(client, "score/score", Failed(), model="cultivars")
    ended(client, "failure/failure", Failed(), run="of another")
    now = dt.datetime.now(dt.UTC)
    assert not {str(failed.id), str(crashed.id)} & set(tell_of_untold(client, now)), "the automation has no time"
    later = now + SOON
    assert {str(failed.id), str(crashed.id)} <= set(tell_of_untold(client, later))
    assert tell_of_untold(client, later) == []
    new = {r["run"]: r for r in told(client) if r["run"] not in {*before, "of another"}}
    assert {(run, r["state"]) for run, r in new.items()} == {(str(failed.id), "Failed"), (str(crashed.id), "Crashed")}
    assert all(r["home"] for r in new.values())


def test_what_the_automation_told_is_not_told_again_nor_what_is_old(client):
    seen = ended(client, "nightly/cultivars", Failed())
    old = ended(client, "nightly/cultivars", Failed())
    client.create_flow_run_from_deployment(
        client.read_deployment_by_name("failure/failure").id,
        parameters={"request": {"run": f"prefect.flow-run.{seen.id}", "state": "prefect.flow-run.Failed"}},
    )
    now = dt.datetime.now(dt.UTC)
    assert str(seen.id) not in tell_of_untold(client, now + SOON)
    assert str(old.id) not in tell_of_untold(client, now + dt.timedelta(hours=2))


def test_two_runners_that_look_at_once_start_one(client):
    failed = ended(client, "nightly/cultivars", Failed())
    later = dt.datetime.now(dt.UTC) + SOON

    def look(_):
        with get_client(sync_client=True) as own:
            return tell_of_untold(own, later)

    with ThreadPoolExecutor(2) as both:
        list(both.map(look, range(2)))
    assert [r["run"] for r in told(client)].count(str(failed.id)) == 1


def test_telling_that_failed_itself_is_tried_again_and_not_for_ever(client):
    failed = ended(client, "nightly/cultivars", Failed())
    later = dt.datetime.now(dt.UTC) + SOON
    for _ in range(TRIES):
        assert str(failed.id) in tell_of_untold(client, later)
        runs = client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["failure"])), limit=200)
        for run in runs:
            if run.parameters["request"]["run"] == str(failed.id):
                client.set_flow_run_state(run.id, Failed(message="locked"), force=True)
    assert str(failed.id) not in tell_of_untold(client, later)


def test_idle_stops_the_schedule_of_the_flow_and_not_of_a_model_of_its_name():
    made = [{"name": "deliver", "entrypoint": f"flows.{flow}.{flow}", "schedules": [{"active": True}]}
            for flow in ("deliver", "nightly")]  # fmt: skip
    idle(made, "deliver/deliver")
    assert [d["schedules"][0]["active"] for d in made] == [False, True]
