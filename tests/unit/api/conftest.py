"""The whole gateway in this process, for every test of the API."""

import pytest

from tests.parts.house import house as whole_house


@pytest.fixture
async def house(tmp_path):
    async with whole_house(tmp_path) as one:
        yield one
