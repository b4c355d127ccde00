"""What all tests share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The engine's loop is asyncio's."""
    return "asyncio"
