"""Prefect tasks: one step each, around one core call."""
