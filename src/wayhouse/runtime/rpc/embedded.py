"""A `Control` that serves in a thread of this process. Called through `Control.in_thread`, by tests and by small tools."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from wayhouse.runtime.control import Control


class Embedded:
    """A context: on entry it listens and serves, on exit it says goodbye and ends."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self._thread = threading.Thread(target=self._serve, name=f"serve {control.proc_name}", daemon=True)
        self._failure: BaseException | None = None

    @property
    def address(self) -> tuple[str, int] | str:
        """Where to connect to."""
        port = self.control.port
        if isinstance(port, str):
            return port
        listeners = self.control.server.engine.listeners
        name: Any = next(iter(listeners.values())).getsockname() if listeners else (self.control.host, port)
        return name if isinstance(name, str) else (name[0], name[1])

    def stop(self) -> None:
        """End, and wait for it. Raises what ended the loop, if it was not this."""
        if self._thread.is_alive():
            self.control.server.end()
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self.control.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        try:
            self.control.run()
        except BaseException as error:  # noqa: BLE001 - handed to the one who stops it
            self._failure = error
