import csv
import io
import xml.etree.ElementTree as ET

import pytest

READINGS = "/api/v1/readings/boiler/value"
SVG = "image/svg+xml"


async def live(home, minutes):
    for _ in range(minutes):
        home.clock.advance(60)
        for name in ("boiler", "roof"):
            await home.devices.command(name, "value")


async def test_buckets_of_the_last_day(home):
    await live(home, 10)
    found = (await home.ask("GET", READINGS, who="user")).json()
    assert (found["name"], found["command"], found["unit"], found["step_s"]) == ("boiler", "value", "°C", 60)
    assert len(found["buckets"]) == 11
    assert found["end"] - found["start"] == 86_400


async def test_a_span_and_points_of_ones_own(home):
    await live(home, 10)
    end = home.clock.wall()
    found = (await home.ask("GET", f"{READINGS}?start={end - 180}&end={end}")).json()
    assert 3 <= len(found["buckets"]) <= 4
    assert len((await home.ask("GET", f"{READINGS}?points=2")).json()["buckets"]) <= 2
    assert (await home.ask("GET", f"{READINGS}?range=year")).json()["step_s"] == 6 * 3600


async def test_as_csv(home):
    await live(home, 2)
    answer = await home.ask("GET", READINGS, accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.body.decode())))
    assert rows[0] == ["time", "step_s", "count", "minimum", "mean", "maximum"]
    assert [len(row) for row in rows] == [6] * 4


async def test_a_picture_of_several(home):
    await live(home, 10)
    target = "/api/v1/graphs?key=boiler&key=roof/value&range=day"
    answer = await home.ask("GET", target, accept=f"{SVG},image/*")
    assert answer.headers["content-type"].startswith(SVG)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert ET.fromstring(answer.body).get("aria-label") == "boiler, roof"
    assert (await home.ask("GET", target + "&format=svg")).body[:4] == b"<svg"
    data = (await home.ask("GET", target, accept="application/json")).json()
    assert [(one["name"], one["unit"]) for one in data["lines"]] == [("boiler", "°C"), ("roof", "m/s")]
    assert (await home.ask("GET", target + "&format=json", accept=SVG)).json() == data


@pytest.mark.parametrize("span", ["day", "week", "month", "year"])
@pytest.mark.parametrize("key", ["boiler", "here.fake.boiler", "hall"])
async def test_at_the_loggers_path(home, span, key):
    assert (await home.ask("GET", f"/graph/{key}/{span}")).body.startswith(b"<svg")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (READINGS + "?start=x", 400),
        (READINGS + "?start=nan", 400),
        (READINGS + "?start=1e99", 400),
        (READINGS + "?start=2&end=1", 400),
        (READINGS + "?points=99999", 400),
        (READINGS + "?range=decade", 400),
        ("/api/v1/readings/nobody/value", 404),
        ("/api/v1/readings/boiler/nothing", 404),
        ("/api/v1/graphs", 400),
        ("/api/v1/graphs?" + "&".join(["key=boiler"] * 17), 400),
        ("/api/v1/graphs?key=boiler&format=pdf", 400),
        ("/api/v1/graphs?key=nobody", 404),
        ("/graph/boiler/decade", 400),
    ],
)
async def test_what_is_refused(home, target, status):
    assert (await home.ask("GET", target)).status == status


async def test_the_key_of_the_clone_names_a_value_too(home):
    data = (await home.ask("GET", "/api/v1/graphs?key=/device/here.fake.roof/direction")).json()
    assert (data["lines"][0]["name"], data["lines"][0]["command"]) == ("roof", "direction")
