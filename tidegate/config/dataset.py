"""A dataset: where a night's data comes from and what it must look like."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from tidegate.config.base import Settings, did_you_mean, show, wrong
from tidegate.config.values import (
    ColumnName,
    Columns,
    DatedPath,
    Day,
    Duration,
    Flag,
    Name,
    Number,
    Pattern,
    RelativePath,
    TimeZone,
    UserCode,
    Whole,
    Words,
)

ColumnType = Literal["integer", "number", "category", "text", "boolean", "timestamp"]
Privacy = Literal["keep", "drop", "pseudonym", "generalise", "round"]

Granularity = Number | Literal["hour", "day", "month", "year"]

RESERVED = ("row_id", "position", "window")
"""Columns that Tidegate adds to every stored batch itself."""


class Column(Settings):
    """The contract of one column."""

    type: ColumnType = Field(description="Logical type; a value of another type is refused, never coerced.")
    required: Flag = Field(True, description="The column must be present in the source.")
    nullable: Flag = Field(True, description="Rows with a missing value are kept; otherwise quarantined.")
    max_missing: Number = Field(
        1.0, ge=0, le=1, description="Largest share of missing values in a batch before it is blocked."
    )
    min: Number | None = Field(None, description="Smallest value allowed, in the column's own unit.")
    max: Number | None = Field(None, description="Largest value allowed, in the column's own unit.")
    values: Words | None = Field(None, min_length=1, description="The only categories allowed.")
    pattern: Pattern | None = Field(None, description="Regular expression that every value matches in full.")
    unit: str | None = Field(None, description="Unit of the values, for people.")
    known: Literal["at_event", "later"] = Field(
        "at_event", description="`later`: known only after the event, so never a feature."
    )
    observed: Flag = Field(
        False, description="An observation made at the event (weather, say) and not a plan or forecast."
    )
    privacy: Privacy = Field("keep", description="What is done to the value before it is logged.")

    granularity: Granularity | None = Field(
        None,
        description="How coarse `generalise` and `round` make a value: a step in the column's unit for numbers, "
        "hour, day, month or year for instants, leading characters that stay for text.",
    )

    @model_validator(mode="after")
    def _privacy_fits(self) -> Column:
        coarse = self.privacy in ("generalise", "round")
        if not coarse:
            if self.granularity is not None:
                raise wrong("no granularity unless privacy is generalise or round", show(self.granularity),
                            key="granularity", do="remove it")  # fmt: skip
            return self
        numeric = self.type in ("integer", "number")
        if self.type == "boolean" or (self.privacy == "round" and not numeric):
            raise wrong(f"no {self.privacy} on a column of type {self.type}", self.privacy, key="privacy",
                        do="use drop or pseudonym")  # fmt: skip
        words = (
            "a step above 0"
            if numeric
            else "hour, day, month or year"
            if self.type == "timestamp"
            else ("a whole number of leading characters, 1 or more")
        )
        fits = (
            isinstance(self.granularity, str)
            if self.type == "timestamp"
            else isinstance(self.granularity, int | float)
            and self.granularity > 0
            and (numeric or float(self.granularity).is_integer())
        )
        if not fits:
            raise wrong(words, show(self.granularity), key="granularity", do=f"say how coarse {self.privacy} is")
        return self

    @model_validator(mode="after")
    def _rules_fit(self) -> Column:
        for rule, types in _RULES.items():
            if getattr(self, rule) is not None and self.type not in types:
                raise wrong(f"no {rule} on a column of type {self.type}", show(getattr(self, rule)),
                            key=rule, do="remove it")  # fmt: skip
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong(f"at least min, {self.min:g}", f"{self.max:g}", key="max")
        return self


_RULES: dict[str, tuple[ColumnType, ...]] = {
    "min": ("integer", "number"),
    "max": ("integer", "number"),
    "values": ("category", "text"),
    "pattern": ("category", "text"),
}


class Source(Settings):
    """Where the rows of a window are read from: files, SQL, or the user's own function."""

    files: DatedPath | None = Field(
        None, description="Path template with `{date}`, relative to the home; CSV or Parquet by its ending."
    )
    beside: tuple[RelativePath, ...] = Field(
        (), description="Files that `python` needs for every window, relative to the home; handed over after `files`."
    )
    sql: str | None = Field(None, description="Query with `:start` and `:end` (UTC) as parameters.")
    url: str | None = Field(None, description="SQLAlchemy address of the database that `sql` is sent to.")
    python: UserCode | None = Field(
        None, description="`module:function`, called as `function(window, files)`; joins belong there."
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Source:
        if self.sql is not None and (self.files or self.python):
            raise wrong("either sql, or files and python", "both", key="sql", do="remove one of them")
        if not (self.files or self.sql or self.python):
            raise wrong("one of files, sql, python", "none", do="say where the rows come from")
        if bool(self.sql) != bool(self.url):
            there, absent = ("sql", "url") if self.sql else ("url", "sql")
            raise wrong(f"a value beside {there}", "none", key=absent, do="sql and url go together")
        return self


class Quality(Settings):
    """When a batch is refused as a whole."""

    suite: RelativePath | None = Field(
        None, description="A hand-written Great Expectations suite (JSON), relative to the home."
    )
    max_quarantined_share: Number = Field(
        0.05, ge=0, le=1, description="Share of quarantined rows above which the batch is blocked."
    )
    row_count_band: tuple[Number, Number] = Field(
        (0.5, 1.5), description="Rows allowed, as multiples of the median of the same weekdays before."
    )
    row_count_history: Whole = Field(8, ge=1, le=104, description="Same weekdays that the median is taken over.")
    row_count_min_history: Whole = Field(3, ge=1, description="Fewer same weekdays than this: no verdict on the count.")
    min_rows: Whole = Field(1, ge=0, description="Fewer rows than this is NO_DATA and blocks the batch.")

    @model_validator(mode="after")
    def _in_order(self) -> Quality:
        low, high = self.row_count_band
        if not 0 <= low < high:
            raise wrong("[low, high] with 0 <= low < high", f"[{low:g}, {high:g}]", key="row_count_band")
        if self.row_count_min_history > self.row_count_history:
            raise wrong(f"at most row_count_history, {self.row_count_history}", str(self.row_count_min_history),
                        key="row_count_min_history")  # fmt: skip
        return self


class CalendarSettings(Settings):
    """How time is cut into windows."""

    time_zone: TimeZone = Field("UTC", description="IANA name of the zone whose midnights part the windows.")
    holidays: tuple[Day, ...] = Field((), description="Dates with unusual volume: the row-count band is not applied.")
    expected_empty: tuple[Day, ...] = Field((), description="Dates on which no rows are expected.")


class Dataset(Settings):
    """A dataset file, `configs/datasets/<name>.yaml`."""

    name: Name = Field(description="The file's name without its ending; may be left out of the file.")
    owner: str = Field("unowned", min_length=1, description="Person or team that answers for the data.")
    namespace: Name = Field("default", description="Left out, it is the one of `configs/tidegate.yaml`.")
    source: Source = Field(description="Where the rows come from: exactly one of files, SQL, Python.")
    event_time: ColumnName = Field(description="Timestamp column (UTC) that puts a row into its window.")
    key: Columns = Field(min_length=1, description="Columns that name a row; no two rows share them.")
    calendar: CalendarSettings = Field(CalendarSettings(), description="How time is cut into windows.")
    columns: dict[ColumnName, Column] = Field(min_length=1, description="The contract, column by column.")
    quality: Quality = Field(Quality(), description="When a batch is refused as a whole.")
    restate: Duration = Field(timedelta(days=7), description="How long late data may restate a window.")

    @model_validator(mode="after")
    def _names_exist(self) -> Dataset:
        for name in self.columns:
            if name in RESERVED:
                words = f"a name other than {', '.join(RESERVED)}"
                raise wrong(words, show(name), key="columns", do="rename the column")
        for what, names in (("event_time", (self.event_time,)), ("key", self.key)):
            for name in names:
                if name not in self.columns:
                    raise wrong("a declared column", show(name), key=what, do=did_you_mean(name, self.columns))
        if self.columns[self.event_time].type != "timestamp":
            raise wrong("a column of type timestamp", f"{show(self.event_time)}, {self.columns[self.event_time].type}",
                        key="event_time", do=f"set columns.{self.event_time}.type to timestamp")  # fmt: skip
        return self
