"""The gateway as its callers see it: MLflow's protocol, what is refused, what is logged."""

import contextlib
import io
import json
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import requests

from tidegate.adapters.apikeys import ApiKeys
from tidegate.clock import now


def test_every_form_of_mlflows_gives_the_same_answer(shared, row):
    records = shared.post("/invocations", {"dataframe_records": [row]}).json()
    frame = pd.DataFrame([row])
    forms = [
        {"dataframe_split": {"columns": list(row), "index": [0], "data": [list(row.values())]}},
        {"instances": [row]},
        {"inputs": [row]},
        {"inputs": {k: [v] for k, v in row.items()}},
        {"inputs": row},
        {"dataframe_records": [row], "params": {"k": 1}},
    ]
    answers = [shared.post("/invocations", form).json() for form in forms]
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    bodies = {"text/csv": frame.to_csv(), "text/csv; charset=utf-8": frame.to_csv(index=False),
              "application/vnd.apache.parquet": parquet.getvalue()}  # fmt: skip
    for kind, body in bodies.items():
        answers.append(shared.http.post(f"{shared.url}/invocations", data=body, headers={"content-type": kind}).json())
    for answer in answers:
        assert answer["predictions"] == records["predictions"], answer
        assert answer["scores"] == records["scores"]
    assert records["predictions"][0] in ("first", "second", "third")
    assert sum(records["scores"][0]) == pytest.approx(1)


def test_mlflows_own_client_works_unchanged(shared, row):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    host, port = shared.url.removeprefix("http://").split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready(5)
    assert client.get_version()
    frame = pd.DataFrame([row, {**row, "hue": float("nan")}])
    found = client.invoke(frame).get_predictions()
    assert found.shape == (2, 1)


def test_scores_are_the_packages_own(shared, row, tastings_made):
    import pyarrow as pa

    package = tastings_made.package(1)
    rows = [{**row, "alcohol": 11 + i / 10, "hue": None if i % 3 else 0.9} for i in range(12)]
    found = shared.post("/invocations", {"dataframe_records": rows}).json()["scores"]
    table = pa.table({n: pa.array([r[n] for r in rows], pa.string() if n == "cellar" else pa.float64())
                      for n in tastings_made.model.features})  # fmt: skip
    np.testing.assert_allclose(found, package.scores(table), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"alcohol": "13.2"}, "row 0: alcohol: expected a number or null, found text"),
        ({"alcohol": 99}, "row 0: alcohol: expected a number <= 20"),
        ({"cellar": None}, "row 0: cellar"),
        ({"cellar": "west"}, "row 0: cellar"),
        ({"alcohl": 1}, "did you mean 'alcohol'"),
        ({"tasted_at": "2024-01-09T10:00:00"}, "row 0: tasted_at"),
        ({"tasting": 1.5}, "row 0: tasting: expected a whole number"),
        ({"hue": {"deep": [1]}}, "row 0: hue: expected a number or null, found an object"),
        ({"tasted_at": "0001-01-01T00:00:00Z"}, "row 0: tasted_at: expected a year"),
    ],
)
def test_a_row_that_breaks_the_contract_is_refused_in_one_line(shared, row, change, told):
    answer = shared.post("/invocations", {"dataframe_records": [{**row, **change}]})
    assert answer.status_code == 400
    assert told in answer.json()["message"]
    assert "\n" not in answer.json()["message"]


def test_a_column_that_the_model_needs_has_to_be_there(shared, row):
    del row["proline"]
    answer = shared.post("/invocations", {"dataframe_records": [row]})
    assert (answer.status_code, "proline: expected a value" in answer.json()["message"]) == (400, True)


def test_columns_that_are_only_logged_may_be_left_out(shared, row):
    del row["tasting"], row["tasted_at"]
    assert shared.post("/invocations", {"dataframe_records": [row]}).status_code == 200


def test_no_rows_are_an_answer(shared):
    answer = shared.post("/invocations", {"dataframe_records": []})
    assert (answer.status_code, answer.json()["predictions"]) == (200, [])


