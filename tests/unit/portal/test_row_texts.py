from __future__ import annotations

import msgspec

from wayhouse.base.clock import ManualClock
from wayhouse.portal.apps import AppRow, Phase
from wayhouse.portal.assets import Assets
from wayhouse.portal.model import Visit
from wayhouse.portal.row_texts import MOST, RowTexts
from wayhouse.portal.templates import Templates
from wayhouse.portal.usage import Load

VISIT = Visit(identity=None, method="GET", url="/")
APP = AppRow(
    name="app",
    description="<i>",
    version="1",
    desired="running",
    phase=Phase.RUNNING,
    label="Running",
    services=(),
    load=Load(),
    open_url=None,
    busy_with=None,
    may_use=False,
    may_change=False,
    stamp="s1",
)


def test_a_row_is_kept_until_it_changes():
    texts = RowTexts(Templates(Assets(), ManualClock()))
    first = texts(APP, VISIT)
    assert "&lt;i&gt;" in first
    assert texts(APP, VISIT) is first
    assert "12 %" in texts(msgspec.structs.replace(APP, load=Load(12.0, 5)), VISIT)
    assert texts(msgspec.structs.replace(APP, stamp="s2"), VISIT) is not first


def test_not_too_many_are_kept():
    texts = RowTexts(Templates(Assets(), ManualClock()))
    for number in range(MOST + 5):
        texts(msgspec.structs.replace(APP, stamp=str(number)), VISIT)
    assert len(texts._kept) == MOST
