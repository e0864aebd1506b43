"""What every test shares: one torch thread, repeatable randomness, one browser a module."""

import os
import random
import warnings

import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.site.browser import launch

settings.register_profile("default", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# The suite runs several processes at once: one thread each is faster than all of them fighting for two cores.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Begin with the slow files: one that begins last would keep one process busy and the others waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def repeatable():
    """Give every test the same random numbers whatever ran before it, and the checker of annotations too."""
    torch.manual_seed(0)
    random.seed(0)


@pytest.fixture(scope="session")
def repository_root(pytestconfig):
    """The folder that holds pyproject.toml."""
    return pytestconfig.rootpath


@pytest.fixture(scope="module")
def chromium():
    """A headless browser; one a module, since two of playwright's cannot be open at once.

    Without a browser the tests that need one fail in CI, and elsewhere are left out with a warning nobody overlooks.
    """
    try:
        with launch() as browser:
            yield browser
    except FileNotFoundError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        warnings.warn(f"NOTHING WAS LOOKED AT IN A BROWSER. {error}", stacklevel=1)
        pytest.skip(str(error))
