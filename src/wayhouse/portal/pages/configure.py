"""Changing an app: its environment as a form, its specification as YAML, a new version by dropping it."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from wayhouse.access.policy import Right
from wayhouse.api.actors import actor_of
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.chutes import document
from wayhouse.chutes.model import Chute
from wayhouse.chutes.names import VARIABLE
from wayhouse.chutes.service import Chutes
from wayhouse.portal.apps import AppList
from wayhouse.portal.model import Answer, Form, Page, Visit, redirect
from wayhouse.portal.templates import Templates

CONFIGURE = "/apps/{name}/configure"


class ConfigurePages:
    def __init__(self, apps: AppList, chutes: Chutes, templates: Templates) -> None:
        self._apps = apps
        self._chutes = chutes
        self._templates = templates

    def pages(self) -> list[Page]:
        use, change = Right.USE_CHUTE, Right.CHANGE_CHUTE
        return [
            Page("GET", CONFIGURE, use, self.show),
            Page("POST", CONFIGURE + "/environment", use, self.set_environment, is_audited=True),
            Page("POST", CONFIGURE + "/specification", change, self.set_specification, is_audited=True),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._page(visit)

    async def set_environment(self, visit: Visit) -> Answer:
        self._chutes.get(visit.path["name"])
        try:
            environment = environment_of(visit.form)
        except BadInputError as error:
            pairs = list(zip_longest(visit.form.get("key", []), visit.form.get("value", []), fillvalue=""))
            return await self._page(visit, environment=pairs, environment_error=error)
        change = await self._chutes.restart(visit.path["name"], actor_of(visit.who), environment)
        return redirect(f"/changes/{change.id}")

    async def set_specification(self, visit: Visit) -> Answer:
        self._chutes.get(visit.path["name"])
        text = visit.field("text")
        try:
            fields = _fields(text)
            change = await self._chutes.configure(visit.path["name"], fields, actor_of(visit.who))
        except BadInputError as error:
            return await self._page(visit, text=text, text_error=error)
        return redirect(f"/changes/{change.id}")

    async def _page(
        self,
        visit: Visit,
        *,
        environment: list[tuple[str, str]] | None = None,
        environment_error: WayhouseError | None = None,
        text: str | None = None,
        text_error: WayhouseError | None = None,
    ) -> Answer:
        chute = self._chutes.get(visit.path["name"])
        error = environment_error or text_error
        return self._templates.page(
            "app_configure.html",
            visit,
            status=error.status if error else 200,
            app=await self._apps.one(chute.name, visit),
            environment=list(chute.spec.environment.items()) if environment is None else environment,
            environment_error=environment_error.message if environment_error else "",
            text=specification(chute) if text is None else text,
            text_error=text_error.message if text_error else "",
        )


def specification(chute: Chute) -> str:
    """The document that `PUT .../config` takes back, as YAML."""
    return codec.encode_yaml(document.document(chute.spec, owner=chute.owner, state=chute.desired))


def environment_of(form: Form) -> dict[str, str]:
    """The rows of the form; empty rows are left out. Raises `BadInputError`."""
    result: dict[str, str] = {}
    for name, value in zip_longest(form.get("key", []), form.get("value", []), fillvalue=""):
        name = name.strip()  # noqa: PLW2901 - the same thing, tidied
        if not name:
            if value:
                raise BadInputError("A value has no name. Give it one, or empty it.")
            continue
        if VARIABLE.fullmatch(name) is None:
            raise BadInputError(f"`{name[:64]}` cannot be the name of a variable.", path=name)
        if name in result:
            raise BadInputError(f"`{name}` is given twice.", path=name)
        result[name] = value.replace("\r\n", "\n")
    return result


def _fields(text: str) -> dict[str, Any]:
    fields = codec.decode_yaml(text, what="specification")
    if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields):
        raise BadInputError("A specification is a mapping: lines such as `version: 2`.")
    return fields
