"""Serves the `approval` flow until it is ended, as an operator would."""

from prefect import serve
from prefect.deployments.runner import EntrypointType

from flows.approval import approval

if __name__ == "__main__":
    serve(approval.to_deployment("approval", entrypoint_type=EntrypointType.MODULE_PATH), pause_on_shutdown=False)
