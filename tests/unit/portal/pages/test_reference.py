from __future__ import annotations

from wayhouse.api import endpoints


async def test_every_endpoint_is_there(house):
    page = (await (await house.browser()).get("/api")).text
    for row in endpoints.ALL:
        assert row.path.replace("...}", "}") in page
    assert "Authorization: Bearer $TOKEN" in page
