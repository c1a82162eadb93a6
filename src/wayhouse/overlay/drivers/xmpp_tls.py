"""How an XMPP server is recognised, and what to tell people when it is not.

Used by `xmpp_client.py`. Rule: never less than TLS 1.2, never an unchecked certificate; a pin replaces the authorities and the name.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import ssl

from wayhouse.overlay.account import XmppAccount


def make_context(account: XmppAccount) -> ssl.SSLContext:
    """Raises `OSError` if the file with the authorities cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["xmpp-client"])
    if account.pin:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif account.ca_file:
        context.load_verify_locations(cafile=account.ca_file)
    else:
        context.load_default_certs()
    return context


def pin_of(certificate: bytes) -> str:
    """Of a certificate in DER."""
    return hashlib.sha256(certificate).hexdigest()


def refusal(account: XmppAccount, certificate: bytes | None) -> str:
    """Why this certificate is not the one that is pinned; nothing if it is, or if none is pinned."""
    if not account.pin:
        return ""
    shown = pin_of(certificate or b"")
    if hmac.compare_digest(shown, account.plain_pin):
        return ""
    return (
        f"The server shows another certificate than the pinned one: {shown[:16]}..., not {account.plain_pin[:16]}... "
        "If its certificate was renewed, pin the new one; if not, somebody is in between."
    )


def explain(error: object) -> str:
    """What a failed connection was, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The server's certificate is not trusted: {error.verify_message}. Name its CA file, or pin it."
        )
    if isinstance(error, ssl.SSLError):
        return f"The server does not speak TLS as it should: {getattr(error, 'reason', None) or 'the handshake failed'}."
    if isinstance(error, socket.gaierror) or "DNS" in str(error):
        return "The server's name is not known to DNS: is there a network?"
    if isinstance(error, OSError):
        return f"The server cannot be reached: {os.strerror(error.errno) if error.errno else 'no address of it answers'}."
    return "The connection to the server was lost."
