"""Which downloads are taken, what they mean, and that no secret stays in a URL."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.chutes.origin import Origin, is_checkout, is_same_place, origin, shown

SCHEMES = frozenset({"http", "https", "ssh"})


def read(url: str, **more: str | None) -> Origin:
    fields = {"checkout": None, "user": None, "secret": None, **more}
    return origin(url, schemes=SCHEMES, **fields)  # type: ignore[arg-type]


def refused(url: str, **more: str | None) -> str:
    with pytest.raises(BadInputError) as caught:
        read(url, **more)
    return str(caught.value.fields["path"])


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/ParadropLabs/hello-world",
        "http://github.com/ParadropLabs/hello-world.git",
        "https://www.github.com/ParadropLabs/hello-world/",
    ],
)
def test_github(url: str) -> None:
    found = read(url)
    assert found.github == ("ParadropLabs", "hello-world")
    assert not found.is_git
    assert read(url, secret="s").user == "ParadropLabs"
    assert read(url, secret="s", user="me").user == "me"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://git.example/me/app.git", "https://git.example/me/app.git"),
        ("git+https://git.example/me/app", "https://git.example/me/app"),
        ("git+https://github.com/me/app", "https://github.com/me/app"),
        ("ssh://git@host:2222/me/app", "ssh://git@host:2222/me/app"),
        ("git@host:me/app.git", "ssh://git@host/me/app.git"),
        ("https://[::1]:8080/app.git", "https://[::1]:8080/app.git"),
    ],
)
def test_repositories(url: str, wanted: str) -> None:
    found = read(url)
    assert found.is_git
    assert found.url == wanted


def test_archives() -> None:
    assert not read("https://example.com/app.tar.gz?token=x").is_git
    assert not read("https://github.com/me/app/archive/v1.tar.gz").is_git
    assert read("https://github.com/me/app/archive/v1.tar.gz").github is None


def test_secrets_leave_the_url() -> None:
    found = read("https://me:s%40cret@example.com/app.tar")
    assert (found.url, found.user, found.secret) == ("https://example.com/app.tar", "me", "s@cret")
    assert "s@cret" not in repr(found)
    assert (
        shown("https://me:secret@example.com:99/app.tar?token=secret#x") == "https://example.com:99/app.tar"
    )


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "/etc/passwd", "file:///etc", "ext::sh -c id", "ftp://h/x", "git://h/x", "git+ext::x", "-uevil",
        "ssh://-oProxyCommand=x/y", "https://-x/y", "https:///x", "https://h:99999/x", "https://h/a b", "https://h/\n",
        "https://[::1/x", "-o@host:x", "git@-h:x", "git@host:-x", "https://h/" + "x" * 3000, "https://ä/x",
    ],
)  # fmt: skip
def test_refused_urls(url: str) -> None:
    assert refused(url) == "download.url"


def test_refused_fields() -> None:
    url = "https://h/x"
    assert refused(url, checkout="--upload-pack=x") == "download.checkout"
    assert refused(url, user="-x") == "download.user"
    assert refused(url, user="a:b") == "download.user"
    assert refused(url, secret="a\nb") == "download.secret"
    assert refused("ssh://h/x", secret="s") == "download.secret"


@pytest.mark.parametrize("name", ["master", "v1.0", "feature/x-y", "0123abc", "HEAD", "a@b"])
def test_checkouts(name: str) -> None:
    assert is_checkout(name)


@pytest.mark.parametrize(
    "name", ["", "-x", "a..b", "a b", "x:y", "^x", "a@{1}", "/x", "a//b", "x\n", "a" * 300]
)
def test_odd_checkouts(name: str) -> None:
    assert not is_checkout(name)


def test_same_place() -> None:
    assert is_same_place("https://h/x", "https://h:443/y")
    assert not is_same_place("https://h/x", "http://h/x")
    assert not is_same_place("https://h/x", "https://h:444/x")
    assert not is_same_place("https://h/x", "https://evil/x")


@given(st.one_of(st.text(max_size=40), st.from_regex(r"(git\+)?(https?|ssh)://[!-~]{0,30}", fullmatch=True)))
@settings(max_examples=300, deadline=None)
def test_any_url(url: str) -> None:
    shown(url)
    try:
        found = read(url)
    except BadInputError:
        return
    assert found.scheme in SCHEMES
    assert not found.url.startswith("-")
