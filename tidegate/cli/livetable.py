"""The live table of a replay: what each policy's nights have come to so far."""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import EMPTY, Tally


@dataclass
class _Row:
    """One policy so far."""

    history: int = 0
    nights: int = 0
    window: str = "starting"
    months: dict[str, Tally] = field(default_factory=dict)
    blocked: int = 0
    alarms: int = 0
    retrains: int = 0
    promotions: int = 0
    read: int = 0

    def take(self, event: dict[str, Any]) -> list[str]:
        """Count one line of progress; returns what is worth telling."""
        if event["phase"] == "history":
            self.history += 1
            self.window = event["window"]
            return []
        if event["phase"] != "night":
            return []
        self.nights += 1
        self.window = event["window"]
        if event["tally"]:
            month = event["event"][:7]
            self.months[month] = self.months.get(month, EMPTY) + Tally.from_dict(event["tally"])
        self.blocked += event["blocked"]
        self.alarms += event["alarms"]
        self.retrains += event["retrain"] and event["version"] is not None
        self.promotions += event["promoted"]
        told = [f"{event['window']}: blocked"] if event["blocked"] else []
        if event["retrain"] and event["version"] is not None:
            told.append(f"{event['window']}: retrain ({event['reason']}), gate {event['gate']}")
        if event["promoted"]:
            told.append(f"{event['window']}: version {event['version']} promoted")
        return told


class Watch:
    """Follows the progress files of a replay's policies."""

    def __init__(
        self,
        homes: dict[str, Home],
        model: Model,
        history: int,
        nights: int,
        began: float,
        *,
        quiet: bool = False,
    ) -> None:
        self.files = {p: h.state / "progress.jsonl" for p, h in homes.items()}
        self.name, self.model, self.history, self.nights, self.began = model.name, model, history, nights, began
        self.rows = {p: _Row() for p in homes}
        self.told: list[str] = []
        self.said = 0
        self.console = Console(quiet=quiet)

    def run(self, over: threading.Event, period: float) -> None:
        """Show until `over`: a live table on a terminal, else a line a month."""
        if self.console.is_terminal:
            with Live(self.render(), console=self.console, refresh_per_second=4) as live:
                while not over.wait(period):
                    self.read()
                    live.update(self.render())
                self.read()
                live.update(self.render())
            return
        self.console.print(
            f"{self.name}: {self.history} nights of history, then {self.nights} nights for {', '.join(self.rows)}"
        )
        while not over.wait(period):
            self.read()
            self._say()
        self.read()
        self._say()

    def read(self) -> None:
        """Take in the lines that were added since."""
        for policy, path in self.files.items():
            row = self.rows[policy]
            if not path.exists():
                continue
            with path.open() as f:
                f.seek(row.read)
                for line in f:
                    if not line.endswith("\n"):
                        break
                    row.read += len(line)
                    month = row.window[:7]
                    self.told += [f"{policy:9} {text}" for text in row.take(json.loads(line))]
                    if row.window[:7] != month and row.months and not self.console.is_terminal:
                        self.told.append(self._month_line(policy, month))

    def _month_line(self, policy: str, month: str) -> str:
        tally = self.rows[policy].months.get(month)
        if tally is None:
            return f"{policy:9} {month}: history"
        values = {n: METRICS[self.model.kind][n](tally) for n in (self.model.metric.primary, "kpi")}
        return f"{policy:9} {month}: " + ", ".join(f"{k} {v:.4f}" for k, v in values.items()) + f"  [{self.left()}]"

    def _say(self) -> None:
        for line in self.told[self.said :]:
            self.console.print(Text(line))
        self.said = len(self.told)

    def left(self) -> str:
        """Time gone, and an estimate of the time left."""
        gone = time.monotonic() - self.began
        done = sum(r.nights + r.history / 3 for r in self.rows.values())
        whole = len(self.rows) * (self.nights + self.history / 3)
        left = f", about {gone / done * (whole - done):.0f} s left" if done else ""
        return f"{gone:.0f} s{left}"

    def render(self) -> RenderableType:
        primary = self.model.metric.primary
        table = Table(
            "policy",
            "night",
            "month",
            primary,
            f"KPI {self.model.kpi.unit}/row",
            "alarms",
            "blocked",
            "retrains",
            "promotions",
            title=f"{self.name}: {self.nights} nights under {len(self.rows)} policies",
            title_justify="left",
        )
        for policy, row in self.rows.items():
            month = max(row.months, default="")
            tally = row.months.get(month, EMPTY)
            values = [METRICS[self.model.kind][n](tally) if tally.n else float("nan") for n in (primary, "kpi")]
            night = row.window if row.nights else f"history {row.history}/{self.history}" if row.history else row.window
            table.add_row(
                policy,
                night,
                month,
                *("" if math.isnan(v) else f"{v:.3f}" for v in values),
                str(row.alarms),
                str(row.blocked),
                str(row.retrains),
                str(row.promotions),
            )
        return Group(table, *[Text(t, style="dim") for t in self.told[-8:]], Text(self.left()))

    def finish(self, summary: dict[str, Any], folder: Path) -> None:
        """The comparison, and where to look further."""
        primary = self.model.metric.primary
        table = Table(
            "policy",
            f"{primary} (mean of months)",
            f"KPI {self.model.kpi.unit}/row",
            "retrains",
            "promotions",
            "pages",
            "tickets",
            box=None,
            header_style="bold",
        )
        for policy, values in summary["policies"].items():
            table.add_row(
                policy,
                _figure(values[primary]),
                _figure(values["kpi"]),
                str(values["retrains"]),
                str(values["promotions"]),
                str(summary["pages"][policy]),
                str(summary["tickets"][policy]),
            )
        self.console.print(table)
        blocked, quarantined = len(summary["blocked"]), summary["quarantined_rows"]
        self.console.print(f"{blocked} windows blocked, {quarantined} rows quarantined, {summary['wall_s']:.0f} s")
        self.console.print(Text(f"{folder / 'summary.json'}\n{folder / 'report.html'}"))


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
