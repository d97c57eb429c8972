"""From a request's body to rows of the contract's types, or to one line that says what is wrong.

All of MLflow's forms: `dataframe_records`, `dataframe_split`, `instances`, `inputs`, CSV, Parquet. A row is checked
against the contract by a type that is made of it, in C: nothing is coerced but what the model file allows.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Union

import msgspec
import pandas as pd
from msgspec import UNSET, Meta, UnsetType

from serving.rowtype import PLAIN, coerced, instant, type_of, whole, word_of
from tidegate.config.base import did_you_mean
from tidegate.config.dataset import Dataset
from tidegate.config.serving import Serving
from tidegate.contract.conform import conform

FORMS = ("dataframe_records", "dataframe_split", "instances", "inputs")
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
EXPANDED = 4
"""A Parquet body may unpack to this many times the largest body."""


class Refused(Exception):
    """A request that is not answered: its status, and one line for the caller."""

    def __init__(self, status: int, message: str, retry: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.retry = status, message, retry


class Split(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """pandas' `to_dict(orient="split")`."""

    columns: list[str]
    data: list[list[Any]]
    index: Any = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """Rows in the contract's types, in the order of `Payload.columns`; the caller's ids, if it gave any."""

    rows: list[tuple[Any, ...]]
    ids: list[str | None]


