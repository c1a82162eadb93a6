from __future__ import annotations

import pytest

from wayhouse.base.clock import ManualClock
from wayhouse.portal.assets import Assets
from wayhouse.portal.model import Visit
from wayhouse.portal.templates import FOLDER, Templates

VISIT = Visit(identity=None, method="GET", url="/")


def test_all_templates_compile():
    environment = Templates(Assets(), ManualClock())._environment
    for path in FOLDER.glob("*.html"):
        environment.get_template(path.name)


def test_values_are_escaped_and_names_must_exist():
    environment = Templates(Assets(), ManualClock())._environment
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(Exception, match="undefined"):
        environment.from_string("{{ nothing }}").render()


def test_text_that_is_no_unicode_does_not_break_a_page():
    answer = Templates(Assets(), ManualClock()).page(
        "bounce.html", Visit(identity=None, method="GET", url="/\udcff")
    )
    assert b"<a href=" in answer.body
