"""Installing: the page that takes folders and archives (its script sends them straight to the API) or an address."""

from __future__ import annotations

from wayhouse.access.policy import Right, demand
from wayhouse.api.actors import actor_of
from wayhouse.base.errors import BadInputError, NotFoundError, WayhouseError
from wayhouse.chutes import examples
from wayhouse.chutes.service import Chutes, Received
from wayhouse.portal import example
from wayhouse.portal.model import Answer, Page, Visit, redirect
from wayhouse.portal.templates import Templates

FIELDS = ("name", "url", "checkout", "user", "secret")


class InstallPages:
    def __init__(self, chutes: Chutes, templates: Templates) -> None:
        self._chutes = chutes
        self._templates = templates

    def pages(self) -> list[Page]:
        return [
            Page("GET", "/install", Right.SEE_CHUTES, self.show),
            Page("POST", "/install", Right.SEE_CHUTES, self.from_address, is_audited=True),
            Page("POST", "/install/example", Right.SEE_CHUTES, self.from_example, is_audited=True),
        ]

    async def show(self, visit: Visit) -> Answer:
        return self._form(visit)

    async def from_address(self, visit: Visit) -> Answer:
        """A git or http(s) address. What is wrong with it is said beside the form."""
        name = visit.field("name").strip()
        _demand_may_install(visit, name, self._chutes)
        try:
            received = await self._receive(visit, name)
        except BadInputError as error:
            return self._form(visit, error)
        return await self._install(visit, received)

    async def from_example(self, visit: Visit) -> Answer:
        source = example.folder()
        if source is None:
            raise NotFoundError("This install came without the example app.")
        _demand_may_install(visit, example.NAME, self._chutes)
        return await self._install(visit, await self._chutes.receive_archive(examples.chunks(source)))

    async def _receive(self, visit: Visit, name: str) -> Received:
        download = {
            key: text for key in ("url", "checkout", "user", "secret") if (text := visit.field(key).strip())
        }
        return await self._chutes.receive_config({"name": name, "download": {"url": "", **download}})

    async def _install(self, visit: Visit, received: Received) -> Answer:
        try:
            _demand_may_install(visit, received.name, self._chutes)
            change = await self._chutes.create(received, actor_of(visit.who))
        except WayhouseError:
            self._chutes.drop(received)
            raise
        return redirect(f"/changes/{change.id}")

    def _form(self, visit: Visit, error: WayhouseError | None = None) -> Answer:
        return self._templates.page(
            "install.html",
            visit,
            status=error.status if error else 200,
            error=error.message if error else "",
            given={key: visit.field(key) for key in FIELDS if key != "secret"},
            has_example=example.folder() is not None and self._chutes.find(example.NAME) is None,
            may_install=visit.may(Right.CHANGE_CHUTE, "", None),
        )


def _demand_may_install(visit: Visit, name: str, chutes: Chutes) -> None:
    chute = chutes.find(name)
    owner = (chute.owner.name, chute.owner.domain) if chute is not None else None
    demand(Right.CHANGE_CHUTE, visit.identity, chute=name, chute_owner=owner)
