"""The steps of a night, each one a plain function over the adapters and the core; no Prefect.

A step reads what it needs, makes one core call, writes what it found, and can be run again
without changing anything.
"""
