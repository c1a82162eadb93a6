"""Who signs the certificates of relays (TURN over TLS): authorities of one's own, as PEM, beside those that this machine trusts.

Kept in the `Configuration`, used by `drivers/relays.py`. Rule: there is always a check, of the certificate and of its name; what cannot be read is refused
when it is set, never taken for "no check".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from wayhouse.base.errors import BadInputError

if TYPE_CHECKING:
    import ssl

MOST_BYTES = 8192
"""It goes along in invitations."""
PATH = "relay_ca"
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_HOW = "Give PEM text that begins with `-----BEGIN CERTIFICATE-----`"


class BadAuthorityError(BadInputError):
    code = "bad-relay-ca"
    title = "Relays cannot be recognised by this"


def check(pem: str) -> None:
    """Raises `BadAuthorityError`."""
    import ssl  # by who has such authorities alone

    _demand(len(pem) <= MOST_BYTES, f"it is longer than {MOST_BYTES} bytes; give only those who sign relays")
    _demand("PRIVATE KEY" not in pem, "there is a private key in it, which must stay with the authority")
    _demand(pem.isascii() and _BEGIN in pem, f"there is no certificate in it. {_HOW}")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem)
        fingerprints(pem)
    except (ssl.SSLError, ValueError) as error:
        raise BadAuthorityError(f"`{PATH}`: it cannot be read as certificates. {_HOW}.", path=PATH) from error
    _demand(context.cert_store_stats()["x509"] > 0, f"there is no certificate in it. {_HOW}")


def tls_context(pem: str) -> ssl.SSLContext:
    """For a connection to a relay; "" for the authorities of this machine alone. It reads files: call it in a thread. Raises `OSError`."""
    import ssl

    context = ssl.create_default_context()
    if pem:
        context.load_verify_locations(cadata=pem)
    return context


def fingerprints(pem: str) -> tuple[str, ...]:
    """SHA-256 of each certificate in it, in upper-case hexadecimal with colons, for people."""
    import ssl

    parts = [part.partition(_END)[0] for part in pem.split(_BEGIN)[1:]]
    found = (ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{part}{_END}\n") for part in parts)
    return tuple(hashlib.sha256(one).digest().hex(":").upper() for one in found)


def explain(error: BaseException) -> str:
    """Why a relay cannot be reached, for people."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the relay's certificate is not trusted: {error.verify_message}. If its authority is your own, name it: "
            "wayhouse overlay set --relay-ca FILE"
        )
    return str(error) or "the relay cannot be reached"


def _demand(is_right: bool, rule: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not is_right:
        raise BadAuthorityError(f"`{PATH}`: {rule}.", path=PATH)
