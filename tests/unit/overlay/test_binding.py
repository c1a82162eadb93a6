import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay import binding, candidates
from wayhouse.overlay.binding import Binding, Told
from wayhouse.overlay.identity import Digest, Identity
from wayhouse.overlay.model import BadBindingError

UID, OTHER = "0123456789abcdef0123456789abcdef01234567", "f" * 40
ME, THEM = Identity(bytes(range(32)), UID), Identity(bytes(32), OTHER)
CAS = "x8Kd01Qz:1:udp:192.168.1.2:43546:2130706431:ufrag:pwd:local:eth0:0:1302982778 6=a,1,udp,2001:db8::1,5,9,u,p,local,eth0,0,f"


def cas_of(identity: Identity, serial: int = 0, **told) -> str:
    return f"{CAS} {binding.encode(identity, Told(**told), cas=CAS, serial=serial)}"


def refused(cas: str, uid: str = UID, fingerprint: str = "") -> str:
    with pytest.raises(BadBindingError) as error:
        binding.verify(cas, uid, fingerprint or ME.fingerprint())
    return error.value.message


def forged(**changes) -> str:
    good = binding.decode(binding.encode(ME, cas=CAS))
    packed = msgspec.msgpack.encode(msgspec.structs.replace(good, **changes))
    return f"{CAS} {binding.PREFIX}{base64.urlsafe_b64encode(packed).decode()}"


@pytest.mark.parametrize("digest", Digest)
def test_a_binding_is_verified_by_the_fingerprint(digest):
    bound = binding.verify(
        cas_of(ME, ip4="172.16.0.7", name="hall", subnets=("10.7.0.0/24",), serial=7),
        UID,
        ME.fingerprint(digest),
    )
    assert bound.uid == UID
    assert bound.tunnel_key == ME.tunnel_public_key
    assert (bound.ip4, bound.serial) == ("172.16.0.7", 7)
    assert (bound.name, bound.subnets) == ("hall", ("10.7.0.0/24",))
    assert bound.certificate_hash == ME.fingerprint(Digest.SHA256).replace(":", "").lower()


def test_old_parsers_skip_the_word():
    token = binding.encode(ME, cas=CAS)
    assert len(token.split(":")) < 12
    assert " " not in token
    assert candidates.other_words(f"{CAS} {token}") == [token]
    assert binding.find(f"{CAS} {token}") == token
    assert binding.find(CAS) is None


def test_it_is_short_enough_for_the_buffers_of_2013():
    assert len(binding.encode(ME, Told(ip4="172.16.100.100", name="hall"), cas=CAS, serial=10**13)) < 800


def test_without_a_binding():
    assert "no proof" in refused(CAS)
    assert "no proof" in refused("")


def test_somebody_elses_words():
    assert "another certificate" in refused(cas_of(THEM))
    assert "another uid" in refused(cas_of(THEM), fingerprint=THEM.fingerprint())
    assert "another uid" in refused(cas_of(ME), uid=OTHER)
    assert "another certificate" in refused(cas_of(ME), fingerprint=ME.fingerprint().replace("A", "B"))


def test_whoever_signals_cannot_change_anything():
    key, proof, ip4 = THEM.tunnel_public_key, b"proof", "172.16.0.9"
    for changes in (
        {"tunnel_key": key},
        {"proof": proof},
        {"ip4": ip4},
        {"serial": 5},
        {"signature": bytes(64)},
    ):
        assert "not signed" in refused(forged(**changes))
    assert "another certificate" in refused(forged(certificate=THEM.certificate))
    assert "candidates were changed" in refused(cas_of(ME).replace("192.168.1.2", "192.168.1.3"))
    assert "candidates were changed" in refused(cas_of(ME).split(" ", 1)[1])
    assert "candidates were changed" in refused(forged(about=b""))


def test_keys_that_are_none():
    assert "tunnel key is none" in refused(forged(tunnel_key=bytes(32)))
    assert "tunnel key is none" in refused(forged(tunnel_key=b"short"))
    assert "address" in refused(forged(ip4="not one"))


@pytest.mark.parametrize("token", ["wh1:", "wh1:!", "wh1:AAAA", "wh1:" + "A" * 5000, "wh1:ä"])
def test_damage(token):
    assert refused(f"{CAS} {token}")


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.binary(max_size=80).map(lambda data: base64.urlsafe_b64encode(data).decode()),
        st.builds(Binding, st.binary(max_size=9), st.binary(max_size=33), st.binary(max_size=65)).map(
            lambda made: base64.urlsafe_b64encode(msgspec.msgpack.encode(made)).decode()
        ),
    )
)
def test_no_word_raises_anything_else(text):
    with pytest.raises(BadBindingError):
        binding.verify(f"{CAS} wh1:{text}", UID, ME.fingerprint())
