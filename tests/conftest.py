"""What all tests share."""

import os

import pytest
from hypothesis import settings

# The same examples in every run, so that whoever changes something sees what the change did. To look for new ones:
# HYPOTHESIS_PROFILE=explore make test
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


os.environ.setdefault("ALOMA_HTTP", "off")  # servers of tests listen where a test says so


@pytest.fixture
def anyio_backend() -> str:
    """The engine's loop is asyncio's."""
    return "asyncio"
