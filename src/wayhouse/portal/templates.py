"""Turns a template and values into an answer. Jinja2 is imported when the first page is shown, to keep idle memory low.

Everything is escaped, and a name that a template misspells is an error.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wayhouse.access.model import Role
from wayhouse.base.clock import Clock
from wayhouse.portal import formats, values
from wayhouse.portal.assets import Assets
from wayhouse.portal.icons import ICONS
from wayhouse.portal.model import Answer, Visit, app_path, device_path, job_path, overlay_path, scenario_path

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

FOLDER = Path(__file__).parent / "templates"


class Templates:
    """`common` are values that every template sees beside its own."""

    def __init__(self, assets: Assets, clock: Clock, **common: Any) -> None:
        self._assets = assets
        self._clock = clock
        self._common = common

    def now(self) -> float:
        """What the templates know as `now`: Unix seconds."""
        return self._clock.wall()

    def page(self, name: str, visit: Visit, *, status: int = 200, **values: Any) -> Answer:
        return Answer(self.text(name, visit, **values).encode("utf-8", "replace"), status)

    def text(self, name: str, visit: Visit, **values: Any) -> str:
        template = self._environment.get_template(name)
        return template.render(visit=visit, now=self.now(), **values)

    def fragment(self, name: str, visit: Visit, **values: Any) -> Markup:
        """A part that goes into another template as it is."""
        import markupsafe

        return markupsafe.Markup(self.text(name, visit, **values))  # noqa: S704 - it comes out of a template

    @functools.cached_property
    def _environment(self) -> jinja2.Environment:
        import jinja2
        import markupsafe

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "size": formats.size,
            "percent": formats.percent,
            "duration": formats.duration,
            "iso": formats.iso,
            "moment": formats.moment,
            "ago": formats.ago,
            "until": formats.until,
            "number": values.number,
            "shown": values.shown,
        }
        environment.globals |= {
            "static": self._assets.base,
            "icon": {name: markupsafe.Markup(svg) for name, svg in ICONS.items()},  # noqa: S704 - our own constants
            "app_path": app_path,
            "device_path": device_path,
            "job_path": job_path,
            "overlay_path": overlay_path,
            "scenario_path": scenario_path,
            "roles": [role.label for role in Role],
            **self._common,
        }
        return environment
