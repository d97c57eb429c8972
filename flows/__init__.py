"""Prefect flows: what happens, and in which order."""
