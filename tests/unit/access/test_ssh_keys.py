import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.access.model import (
    INTERNAL,
    BadKeyError,
    KeyExistsError,
    NoHomeError,
    NoSuchKeyError,
    UnsafeFileError,
)
from wayhouse.access.service import Access
from wayhouse.base.errors import WayhouseError

ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGi0UCzbWgMFDRWDzVQpwPfMTYJ5ZkhYYWrr0HP/Jxz4"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA"


@pytest.fixture
def home(access: Access, tmp_path: Path) -> Path:
    (tmp_path / "home" / "alice").mkdir()
    return tmp_path / "home" / "alice"


async def test_add_list_and_remove(access, home, flush):
    assert await access.ssh_keys.lines("alice") == []
    await access.ssh_keys.add(INTERNAL, "alice", f" {ED} me@laptop \n")
    await access.ssh_keys.add(INTERNAL, "alice", RSA)
    assert await access.ssh_keys.lines("alice") == [f"{ED} me@laptop", RSA]
    assert (home / ".ssh").stat().st_mode & 0o777 == 0o700
    assert (home / ".ssh/authorized_keys").stat().st_mode & 0o777 == 0o600
    assert (home / ".ssh/authorized_keys").read_text() == f"{ED} me@laptop\n{RSA}\n"
    assert os.listdir(home / ".ssh") == ["authorized_keys"]
    await access.ssh_keys.remove(INTERNAL, "alice", f"{ED} another comment")
    assert await access.ssh_keys.lines("alice") == [RSA]
    await flush()
    assert [entry.action for entry in access.audit.entries()] == [
        "ssh-key.remove",
        "ssh-key.add",
        "ssh-key.add",
    ]


async def test_a_key_that_is_there_is_refused_as_old_clients_expect(access, home):
    await access.ssh_keys.add(INTERNAL, "alice", f"{ED} a")
    with pytest.raises(KeyExistsError) as caught:
        await access.ssh_keys.add(INTERNAL, "alice", f"{ED} b")
    assert (caught.value.status, caught.value.message) == (404, "Key already exists")


async def test_no_home_no_keys(access, tmp_path):
    (tmp_path / "home" / "file").write_text("")
    for user in ("bob", "root", "file"):
        with pytest.raises(NoHomeError, match=f"No home directory found for user {user}"):
            await access.ssh_keys.lines(user)
    (tmp_path / "root").mkdir()
    await access.ssh_keys.add(INTERNAL, "root", ED)
    assert await access.ssh_keys.lines("root") == [ED]


@pytest.mark.parametrize(
    "user", ["", ".", "..", "../root", "a/b", "/etc", "a\0b", "-x", "a\n", "x" * 40, "é"]
)
async def test_names_that_cannot_be_users_reach_no_file(access, home, user):
    with pytest.raises(WayhouseError) as caught:
        await access.ssh_keys.add(INTERNAL, user, ED)
    assert caught.value.status == 400


async def test_bad_keys_reach_no_file(access, home):
    with pytest.raises(BadKeyError):
        await access.ssh_keys.add(INTERNAL, "alice", "hello")
    assert not (home / ".ssh").exists()
    with pytest.raises(NoSuchKeyError):
        await access.ssh_keys.remove(INTERNAL, "alice", ED)
    assert not (home / ".ssh").exists()


async def test_other_lines_stay_as_they_are(access, home):
    (home / ".ssh").mkdir(mode=0o755)
    file = home / ".ssh/authorized_keys"
    file.write_bytes(b"# comment\n\nsome old line\nssh-dss AAAA caf\xe9\n")
    await access.ssh_keys.add(INTERNAL, "alice", ED)
    assert file.read_bytes() == b"# comment\nsome old line\nssh-dss AAAA caf\xe9\n" + f"{ED}\n".encode()
    assert (await access.ssh_keys.lines("alice"))[2] == "ssh-dss AAAA caf\N{REPLACEMENT CHARACTER}"
    await access.ssh_keys.remove(INTERNAL, "alice", "some old line")
    assert "some old line" not in await access.ssh_keys.lines("alice")


async def test_links_are_not_followed(access, home, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "authorized_keys").write_text("victim\n")
    (home / ".ssh").symlink_to(outside)
    for call in (access.ssh_keys.lines("alice"), access.ssh_keys.add(INTERNAL, "alice", ED)):
        with pytest.raises(UnsafeFileError):
            await call
    (home / ".ssh").unlink()
    (home / ".ssh").mkdir()
    (home / ".ssh/authorized_keys").symlink_to(outside / "authorized_keys")
    for call in (access.ssh_keys.lines("alice"), access.ssh_keys.add(INTERNAL, "alice", ED)):
        with pytest.raises(UnsafeFileError):
            await call
    (home / ".ssh/authorized_keys").unlink()
    os.link(outside / "authorized_keys", home / ".ssh/authorized_keys")
    with pytest.raises(UnsafeFileError):
        await access.ssh_keys.lines("alice")
    (home / ".ssh/authorized_keys").unlink()
    os.mkfifo(home / ".ssh/authorized_keys")
    with pytest.raises(UnsafeFileError):
        await access.ssh_keys.lines("alice")
    assert (outside / "authorized_keys").read_text() == "victim\n"


async def test_a_home_that_is_a_link_is_no_home(access, home, tmp_path):
    (tmp_path / "home" / "mallory").symlink_to(home)
    with pytest.raises(NoHomeError):
        await access.ssh_keys.lines("mallory")


async def test_a_huge_file_is_not_read(access, home):
    (home / ".ssh").mkdir()
    (home / ".ssh/authorized_keys").write_text("x" * 1024 * 1024 + "x")
    with pytest.raises(UnsafeFileError):
        await access.ssh_keys.lines("alice")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_files_belong_to_the_owner_of_the_home(access, home):
    os.chown(home, 12345, 12346)
    await access.ssh_keys.add(INTERNAL, "alice", ED)
    for path in (home / ".ssh", home / ".ssh/authorized_keys"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
    os.chown(home / ".ssh/authorized_keys", 777, 777)
    with pytest.raises(UnsafeFileError):
        await access.ssh_keys.lines("alice")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=st.text(max_size=20), text=st.text(max_size=80))
async def test_no_text_crashes_it(access, user, text):
    for call in (access.ssh_keys.lines(user), access.ssh_keys.add(INTERNAL, user, text)):
        with pytest.raises(WayhouseError):
            await call