class Payload:
    """Reads the bodies that are sent to one model.

    Parameters
    ----------
    dataset : Dataset
        Its contract.
    wanted : sequence of str
        The columns of a row, in order. The first `features` of them have to be there wherever the contract requires
        them; the rest may be left out.
    """

    def __init__(
        self, dataset: Dataset, wanted: Sequence[str], features: int, serving: Serving, max_rows: int, max_body: int
    ) -> None:
        self.columns, self.dataset, self.serving = tuple(wanted), dataset, serving
        self.max_rows, self.max_body = max_rows, max_body
        others = [c for c in dataset.columns if c not in self.columns]
        self.names = [*self.columns, *others]
        self.loose = set(serving.coerce)
        fields: list[Any] = []
        for i, name in enumerate(self.names):
            column = dataset.columns[name]
            needed = i < features and column.required
            kind = type_of(column, name in self.loose, needed)
            fields.append(
                (f"f{i}", kind, msgspec.field(name=name) if needed else msgspec.field(name=name, default=None))
            )
        strict = serving.extra_columns == "refuse"
        self.row = msgspec.defstruct("Row", fields, forbid_unknown_fields=strict, frozen=True, gc=False, kw_only=True)
        self._fix = [(i, fix) for i, name in enumerate(self.columns) if (fix := self._fixer(name))]
        row_type: Any = self.row
        optional: Any = Union[list[row_type], UnsetType]  # noqa: UP007
        self.body = msgspec.defstruct(
            "Body",
            [
                ("dataframe_records", optional, UNSET),
                ("dataframe_split", Union[Split, UnsetType], UNSET),  # noqa: UP007
                ("instances", Any, UNSET),
                ("inputs", Any, UNSET),
                ("params", dict[str, Any] | None, None),
                ("ids", list[Annotated[str, Meta(max_length=200)] | None] | None, None),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(self.body).decode
        self._rows_type: Any = list[row_type]

    # -- the way in ---------------------------------------------------------------------
    def read(self, body: bytes, content_type: str) -> Parsed:
        """The rows of a body.

        Raises
        ------
        Refused
            400 for a body that is no form of MLflow's, or rows that break the contract; 413 for too many rows;
            415 for another type of content.
        """
        kind = self._kind(content_type)
        try:
            if kind == JSON:
                return self._json(body)
            records = self._csv(body) if kind == CSV else self._parquet(body)
            return Parsed(self._finish(self._convert(records)), [None] * len(records))
        except msgspec.ValidationError as fault:
            raise Refused(400, self._said(str(fault))) from None
        except RecursionError:
            raise Refused(400, "the body: expected values, found them nested too deep. Next: send flat rows") from None

    def _kind(self, content_type: str) -> str:
        if content_type == JSON:
            return JSON
        kind, *more = (p.strip() for p in content_type.lower().split(";"))
        charsets = [p.partition("=")[2].strip('" ') for p in more if p.startswith("charset=")]
        if kind not in (JSON, CSV, PARQUET) or any(c not in ("utf-8", "utf8") for c in charsets):
            raise Refused(415, f"the content: expected {JSON}, {CSV} or {PARQUET} in UTF-8, found {kind[:60]!r}. "
                               "Next: set the Content-Type header")  # fmt: skip
        return kind

    def _json(self, body: bytes) -> Parsed:
        try:
            found: Any = self._decode(body)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = msgspec.convert(_lenient(body), self.body)
        rows = found.dataframe_records
        given = sum(getattr(found, f) is not UNSET for f in FORMS)
        if given != 1:
            raise Refused(400, f"the body: expected exactly one of {', '.join(FORMS)}, found {given}. "
                               'Next: write {"dataframe_records": [{"column": value}]}')  # fmt: skip
        if rows is UNSET:
            rows = self._convert(self._records(found))
        else:
            self._count(len(rows))
        ids = found.ids
        if ids is None:
            ids = [None] * len(rows)
        elif len(ids) != len(rows):
            raise Refused(400, f"ids: expected {len(rows)}, one a row, found {len(ids)}. Next: give each row one")
        return Parsed(self._finish(rows), ids)

    def _records(self, found: Any) -> list[Any]:
        """Rows as objects, of the other three forms."""
        if found.dataframe_split is not UNSET:
            split = found.dataframe_split
            if len(set(split.columns)) < len(split.columns):
                raise Refused(400, "dataframe_split.columns: expected every column once. Next: remove one")
            wide = next((i for i, r in enumerate(split.data) if len(r) != len(split.columns)), None)
            if wide is not None:
                raise Refused(400, f"dataframe_split.data[{wide}]: expected {len(split.columns)} values, "
                                   f"found {len(split.data[wide])}. Next: one value a column")  # fmt: skip
            self._count(len(split.data))
            return [dict(zip(split.columns, values, strict=True)) for values in split.data]
        name = "instances" if found.instances is not UNSET else "inputs"
        value = found.instances if name == "instances" else found.inputs
        if isinstance(value, dict):
            value = _by_column(name, value)
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise Refused(400, f"{name}: expected columns by their names, found values without names. "
                               "Next: send objects, {\"column\": value}")  # fmt: skip
        self._count(len(value))
        return value

    def _csv(self, body: bytes) -> list[dict[str, Any]]:
        try:
            reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig")), strict=True)
            names = [n for n in reader.fieldnames or [] if n]
            if len(set(names)) < len(names) or not names:
                raise Refused(400, "the CSV: expected a header with every column once. Next: write one")
            records: list[dict[str, Any]] = []
            for record in reader:
                self._count(len(records) + 1)
                if None in record or None in record.values():
                    raise Refused(400, f"the CSV, row {len(records)}: expected {len(names)} values, found others")
                records.append({k: v or None for k, v in record.items() if k})  # pandas' index has no name
        except UnicodeDecodeError:
            raise Refused(400, "the CSV: expected UTF-8, found other bytes. Next: encode it so") from None
        except csv.Error as fault:
            raise Refused(400, f"the CSV: expected rows as pandas writes them, found {fault}") from None
        return self._typed(records)

    def _parquet(self, body: bytes) -> list[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        most = EXPANDED * self.max_body
        large = Refused(413, f"the Parquet file: expected at most {most} bytes when unpacked. Next: send fewer rows")
        try:
            schema = pq.read_schema(io.BytesIO(body))
            wanted = self._flat(schema)
            texts = [n for n in wanted if pa.types.is_string(schema.field(n).type)]
            file = pq.ParquetFile(io.BytesIO(body), read_dictionary=texts)
            self._count(file.metadata.num_rows)
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            if sum(g.column(k).total_uncompressed_size for g in groups for k in range(g.num_columns)) > most:
                raise large
            table = file.read(columns=wanted)
            if sum(_unpacked(table[n]) for n in wanted) > most:
                raise large
            frame = table.to_pandas()
        except (pa.ArrowException, OSError, ValueError, KeyError) as fault:
            raise Refused(400, f"the body: expected a Parquet file, found {type(fault).__name__}") from None
        records: list[dict[str, Any]] = frame.astype("object").where(frame.notna(), None).to_dict(orient="records")
        return [
            {k: v.isoformat() if isinstance(v, datetime) else v for k, v in r.items() if k != "__index_level_0__"}
            for r in records
        ]

    def _flat(self, schema: Any) -> list[str]:
        """The columns of a Parquet file that are read: known ones, each once, of plain values."""
        names = [n for n in schema.names if n != "__index_level_0__"]
        if len(set(names)) < len(names):
            raise Refused(400, "the Parquet file: expected every column once. Next: remove one")
        for name in names:
            if name not in self.dataset.columns and self.serving.extra_columns == "refuse":
                do = did_you_mean(name, self.names, "leave it out")
                raise Refused(400, f"the Parquet file: expected columns of dataset {self.dataset.name}, "
                                   f"found {name[:60]!r}. Next: {do}")  # fmt: skip
            if schema.field(name).type.num_fields:
                raise Refused(400, f"the Parquet file: {name[:60]}: expected plain values, found nested ones")
        return [n for n in names if n in self.dataset.columns]

    def _typed(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """CSV has only text: read as the contract's types, as a batch from a CSV file is."""
        names = list(records[0]) if records else []
        for name in names:
            column = self.dataset.columns.get(name)
            if column is None or column.type in ("category", "text"):
                continue
            values, wrong = conform(pd.Series([r[name] for r in records], dtype="object"), column)
            if wrong.any():
                raise Refused(400, f"row {int(wrong.argmax())}: {name}: expected {word_of(column)}, found other text")
            for record, value in zip(records, values.astype("object"), strict=True):
                python = value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
                record[name] = None if pd.isna(value) else python
        return records

    def _convert(self, records: list[Any]) -> list[Any]:
        found: list[Any] = msgspec.convert(records, self._rows_type)
        return found

    def _count(self, rows: int) -> None:
        if rows > self.max_rows:
            raise Refused(413, f"the request: expected at most {self.max_rows} rows, found {rows} or more. "
                               "Next: send them in parts")  # fmt: skip

    # -- what C cannot check --------------------------------------------------------------
    def _finish(self, rows: list[Any]) -> list[tuple[Any, ...]]:
        width, fixes = len(self.columns), self._fix
        out = []
        for n, row in enumerate(rows):
            values = msgspec.structs.astuple(row)
            if len(values) != width:
                values = values[:width]
            if fixes:
                changed = list(values)
                for i, fix in fixes:
                    if changed[i] is not None:
                        try:
                            changed[i] = fix(changed[i])
                        except ValueError as fault:
                            raise Refused(400, f"row {n}: {self.columns[i]}: {fault}") from None
                values = tuple(changed)
            out.append(values)
        return out

    def _fixer(self, name: str) -> Callable[[Any], Any] | None:
        column = self.dataset.columns[name]
        if name in self.loose and column.type in ("number", "integer", "boolean"):
            return lambda value: coerced(value, column)
        if column.type == "timestamp":
            return instant
        if column.type == "integer":
            return whole
        if column.type in ("category", "text"):
            return lambda value: value or None
        return None

    def _said(self, fault: str) -> str:
        """msgspec's line in our words; it never holds a value, so none is written to a log."""
        at = re.search(r" - at `\$(.*)`$", fault)
        where = at[1].lstrip(".") if at else "the body"
        what = fault[: at.start()] if at else fault
        row, _, column = re.sub(r"^(dataframe_records)?\[(\d+)\]", r"row \2", where).partition(".")
        thing = f"{row}: {column}" if column else row
        if missing := re.fullmatch(r"Object missing required field `(.*)`", what):
            return f"{thing}: {missing[1]}: expected a value, found none. Next: give it, as null if it is missing"
        if extra := re.fullmatch(r"Object contains unknown field `(.*)`", what):
            if thing == "the body":
                do = did_you_mean(extra[1], (*FORMS, "ids", "params"), "leave it out")
                return f"the body: expected one of {', '.join(FORMS)}, found {extra[1][:60]!r}. Next: {do}"
            do = did_you_mean(extra[1], self.names, "leave it out")
            return f"{thing}: expected columns of dataset {self.dataset.name}, found {extra[1][:60]!r}. Next: {do}"
        words = what[0].lower() + what[1:].replace(", got ", ", found ")
        words = re.sub(r"matching regex '\\\\A\(\?:(.*)\)\\\\Z'$", r"that matches \1", words)
        for name, plain in PLAIN.items():
            words = re.sub(rf"(?<=[`| ]){name}(?=[`| ])", plain, words)
        return f"{thing}: {words.replace('`', '').replace(' | ', ' or ')}. Next: correct the value"


def _by_column(name: str, columns: dict[str, Any]) -> list[dict[str, Any]]:
    """`{"a": [1, 2]}` as rows; scalars are one row."""
    if not any(isinstance(v, list) for v in columns.values()):
        return [columns]
    lengths = {len(v) if isinstance(v, list) else -1 for v in columns.values()}
    if len(lengths) > 1:
        raise Refused(400, f"{name}: expected as many values in every column. Next: give each row a value, or null")
    count = lengths.pop()
    return [{k: v[i] for k, v in columns.items()} for i in range(count)]


def _unpacked(values: Any) -> int:
    """Bytes of a column as single values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(values.type):
        return int(values.nbytes)
    parts = (pc.sum(pc.take(pc.binary_length(c.dictionary), c.indices)).as_py() or 0 for c in values.chunks)
    return sum(map(int, parts))


def _lenient(body: bytes) -> Any:
    """JSON with NaN, as Python's own writer and MLflow's client write a missing number."""

    def constant(word: str) -> None:
        if word != "NaN":
            raise Refused(
                400, f"the body: expected finite numbers, found {word}. Next: write null where one is missing"
            )

    try:
        found = json.loads(body, parse_constant=constant)
        msgspec.json.encode(found)  # half a character, or a number of a thousand digits, is refused here
        return found
    except (ValueError, OverflowError) as fault:
        words = str(fault)[:100] if isinstance(fault, json.JSONDecodeError) else "what no JSON may hold"
        raise Refused(400, f"the body: expected JSON, found {words}. Next: mend it") from None


__all__ = ["FORMS", "Parsed", "Payload", "Refused"]
