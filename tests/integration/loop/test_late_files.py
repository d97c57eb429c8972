"""Files that come late, in any order: the tables are those of files that came in order."""

import numpy as np
import pandas as pd
import pytest

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
