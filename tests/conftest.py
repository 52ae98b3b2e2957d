"""What every test stands on: no keras.json of the user, the configuration and the seeds restored after each test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

# minikeras reads keras.json when it is imported, so this stands before the first import of it
_keras_home = tempfile.TemporaryDirectory(prefix="minikeras-tests-")
os.environ["KERAS_HOME"] = _keras_home.name
os.environ["MPLBACKEND"] = "Agg"

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from minikeras.core import config, random, tiers  # noqa: E402


@pytest.fixture(autouse=True)
def _restored_globals() -> Iterator[None]:
    """Start each test unseeded, as a user would, but with the same NumPy state; leave no trace of what it sets."""
    numpy_state = np.random.get_state()
    np.random.seed(0)
    with config.scope(), tiers.kernels_scope(None), random.seed_scope(None):
        yield
    np.random.set_state(numpy_state)
