"""Files that come late, in any order: the tables are those of files that came in order."""

import numpy as np
import pandas as pd
import pytest

from tidegate.clock import evening_of
from tidegate.errors import SourceError
from tidegate.steps.decide import labelled_nights

NIGHTS = 7


def content(loop, tables):
    return {
        (table, owner, s.window): s.digest
        for table, owner in tables
        for s in (loop.stores.data if owner == loop.dataset.name else loop.stores.lake).many(table, owner)
    }


TABLES = [("batches", "patients"), ("quarantine", "patients"), ("profiles", "patients"), ("labels", "progression")]


def shuffled(root, day, seed):
    """The rows of every file in another order."""
    rng = np.random.default_rng(seed)
    for i in range(NIGHTS):
        file = root / f"diabetes/{day(i)}.parquet"
        pd.read_parquet(file).sample(frac=1, random_state=rng.integers(1 << 30)).to_parquet(file, index=False)
        file = root / f"progression/{day(i)}.csv"
        pd.read_csv(file, dtype=str).sample(frac=1, random_state=rng.integers(1 << 30)).to_csv(file, index=False)


@pytest.fixture(scope="session")
def in_order(make_diabetes, loop_of, tmp_path_factory):
    loop = loop_of(make_diabetes(tmp_path_factory.mktemp("order"), NIGHTS, 99), "progression")
    for i in range(NIGHTS):
        loop.ingest(i)
        loop.labels(i)
    return content(loop, TABLES)


@pytest.mark.fault(15)
@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_of_arrival_gives_the_same_tables(in_order, make_diabetes, loop_of, tmp_path, day, seed):
    root = make_diabetes(tmp_path / "home", NIGHTS, 99)
    shuffled(root, day, seed)
    loop = loop_of(root, "progression")
    # The first night freezes the grid of the profiles; all others are late.
    late = {i: (root / f"diabetes/{day(i)}.parquet").read_bytes() for i in range(1, NIGHTS)}
    for i in late:
        (root / f"diabetes/{day(i)}.parquet").unlink()
    for i in range(NIGHTS):
        assert loop.ingest(i).passed == (i == 0)
    for i in np.random.default_rng(seed).permutation(list(late)).tolist():
        (root / f"diabetes/{day(i)}.parquet").write_bytes(late[i])
        assert loop.ingest(i).passed
    for i in np.random.default_rng(seed).permutation(NIGHTS).tolist():
        loop.labels(i)
    assert content(loop, TABLES) == in_order
    assert len(in_order) == 4 * NIGHTS - 2


@pytest.mark.fault(15)
def test_labels_that_come_late_are_found_by_a_later_run(in_order, make_diabetes, loop_of, tmp_path, day):
    root = make_diabetes(tmp_path / "home", NIGHTS, 99)
    file = root / f"progression/{day(1)}.csv"
    whole = file.read_bytes()
    file.unlink()
    loop = loop_of(root, "progression")
    for i in range(NIGHTS):
        loop.ingest(i)
        assert loop.labels(i) == (0 if i < 2 or i == 3 else 36)
    file.write_bytes(whole)
    assert loop.labels(3) == 36
    assert content(loop, TABLES) == in_order


@pytest.fixture(scope="module")
def late(make_diabetes, loop_of, tmp_path_factory, day):
    """A champion from night 9 on; the labels of night 10 come on night 14, those of night 11 on night 25."""
    root = make_diabetes(tmp_path_factory.mktemp("late"), 26, 99)
    files = [root / f"progression/{day(i)}.csv" for i in (10, 11)]
    whole = [f.read_bytes() for f in files]
    for file in files:
        file.unlink()
    loop = loop_of(root, "progression")
    seen = {}
    for i in range(26):
        for file, content_, night in zip(files, whole, (14, 25), strict=True):
            if i == night:
                file.write_bytes(content_)
        loop.night(i)
        if i == 9:
            loop.promote(1, i, "dr who")
        seen[i] = {t: loop.stores.lake.many(t, "progression") for t in ("labels", "metrics")}
    return loop, seen


