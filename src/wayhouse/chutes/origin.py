"""Where a download comes from, as decided from its URL alone: pure, called by `drivers/download.py`.

A page of a GitHub repository becomes the tarball of a checkout, `ssh:` and `git+...:` and names that end in `.git` are
repositories, any other `http(s):` is an archive. A secret in the URL is taken out of it at once, so that the URL can be
shown in messages and given to programs.
"""

from __future__ import annotations

import base64
import re
import urllib.parse

import msgspec

from wayhouse.base.errors import BadInputError

_CHECKOUT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./+@-]{0,199})")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*)|[0-9A-Fa-f:]+")
_SHORT_SSH = re.compile(
    r"(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]*):(?!//)([^:\s-][^\s]*)"
)
_GITHUB = re.compile(r"/([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9_.-]+?)(?:\.git)?/?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")

PORTS = {"http": 80, "https": 443}


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """`url` holds no secret. `is_git`: a repository, otherwise an archive. `github`: owner and name."""

    url: str
    is_git: bool
    github: tuple[str, str] | None = None
    checkout: str | None = None
    user: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return f"Origin({shown(self.url)!r})"

    @property
    def scheme(self) -> str:
        return urllib.parse.urlsplit(self.url).scheme

    @property
    def basic(self) -> str | None:
        """The value of an `Authorization` header (RFC 7617), if there is a secret."""
        if not self.secret:
            return None
        return "Basic " + base64.b64encode(f"{self.user or ''}:{self.secret}".encode()).decode()


def origin(
    url: str, *, checkout: str | None, user: str | None, secret: str | None, schemes: frozenset[str]
) -> Origin:
    """Raises `BadInputError` (path `download.<field>`) for what cannot or must not be fetched."""
    parts, wants_git = _split(url)
    if parts.scheme not in schemes:
        raise _bad("url", f"has a scheme that is not taken here; use {', '.join(sorted(schemes))}")
    if parts.scheme != "file" and not _HOST.fullmatch(_host(parts)):
        raise _bad("url", "names no host, or not a proper one")
    if checkout is not None and not is_checkout(checkout):
        raise _bad("checkout", "must be the name of a branch or tag, or a commit")
    user, secret = user or _unquoted(parts.username), secret or _unquoted(parts.password)
    if user is not None and not _USER.fullmatch(user):
        raise _bad("user", "must be a user name")
    if secret is not None and _CONTROL.search(secret):
        raise _bad("secret", "holds a control character")
    if secret is not None and parts.scheme not in PORTS:
        raise _bad("secret", f"cannot be used with {parts.scheme}; the gateway's own SSH key is")
    github = None if wants_git else _github(parts)
    is_git = wants_git or parts.scheme in {"ssh", "file"} or parts.path.rstrip("/").endswith(".git")
    return Origin(
        url=_without_secret(parts, user if parts.scheme == "ssh" else None),
        is_git=is_git and github is None,
        github=github,
        checkout=checkout,
        user=user or (github[0] if github and secret else None),
        secret=secret,
    )


def is_checkout(name: str) -> bool:
    """A revision that git can only understand as a name: no options, no ranges, no `@{...}`."""
    return _CHECKOUT.fullmatch(name) is not None and ".." not in name and "//" not in name


def is_same_place(one: str, other: str) -> bool:
    """Scheme, host and port agree, so that a password for one may be sent to the other."""
    return _place(one) == _place(other)


def shown(url: str) -> str:
    """The URL for messages: without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"[:300]
    except ValueError:
        return "the URL"


def _split(url: str) -> tuple[urllib.parse.SplitResult, bool]:
    if _CONTROL.search(url) or len(url) > 2048 or not url.isascii():
        raise _bad(
            "url", "holds spaces, control characters or letters that a URL cannot have, or is too long"
        )
    if "://" not in url and (short := _SHORT_SSH.fullmatch(url)):
        url = f"ssh://{short[1] or 'git'}@{short[2]}/{short[3].lstrip('/')}"
    wants_git = url.startswith("git+")
    try:
        parts = urllib.parse.urlsplit(url.removeprefix("git+"))
        _ = parts.port
    except ValueError:
        raise _bad("url", "is not a URL") from None
    return parts, wants_git


def _host(parts: urllib.parse.SplitResult) -> str:
    return parts.hostname or ""


def _github(parts: urllib.parse.SplitResult) -> tuple[str, str] | None:
    match = _GITHUB.fullmatch(parts.path)
    if parts.scheme not in PORTS or _host(parts) not in {"github.com", "www.github.com"} or match is None:
        return None
    return match[1], match[2]


def _without_secret(parts: urllib.parse.SplitResult, user: str | None) -> str:
    host = f"[{_host(parts)}]" if ":" in _host(parts) else _host(parts)
    place = f"{user}@{host}" if user else host
    if parts.port is not None:
        place = f"{place}:{parts.port}"
    return urllib.parse.urlunsplit((parts.scheme, place, parts.path, parts.query, ""))


def _place(url: str) -> tuple[str, str, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, _host(parts), parts.port or PORTS.get(parts.scheme)


def _unquoted(text: str | None) -> str | None:
    return urllib.parse.unquote(text) if text else None


def _bad(field: str, text: str) -> BadInputError:
    return BadInputError(f"`download.{field}` {text}.", path=f"download.{field}")
