"""Where the flights come from: one raw CSV file a day, joined with the hourly weather."""

import pandas as pd

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def departures(window, files):
    """Scheduled flights of one New York day with the weather observed at their origin and hour."""
    flights = pd.read_csv(files[0], dtype={"carrier": "string", "origin": "string", "dest": "string"})
    flights["scheduled"] = scheduled(flights)
    weather = pd.read_csv(files[1], usecols=["origin", "time_hour", *WEATHER])
    weather["time_hour"] = pd.to_datetime(weather["time_hour"], utc=True)
    flights["time_hour"] = pd.to_datetime(flights["time_hour"], utc=True)
    weather = weather[weather["time_hour"].between(window.start, window.end)].drop_duplicates(["origin", "time_hour"])
    joined = flights.merge(weather, on=["origin", "time_hour"], how="left")
    return joined.astype(dict.fromkeys(("carrier", "origin", "dest"), "object"))


def arrivals(window, files):
    """Was a flight more than 15 minutes late? Cancelled and diverted flights never get a label."""
    flights = pd.read_csv(files[0], usecols=["carrier", "flight", "origin", "time_hour", "minute", "arr_delay"])
    flights["scheduled"] = scheduled(flights)
    late = (flights["arr_delay"] > 15).astype("float64").where(flights["arr_delay"].notna())
    return flights[["carrier", "flight", "origin", "scheduled"]].assign(late=late)


def scheduled(flights):
    """Scheduled departure, UTC: the hour as given, and the minute of the timetable."""
    return pd.to_datetime(flights["time_hour"], utc=True, errors="coerce") + pd.to_timedelta(
        flights["minute"], unit="m"
    )
