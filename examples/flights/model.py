"""The model: gradient-boosted trees on timetable and weather."""

from sklearn.ensemble import HistGradientBoostingClassifier


def build(params):
    """An unfitted, seeded estimator."""
    return HistGradientBoostingClassifier(categorical_features="from_dtype", early_stopping=False, **params)


def features(frame):
    """Timetable as minutes since midnight and day of the week in New York; row by row."""
    out = frame.drop(columns=["scheduled", "sched_dep_time", "sched_arr_time"])
    out["departs"] = frame["sched_dep_time"] // 100 * 60 + frame["sched_dep_time"] % 100
    out["arrives"] = frame["sched_arr_time"] // 100 * 60 + frame["sched_arr_time"] % 100
    out["weekday"] = frame["scheduled"].dt.tz_convert("America/New_York").dt.dayofweek.astype("float64")
    return out


def baseline(frame):
    """The dispatchers' rule of thumb, which a first model must beat: the later in the day, the later the flight."""
    return (0.05 + 0.02 * (frame["sched_dep_time"] // 100 - 5)).clip(0.02, 0.5)
