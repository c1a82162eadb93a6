from __future__ import annotations

import gzip
import re

from wayhouse.portal.assets import FOLDER, FOR_EVER, Assets


def test_files_are_cached_for_ever_under_their_hash():
    assets = Assets()
    answer = assets.answer(f"{assets.base}/wayhouse.css")
    assert answer is not None
    assert answer.media.startswith("text/css")
    assert ("cache-control", FOR_EVER) in answer.headers
    packed = assets.answer(f"{assets.base}/wayhouse.css", "gzip, br")
    assert ("content-encoding", "gzip") in packed.headers
    assert gzip.decompress(packed.body) == answer.body


def test_another_hash_is_served_but_not_kept():
    answer = Assets().answer("/static/0000/wayhouse.css")
    assert ("cache-control", "no-cache") in answer.headers


def test_only_what_is_there_is_served():
    assets = Assets()
    for path in ("../service.py", "../../pyproject.toml", "", "nothing.js", "vendor", "..%2fservice.py"):
        assert assets.answer(f"{assets.base}/{path}") is None


def test_the_hash_follows_the_contents(tmp_path):
    (tmp_path / "a.js").write_text("1")
    first = Assets(tmp_path).base
    (tmp_path / "a.js").write_text("2")
    assert Assets(tmp_path).base != first


def test_modules_import_only_what_exists():
    for path in FOLDER.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")):
            assert (FOLDER / name).is_file(), f"{path.name} imports {name}"


def test_vendored_libraries_come_with_their_licences():
    assert (FOLDER / "vendor" / "htmx.min.js").is_file()
    assert "Zero-Clause BSD" in (FOLDER / "vendor" / "htmx.LICENSE").read_text(encoding="utf-8")
    assert (FOLDER / "vendor" / "uplot.min.js").is_file()
    assert "MIT License" in (FOLDER / "vendor" / "uplot.LICENSE").read_text(encoding="utf-8")


async def test_over_http(house):
    base = Assets().base
    reply = await house.stranger().get(f"{base}/page.js")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/javascript")
    assert reply.headers["x-content-type-options"] == "nosniff"
