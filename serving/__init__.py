"""The gateway: an ASGI application over the adapters and the core; no Prefect in it."""
