from __future__ import annotations

import pytest


@pytest.fixture
def wine_home(make_wine, tmp_path):
    """Three nights of tastings, nothing run yet."""
    return make_wine(tmp_path / "home", 3, 99)
