"""The API as a page to read, made from the OpenAPI document when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from wayhouse.access.policy import Right
from wayhouse.portal import outline
from wayhouse.portal.model import Answer, Page, Visit
from wayhouse.portal.templates import Templates


class ReferencePages:
    def __init__(self, templates: Templates, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._templates = templates
        self._describe = describe

    def pages(self) -> list[Page]:
        return [Page("GET", "/api", Right.SEE, self.show)]

    async def show(self, visit: Visit) -> Answer:
        return self._templates.page("reference.html", visit, groups=self._groups)

    @functools.cached_property
    def _groups(self) -> list[outline.Group]:
        return outline.groups(self._describe())
