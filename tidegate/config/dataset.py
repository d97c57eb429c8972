"""A dataset: where a night's data comes from and what it must look like."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from pydantic import Field, model_validator

from tidegate.config.base import ColumnName, Duration, Name, Settings, UserCode

ColumnType = Literal["integer", "number", "category", "text", "boolean", "timestamp"]
Privacy = Literal["keep", "drop", "pseudonym", "generalise", "round"]


class Column(Settings):
    """The contract of one column."""

    type: ColumnType = Field(description="Logical type; a value of another type is refused, never coerced.")
    required: bool = Field(True, description="The column must be present in the source.")
    nullable: bool = Field(True, description="Rows with a missing value are kept; otherwise quarantined.")
    max_missing: float = Field(
        1.0, ge=0, le=1, description="Largest share of missing values in a batch before it is blocked."
    )
    min: float | None = Field(None, description="Smallest value allowed, in the column's own unit.")
    max: float | None = Field(None, description="Largest value allowed, in the column's own unit.")
    values: tuple[str, ...] | None = Field(None, description="The only categories allowed.")
    pattern: str | None = Field(None, description="Regular expression that every value matches in full.")
    unit: str | None = Field(None, description="Unit of the values, for people.")
    known: Literal["at_event", "later"] = Field(
        "at_event", description="`later`: known only after the event, so never a feature."
    )
    observed: bool = Field(
        False, description="An observation made at the event (weather, say) and not a plan or forecast."
    )
    privacy: Privacy = Field("keep", description="What is done to the value before it is logged.")


class Source(Settings):
    """Where the rows of a window are read from: files, SQL, or the user's own function."""

    files: str | None = Field(
        None, description="Path template with `{date}`, relative to the home; CSV or Parquet by its ending."
    )
    sql: str | None = Field(None, description="Query with `:start` and `:end` (UTC) as parameters.")
    url: str | None = Field(None, description="SQLAlchemy address of the database that `sql` is sent to.")
    python: UserCode | None = Field(
        None, description="`module:function`, called as `function(window, files)`; joins belong there."
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Source:
        if not (self.files or self.sql or self.python):
            raise ValueError("expected one of files, sql, python, found none")
        if bool(self.sql) != bool(self.url):
            raise ValueError("expected sql and url together")
        return self


class Quality(Settings):
    """When a batch is refused as a whole."""

    suite: str | None = Field(
        None, description="A hand-written Great Expectations suite (JSON), relative to the home."
    )
    max_quarantined_share: float = Field(
        0.05, ge=0, le=1, description="Share of quarantined rows above which the batch is blocked."
    )
    row_count_band: tuple[float, float] = Field(
        (0.5, 1.5), description="Rows allowed, as multiples of the median of the same weekdays before."
    )
    row_count_history: int = Field(8, ge=1, le=104, description="Same weekdays that the median is taken over.")
    row_count_min_history: int = Field(3, ge=1, description="Fewer same weekdays than this: no verdict on the count.")
    min_rows: int = Field(1, ge=0, description="Fewer rows than this is NO_DATA and blocks the batch.")


class CalendarSettings(Settings):
    """How time is cut into windows."""

    time_zone: str = Field("UTC", description="IANA name of the zone whose midnights part the windows.")
    holidays: tuple[date, ...] = Field((), description="Dates with unusual volume: the row-count band is not applied.")
    expected_empty: tuple[date, ...] = Field((), description="Dates on which no rows are expected.")


class Dataset(Settings):
    """A dataset file, `configs/datasets/<name>.yaml`."""

    name: Name
    owner: str = "unowned"
    namespace: Name = "default"
    source: Source
    event_time: ColumnName = Field(description="Timestamp column (UTC) that puts a row into its window.")
    key: tuple[ColumnName, ...] = Field(min_length=1, description="Columns that name a row; no two rows share them.")
    calendar: CalendarSettings = CalendarSettings()
    columns: dict[ColumnName, Column] = Field(min_length=1)
    quality: Quality = Quality()
    restate: Duration = Field(timedelta(days=7), description="How long late data may restate a window.")

    @model_validator(mode="after")
    def _names_exist(self) -> Dataset:
        for what, names in (("event_time", (self.event_time,)), ("key", self.key)):
            for name in names:
                if name not in self.columns:
                    raise ValueError(f"{what}: expected a declared column, found {name!r}")
        if self.columns[self.event_time].type != "timestamp":
            raise ValueError(f"event_time: expected a timestamp column, found {self.columns[self.event_time].type}")
        return self