def tally(loop, day, i, as_of=None):
    rows = loop.stores.lake.read("metrics", "progression", [day(i)], as_of=as_of).to_pylist()
    return next((r for r in rows if r["metric"] == "tally"), None)


@pytest.mark.fault(15)
def test_a_label_file_that_missed_its_night_is_taken_in_and_measured(late, day):
    loop, seen = late
    due = {s.window: s for s in seen[13]["labels"]}
    assert day(12) not in due
    stored = next(s for s in seen[14]["labels"] if s.window == day(12))
    assert stored.rows == 36
    assert stored.known_at == evening_of(loop.calendar.window(day(14)))
    assert tally(loop, day, 10)["coverage"] == 1


@pytest.mark.fault(15)
def test_what_was_known_before_a_late_file_stays(late, day):
    loop, seen = late
    before = evening_of(loop.calendar.window(day(13)))
    assert tally(loop, day, 10, as_of=before)["coverage"] == 0
    assert loop.stores.lake.read("labels", "progression", [day(12)], as_of=before).num_rows == 0
    # And nothing else was written on the night that it came, but the night's own.
    for table, own in (("labels", {day(12), day(14)}), ("metrics", {day(10), day(12)})):
        old, new = ({s.window: s for s in seen[i][table]} for i in (13, 14))
        assert {w for w in new if new[w] != old.get(w)} == own


@pytest.mark.fault(15)
def test_a_label_file_later_than_a_restatement_is_not_taken_in(late, day):
    loop, seen = late
    assert day(13) not in {s.window for s in seen[25]["labels"]}
    assert tally(loop, day, 11)["coverage"] == 0


def test_an_older_file_that_is_wrong_does_not_hold_up_the_night(make_diabetes, loop_of, tmp_path, day):
    root = make_diabetes(tmp_path / "home", 7, 99)
    file = root / f"progression/{day(1)}.csv"
    good = file.read_text()
    file.write_text(good.replace("progression", "regression"))
    loop = loop_of(root, "progression")
    for i in range(7):
        loop.ingest(i)
    with pytest.raises(SourceError, match="progression"):
        loop.labels(3)
    assert loop.labels(4) == 36 * 2
    file.write_text(good)
    assert loop.labels(5) == 36 * 2
    assert loop.stores.lake.stored("labels", "progression", day(3)).rows == 36


@pytest.mark.fault(16)
def test_a_night_with_too_few_labels_does_not_count(make_diabetes, loop_of, tmp_path, day):
    """Before a model by the batch's rows, after it by those that were scored."""
    root = make_diabetes(tmp_path / "home", 14, 99)
    # Two hundred labelled rows, that features can be screened for leaks.
    path = root / "configs/models/progression.yaml"
    path.write_text(path.read_text().replace("{policy: never}", "{policy: never, first_nights: 7}"))
    for i, kept in ((2, 17), (3, 18), (10, 17), (11, 18)):
        file = root / f"progression/{day(i)}.csv"
        pd.read_csv(file, dtype=str).head(kept).to_csv(file, index=False)
    # Labels of other rows are no labels of these.
    file = root / f"progression/{day(11)}.csv"
    frame = pd.read_csv(file, dtype=str)
    frame.loc[0, "patient"] = "999999"
    frame.to_csv(file, index=False)
    loop = loop_of(root, "progression")
    for i in range(14):
        loop.night(i)
        if i == 9:
            assert loop.package(1).spec["trained"] == [day(n) for n in (0, 1, 3, 4, 5, 6, 7)]
            loop.promote(1, i, "dr who")
    known = labelled_nights(loop.stores, loop.model, loop.calendar.window(day(13)))
    assert sorted(known) == [day(n) for n in range(12) if n not in (2, 10, 11)]
    verdict = loop.stores.records.verdict("progression", "coverage", day(11))
    assert verdict.reasons == ("17 of 36 rows have a label, less than 50%",)
