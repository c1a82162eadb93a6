"""The rows of the home page as HTML, kept while nothing of them changes: a page of apps is mostly the same each time."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from wayhouse.portal import formats
from wayhouse.portal.apps import AppRow
from wayhouse.portal.model import Visit
from wayhouse.portal.templates import Templates

if TYPE_CHECKING:
    from markupsafe import Markup

MOST = 1000

Key = tuple[str, str, str, str, bool]


class RowTexts:
    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._kept: OrderedDict[Key, Markup] = OrderedDict()

    def __call__(self, app: AppRow, visit: Visit) -> Markup:
        """The row, safe to put into a page."""
        load = app.load
        key = (app.name, app.stamp, formats.percent(load.cpu), formats.size(load.memory), visit.sees_changes)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._templates.fragment("_row.html", visit, app=app)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return kept
