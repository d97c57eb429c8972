"""Whose sleep it is: on-call groups, and their budget of false pages shared over their models."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tidegate.config.base import did_you_mean, show
from tidegate.config.model import Model
from tidegate.config.platform import OnCall, Platform
from tidegate.errors import ConfigError, UsageError


def allot(budget: float, materiality: Mapping[str, float]) -> dict[str, float]:
    """Share a budget over models in proportion to their materiality.

    Parameters
    ----------
    budget : float
        Pages per 30 days, at least 0; 0 gives every model 0.
    materiality : mapping of str to float
        Weight of each model, more than 0. No models: no shares.

    Returns
    -------
    dict
        The shares, at least 0, in the order given; their sum is the budget to the last bit.

    Raises
    ------
    UsageError
        For a budget below 0, a weight of 0 or below, NaN or infinity.

    Examples
    --------
    >>> allot(2.0, {"flights": 3.0, "tastings": 1.0})
    {'flights': 1.5, 'tastings': 0.5}
    """
    if not (math.isfinite(budget) and budget >= 0):
        raise UsageError("budget", "a number of pages, 0 or more", repr(budget))
    for model, weight in materiality.items():
        if not (math.isfinite(weight) and weight > 0):
            raise UsageError(f"materiality of {model}", "a number above 0", repr(weight))
    if not materiality:
        return {}
    largest = max(materiality, key=lambda model: materiality[model])
    # Relative to the largest, so that no sum of weights overflows.
    weights = {model: weight / materiality[largest] for model, weight in materiality.items()}
    total = math.fsum(weights.values())
    # In whole units of the budget's last bit, so that every sum of shares is exact.
    unit = math.ulp(budget)
    shares = {model: unit * math.floor(budget * (weight / total) / unit) for model, weight in weights.items()}
    shares[largest] = budget - sum(share for model, share in shares.items() if model != largest)
    return shares


def group_of(model: Model, platform: Platform) -> tuple[str, OnCall]:
    """The on-call group of a model: its name and what it is willing to be woken for.

    `alarms.group` has to be declared in `on_call`. Left out, it is the group called as the
    model's owner, with the defaults of `on_call` if there is none.

    Raises
    ------
    ConfigError
        If `alarms.group` is not declared.
    """
    name = model.alarms.group
    if name is None:
        return model.owner, platform.on_call.get(model.owner, OnCall())
    if name not in platform.on_call:
        known = sorted(platform.on_call)
        expected = f"one of the on_call groups {', '.join(known)}" if known else "a group of on_call"
        do = did_you_mean(name, known, f"declare on_call.{name} in configs/tidegate.yaml")
        raise ConfigError(f"model {model.name}: alarms.group", expected, show(name), do)
    return name, platform.on_call[name]


def budget_of(model: Model, models: Mapping[str, Model], platform: Platform) -> float:
    """A model's share of its group's budget, in false pages per 30 days.

    `models` are all the models of the home, by name; those of other groups are left out.
    """
    group, on_call = group_of(model, platform)
    same = {m.name: m.alarms.materiality for m in models.values() if group_of(m, platform)[0] == group}
    return allot(on_call.budget, same | {model.name: model.alarms.materiality})[model.name]
