"""What the tests of training share."""

import jaxtyping
import pytest


@pytest.fixture
def unchecked_annotations():
    """Run without the checker of annotations, as users do: it stops wrong types first, and draws from `random`."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
