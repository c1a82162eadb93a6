import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.access import public_key
from wayhouse.access.model import BadKeyError
from wayhouse.access.public_key import PublicKey

ED = "AAAAC3NzaC1lZDI1NTE5AAAAIGi0UCzbWgMFDRWDzVQpwPfMTYJ5ZkhYYWrr0HP/Jxz4"


def blob_of(type_):
    return base64.b64encode(len(type_).to_bytes(4, "big") + type_.encode() + b"\0\0\0\1x").decode()


@pytest.mark.parametrize("type_", public_key.TYPES)
def test_every_type(type_):
    key = public_key.parse(f"  {type_}   {blob_of(type_)}  me@here  and there \n")
    assert key == PublicKey(type_, blob_of(type_), "me@here and there")
    assert key.line == f"{type_} {blob_of(type_)} me@here and there"
    assert public_key.parse(key.line) == key


def test_the_comment_may_be_missing():
    assert public_key.parse(f"ssh-ed25519 {ED}").line == f"ssh-ed25519 {ED}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        f"ssh-ed25519 {ED[:-1]}",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        f"ssh-rsa {ED}",
        f"ssh-dss {blob_of('ssh-dss')}",
        f"ssh-ed25519 {ED}\nssh-ed25519 {ED}",
        f"ssh-ed25519 {ED} a\0b",
        f'command="id" ssh-ed25519 {ED}',
        f"ssh-ed25519 {ED} " + "x" * 20_000,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        f"ssh-ed25519\t{ED}",
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(BadKeyError) as caught:
        public_key.parse(text)
    assert caught.value.status == 400
    assert "\0" not in caught.value.message


def test_the_same_key_is_known_by_its_blob():
    key = public_key.parse(f"ssh-ed25519 {ED} me")
    assert public_key.same_key(f'from="10.0.0.0/8" ssh-ed25519 {ED} other', key)
    assert not public_key.same_key(f"# ssh-ed25519 {ED[:-4]}AAAA", key)
    assert not public_key.same_key("", key)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.text().map(lambda text: "ssh-rsa " + text)))
def test_no_text_crashes_it(text):
    with contextlib.suppress(BadKeyError):
        assert public_key.parse(public_key.parse(text).line)