def test_caps_hold(shared, row):
    many = shared.post("/invocations", {"dataframe_records": [row] * 10_001})
    assert many.status_code == 413
    long = shared.http.post(f"{shared.url}/invocations", data=b"x" * (9 * 2**20))
    assert long.status_code == 413
    wide = shared.http.post(f"{shared.url}/invocations", data=b"[" * 100_000,
                            headers={"content-type": "application/json"})  # fmt: skip
    assert wide.status_code == 400
    deep = '{"inputs":' + "[" * 200_000 + "]" * 200_000 + "}"
    answer = shared.http.post(f"{shared.url}/invocations", data=deep, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_a_body_that_never_ends_is_cut_at_the_cap(shared):
    host, port = shared.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as wire:
        wire.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(20):
                wire.sendall(chunk)
        wire.settimeout(10)
        with contextlib.suppress(OSError):  # the answer may be cut off with the connection
            assert b" 413 " in wire.recv(200)
    assert shared.get("/livez").status_code == 200


def test_what_a_caller_should_know_is_there(shared):
    assert shared.get("/ping").status_code == 200
    assert shared.get("/models").json()["models"][0]["version"] == 1
    document = shared.get("/openapi.json").json()
    assert document["paths"]["/invocations"]["post"]["responses"]["429"]
    assert document["components"]["schemas"]["Row_cultivars"]["properties"]["alcohol"]
    assert shared.get("/invocations").status_code == 405
    assert shared.get("/nowhere").status_code == 404
    text = shared.get("/metrics").text
    assert 'tidegate_requests_total{model="cultivars",outcome="ok"}' in text
    assert 'tidegate_latency_quantile_seconds{model="cultivars",quantile="0.99"}' in text


def test_labels_are_checked_and_taken(shared, row):
    known = shared.post("/invocations", {"dataframe_records": [row]}).json()["inference_ids"][0]
    good = shared.post("/labels", {"labels": [{"inference_id": known, "label": "first"}]})
    assert (good.status_code, good.json()) == (200, {"accepted": 1})
    for body in [{"labels": []}, {"labels": [{"label": "first"}]}, {"labels": [{"inference_id": known, "label": "x"}]},
                 {"labels": [{"inference_id": "no", "label": "first"}]}, [1], {}]:  # fmt: skip
        assert shared.post("/labels", body).status_code == 400


def test_without_a_champion_it_answers_503_with_the_reason(gateway, make_wine, tmp_path, row):
    served = gateway(make_wine(tmp_path / "home", 2, 99), "--workers", "1")
    answer = served.post("/invocations", {"dataframe_records": [row]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "no champion yet: tidegate retrain cultivars" in answer.json()["message"]
    assert served.get("/ping").status_code == 503
    assert served.stop() == 0


@pytest.mark.fault(38)
def test_beyond_loopback_every_route_asks_for_a_key(gateway, tastings, row, tidegate):
    refused = subprocess.run(
        [sys.executable, "-m", "tidegate.cli.main", "--home", str(tastings.root), "serve", "--host", "0.0.0.0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "expected an API key" in refused.stderr
    keys = ApiKeys(tastings.stores.control, tastings.stores.namespace)
    made = {role: keys.add(role, role, owner="me", at=now()) for role in ("predict", "label", "read", "admin")}
    served = gateway(tastings.root, "--workers", "1", "--auth")
    document = served.get("/openapi.json", headers={"x-api-key": made["read"]}).json()
    routes = [(m.upper(), p) for p, verbs in document["paths"].items() for m in verbs]
    open_ones = ("/ping", "/health", "/livez", "/readyz")
    for method, path in [*routes, ("GET", "/nowhere"), ("PUT", "/invocations")]:
        if path not in open_ones:
            for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}, {"x-api-key": ""}):
                answer = requests.request(method, served.url + path, json={}, headers=headers, timeout=20)
                assert answer.status_code == 401, (method, path, headers)
    assert served.get("/livez").status_code == 200
    body = {"dataframe_records": [row]}
    assert served.post("/invocations", body, headers={"authorization": f"Bearer {made['predict']}"}).status_code == 200
    assert served.post("/invocations", body, headers={"x-api-key": made["read"]}).status_code == 403
    assert served.get("/metrics", headers={"x-api-key": made["predict"]}).status_code == 403
    keys.revoke("predict", by="me", at=now())
    for _ in range(40):
        answer = served.post("/invocations", body, headers={"x-api-key": made["predict"]})
        if answer.status_code == 401:
            break
        time.sleep(0.1)
    assert answer.status_code == 401
    kept = tidegate("--home", tastings.root, "keys", "list", "--json")
    assert {k["name"] for k in json.loads(kept.out)} == {"predict", "label", "read", "admin"}
    assert all(
        key not in (tastings.root / "var" / "control.db").read_bytes().decode("latin-1") for key in made.values()
    )


def test_a_port_that_is_taken_is_one_line(tastings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "tidegate.cli.main", "--home", str(tastings.root), "serve", "--port",
             str(taken.getsockname()[1])], capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "one that is free" in done.stderr
    assert done.stderr.count("\n") == 1
