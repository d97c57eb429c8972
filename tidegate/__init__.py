"""Tidegate keeps machine-learning models in production healthy.

Importing this package loads none of Prefect, MLflow, Great Expectations, Evidently.
"""

from tidegate.errors import TidegateError

__version__ = "0.1.0"
__all__ = ["TidegateError", "__version__"]
