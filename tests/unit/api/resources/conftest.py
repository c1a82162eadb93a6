"""The API of the devices alone."""

import pytest

from tests.parts.devices_api import devices_api


@pytest.fixture
async def home(tmp_path):
    async with devices_api(tmp_path) as one:
        yield one
