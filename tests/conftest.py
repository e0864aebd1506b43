"""What every test shares: one torch thread, repeatable randomness, no network."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# The suite runs several processes at once: one thread each is faster than all of them fighting for two cores.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def repeatable():
    """Give every test the same random numbers whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository_root(pytestconfig):
    """The folder that holds pyproject.toml."""
    return pytestconfig.rootpath
