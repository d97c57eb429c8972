"""Options: what each action would gain over doing nothing within the horizon, and what it costs.

The gain per row comes with its error from blocks of nights, so an option is taken for what it surely brings and
not for what it might: the lower bound of its net gain decides whether it may be taken, the net gain which of them is.
Without a KPI there is no money to compare with costs; then gains are of the loss, costs count nothing, and a gain
below `alarms.min_effect` of the usual loss is too small to act for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from scipy.stats import t as student

from tidegate.config.deciding import Costed
from tidegate.config.model import Model
from tidegate.decision.reasons import LOOKS
from tidegate.performance.blocks import Estimate
from tidegate.verdicts import Option

LEAST = 0.5
"""What is more likely to fail the gate than to pass is not tried: a try spends of the year's error and starts a
cooldown, and with more nights the chance of a real gain grows by itself."""


def unit_of(model: Model) -> str:
    """The unit of gains per row: the KPI's, or that of the loss."""
    if model.kpi.priced:
        return model.kpi.unit
    return "units of the prediction" if model.kind == "regression" else "nats of log loss"


def nothing(model: Model, rows: float) -> Option:
    """Doing nothing: what the others are compared with."""
    why = "what the others gain is over this"
    return Option("nothing", 0.0, 0.0, rows, 1.0, 0.0, 0.0, 0.0, 0.0, unit_of(model), why)


def unknown(model: Model, action: Costed, rows: float, why: str) -> Option:
    """An option whose gain cannot be estimated: it is never chosen, and says why."""
    nan = math.nan
    return Option(action, nan, nan, rows, nan, _cost(model, action), nan, nan, nan, unit_of(model), why)


def weigh(
    model: Model,
    action: Costed,
    gain: Estimate,
    rows: float,
    why: str,
    *,
    chance: float = 1.0,
    usual: float = math.nan,
) -> Option:
    """The option of one action.

    Parameters
    ----------
    gain : Estimate
        Gain per row over doing nothing, in `unit_of` the model, positive is better.
    rows : float
        Rows expected within `decision.horizon`.
    chance : float, in [0, 1]
        That what the action makes passes the gate; without that it gains nothing and costs all the same.
    usual : float
        The usual loss per row, of a model without a KPI.

    Returns
    -------
    Option
        ``net = chance · gain · rows − cost``; ``low`` and ``high`` with the gain's one-sided bounds at
        `decision.confidence`, for going back to a former champion, which no gate proves, at `proof`. As `unknown`
        where the gain or its error is not defined.

    Examples
    --------
    >>> from tidegate.config.model import Model
    >>> label = {"column": "y", "source": {"files": "{date}.csv"}, "classes": [0, 1], "positive": 1}
    >>> model = Model.model_validate({"name": "m", "dataset": "d", "kind": "binary", "features": ["x"], "label": label,
    ...     "kpi": {"false_positive": -1}, "decision": {"costs": {"retrain": {"review": 200}}}})
    >>> o = weigh(model, "retrain", Estimate(0.05, 0.01, 10), 20000, "out of fold", chance=0.8)
    >>> round(o.net), round(o.low), may_act(o)
    (600, 459, True)
    """
    if not math.isfinite(gain.value) or not math.isfinite(gain.se) or gain.blocks < 2 or math.isnan(chance):
        return unknown(model, action, rows, why)
    sure = proof(model) if action == "roll_back" else model.decision.confidence
    reach = float(student.ppf(sure, gain.blocks - 1)) * gain.se
    hurdle = 0.0 if math.isnan(usual) else model.alarms.min_effect * abs(usual) * rows
    cost = _cost(model, action) if model.kpi.priced else hurdle

    def net(per_row: float) -> float:
        return chance * per_row * rows - cost

    return Option(
        action, gain.value, gain.se, rows, chance, cost, net(gain.value), net(gain.value - reach),
        net(gain.value + reach), unit_of(model), why,
    )  # fmt: skip


def proof(model: Model) -> float:
    """The confidence of what is done without a gate: the year's error of false decay calls, shared as that is.

    Weighed every week at .8, a former champion that is no better would be brought back several times a year.

    Examples
    --------
    >>> from tidegate.config.model import Model
    >>> label = {"column": "y", "source": {"files": "{date}.csv"}, "classes": [0, 1], "positive": 1}
    >>> model = Model.model_validate(
    ...     {"name": "m", "dataset": "d", "kind": "binary", "features": ["x"], "label": label})
    >>> round(proof(model), 5)
    0.99904
    """
    stretch = min(1.0, model.decision.nights / 365)
    return 1 - model.retrain.decay_alpha * stretch / LOOKS


def may_act(option: Option) -> bool:
    """Whether the option surely pays, and is likely enough to take effect."""
    return option.low > 0 and option.chance >= LEAST


def best(options: Sequence[Option]) -> Option | None:
    """The option of the largest net gain of those that surely pay; of equal ones the cheaper. None if none does."""
    pays = [o for o in options if o.action != "nothing" and may_act(o)]
    return max(pays, key=lambda o: (o.net, -o.cost), default=None)


def words(option: Option) -> str:
    """One line for people.

    Examples
    --------
    >>> words(Option("retrain", 0.05, 0.01, 20000, 0.8, 200, 600, 459, 740, "USD", "out of fold"))
    'gains +0.05 ± 0.01 USD a row, 80 % likely to pass, costs 200: net +600 USD (459 to 740) over 20,000 rows'
    """
    if math.isnan(option.net):
        return f"not estimable: {option.why}"
    likely = "" if option.chance == 1 else f"{option.chance:.0%} likely to pass, ".replace("%", " %")
    gain = f"gains {option.gain:+.3g} ± {option.se:.2g} {option.unit} a row, {likely}costs {option.cost:,.4g}"
    bounds = f"({option.low:,.4g} to {option.high:,.4g})"
    return f"{gain}: net {option.net:+,.4g} {option.unit} {bounds} over {option.rows:,.0f} rows"


def without_nan(option: Option) -> dict[str, object]:
    """The option as plain values; what is not a finite number is None."""
    names = ("action", "gain", "se", "rows", "chance", "cost", "net", "low", "high", "unit", "why")
    values = {name: getattr(option, name) for name in names}
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def blocked(option: Option, why: str) -> Option:
    """The option as one that must not be taken now, with why."""
    return replace(option, chance=0.0, why=f"{why}; {option.why}")


def _cost(model: Model, action: Costed) -> float:
    """In money; without a KPI there is none to compare with."""
    return model.decision.costs.of(action).total if model.kpi.priced else 0.0
