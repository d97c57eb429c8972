"""Requests made from the OpenAPI document, valid and broken, by schemathesis; bytes of any kind by hypothesis."""

import json

import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EASY = settings(
    max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


# schemathesis draws from the global generator at some places, which hypothesis warns about.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
@pytest.mark.fault(37)
def test_no_request_breaks_the_gateway(shared):
    api = schemathesis.openapi.from_dict(shared.get("/openapi.json").json())
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) > 12
    for operation in operations:

        @EASY
        @given(operation.as_strategy())
        def called(case):
            answer = case.call(base_url=shared.url, timeout=30)
            assert answer.status_code in (200, 400, 404, 405, 413, 415), answer.text
            if answer.status_code == 200 and case.path.endswith("invocations"):
                assert len(answer.json()["predictions"]) == len(answer.json()["inference_ids"])

        called()


WORDS = st.sampled_from(
    ["dataframe_records", "dataframe_split", "inputs", "instances", "columns", "data", "alcohol", "ids"]
)
BODIES = st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        WORDS, inner, max_size=4),
    max_leaves=12,
).map(lambda v: json.dumps(v).encode())  # fmt: skip
KINDS = st.sampled_from(
    ["application/json", "text/csv", "application/vnd.apache.parquet", "application/json; charset=latin1", "x/y", ";;"]
)


@pytest.mark.fault(37)
def test_bytes_of_any_kind_are_refused_in_words_and_cost_no_memory(shared):
    worker = psutil.Process(shared.process.pid)
    before = worker.memory_info().rss

    @settings(parent=EASY, max_examples=300)
    @given(BODIES, KINDS)
    def sent(body, kind):
        answer = shared.http.post(f"{shared.url}/invocations", data=body, headers={"content-type": kind}, timeout=30)
        assert answer.status_code in (200, 400, 413, 415), answer.text
        if answer.status_code != 200:
            assert answer.json()["message"]

    sent()
    for _ in range(20):
        wide = '{"inputs":' + "[" * 400_000 + "]" * 400_000 + "}"
        assert shared.http.post(f"{shared.url}/invocations", data=wide, timeout=30).status_code in (400, 415)
    assert worker.memory_info().rss < before + 150e6
