"""Structured logs: whole lines from several processes, a limit, errors without their texts, nothing stopped."""

from __future__ import annotations

import json
import logging
import multiprocessing
from pathlib import Path

import pytest

from tidegate import logs


def lines(state: Path) -> list[dict]:
    return [json.loads(line) for line in (state / logs.FILE).read_text().splitlines()]


def many(state: Path, name: str) -> None:
    for i in range(300):
        logs.write(state, "x" * 500, model=name, i=i)


def test_lines_of_several_processes_never_mix(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=many, args=(tmp_path, str(k))) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = lines(tmp_path)
    assert len(found) == 900
    assert all([x["i"] for x in found if x["model"] == str(k)] == list(range(300)) for k in range(3))


def test_work_is_told_with_what_came_of_it(tmp_path):
    with logs.told(tmp_path, "score", model="flights", run="r1") as result:
        result["outcome"] = "done"
    line = lines(tmp_path)[0]
    assert (line["msg"], line["run"], line["outcome"], line["level"]) == ("score", "r1", "done", "info")
    assert line["seconds"] >= 0


def test_an_error_is_told_by_its_class_and_goes_on(tmp_path):
    with pytest.raises(ValueError, match="ann@example"), logs.told(tmp_path, "score"):
        raise ValueError("ann@example.org is no number")
    line = lines(tmp_path)[0]
    assert (line["level"], line["error"]) == ("error", "ValueError")
    assert "ann" not in (tmp_path / logs.FILE).read_text()


def test_the_file_begins_anew_at_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "LIMIT", 5_000)
    many(tmp_path, "flights")
    assert (tmp_path / logs.FILE).stat().st_size <= 6_000
    assert (tmp_path / logs.FILE).with_suffix(".1.jsonl").stat().st_size <= 6_000


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    assert not logs.write(tmp_path, "score")
    with logs.told(tmp_path, "score"):
        pass


def test_records_of_servers_keep_no_text_of_exceptions(tmp_path):
    logger = logging.Logger("tidegate.serving")
    logger.addHandler(logs.Lines(tmp_path, server="gateway"))
    try:
        raise KeyError("ann@example.org")
    except KeyError:
        logger.exception("a request failed")
    line = lines(tmp_path)[0]
    assert (line["msg"], line["error"], line["server"], line["level"]) == (
        "a request failed", "KeyError", "gateway", "error")  # fmt: skip
    assert "ann" not in json.dumps(line)
