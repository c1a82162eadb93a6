"""Sessions: JSON web tokens (RFC 7519, HS256) with the claims of ParaDrop's API, plus `jti` and `epoch`.

`epoch` ties a session to the user's present password: it ends when the password changes or the user goes. A decoded
token is remembered by its SHA-256, so that a request costs microseconds; expiry, epoch, role and sign-out are looked at
each time.

A session of the page lives in a cookie, and browsers send cookies to every port of a host: to apps, too. So it is bound
to the address it was made for (`adr`), serves as a cookie only, and is worth nothing to an app that has read it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import jwt
import msgspec

from wayhouse.access.lockout import network_of
from wayhouse.access.model import LOCAL, AccessSettings, Identity, Role, User
from wayhouse.access.store import AccessStore, digest_of
from wayhouse.base import codec, ids
from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, UnauthenticatedError

ALGORITHM = "HS256"
MAX_TOKEN = 4096
MAX_CACHED = 2048
_JWS = jwt.PyJWS(
    algorithms=[ALGORITHM]
)  # not jwt.encode: that refuses the null issuer of an unprovisioned node
REFUSAL = "This session is not valid or has ended. Sign in again."


class Claims(msgspec.Struct, frozen=True):
    """What a token says; the defaults are ParaDrop's. Times are Unix seconds."""

    exp: int
    jti: str
    sub: str = "paradrop"
    domain: str = LOCAL
    role: str = "user"
    epoch: str | None = None
    iat: int = 0
    iss: str | None = None
    adr: str | msgspec.UnsetType = msgspec.UNSET


class Sessions:
    def __init__(
        self,
        secret: str,
        settings: AccessSettings,
        clock: Clock,
        store: AccessStore,
        *,
        find_user: Callable[[str], User | None],
        node_id: Callable[[], str | None],
    ) -> None:
        self._secret = secret
        self._settings = settings
        self._clock = clock
        self._store = store
        self._find_user = find_user
        self._node_id = node_id
        self._cache: OrderedDict[str, Claims] = OrderedDict()
        self._signed_out = store.signed_out()

    def issue(self, identity: Identity, *, page_client: str | None = None) -> str:
        """A token for a user of this gateway, or of another domain that was checked elsewhere. `page_client`: a cookie for
        the page at that address.

        Raises `UnauthenticatedError` if the user is gone, `BadInputError` for a token's identity.
        """
        if identity.via in {"chute", "api-token"}:  # a session would outlive the token and reach further
            raise BadInputError("A token gets no session. Sign in with a password.")
        now = int(self._clock.wall())
        claims = Claims(
            exp=now + self._settings.jwt_lifetime_s,
            jti=ids.token_hex(128),
            sub=identity.name,
            domain=identity.domain,
            role=identity.role.label,
            epoch=self._epoch(identity.name, identity.domain),
            iat=now,
            iss=self._node_id() or None,
            adr=_binding(page_client),
        )
        return _JWS.encode(
            codec.encode_json(claims), self._secret, algorithm=ALGORITHM, headers={"typ": "JWT"}
        )

    def identify(self, token: str, *, page_client: str | None = None) -> Identity:
        """Who this token stands for, now; `page_client` is the sender's address if it came as a cookie.

        Raises `UnauthenticatedError`."""
        claims = self._claims(token)
        if claims.adr != _binding(page_client):
            raise UnauthenticatedError(REFUSAL)
        return self._standing(claims)

    def _standing(self, claims: Claims) -> Identity:
        role = Role.named(claims.role)
        if claims.domain == LOCAL:
            user = self._find_user(claims.sub)
            if user is None or user.epoch != claims.epoch:
                raise UnauthenticatedError(REFUSAL)
            role = min(role, user.role)
        return Identity(claims.sub, claims.domain, role, via="jwt")

    async def sign_out(self, token: str) -> Identity:
        """End one session before its time. Raises `UnauthenticatedError` if it is none."""
        claims = self._claims(token)
        identity = self._standing(claims)
        now = self._clock.wall()
        self._signed_out = {jti: expires for jti, expires in self._signed_out.items() if expires > now}
        self._signed_out[claims.jti] = float(claims.exp)
        await self._store.sign_out(claims.jti, float(claims.exp), now=now)
        return identity

    def _claims(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN:
            raise UnauthenticatedError(REFUSAL)
        digest = digest_of(token)
        claims = self._cache.get(digest)
        if claims is None:
            claims = self._cache[digest] = self._decode(token)
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        self._cache.move_to_end(digest)
        if claims.exp <= self._clock.wall() or claims.jti in self._signed_out:
            del self._cache[digest]
            raise UnauthenticatedError(REFUSAL)
        return claims

    def _decode(self, token: str) -> Claims:
        """Signature and shape; the times are compared with our own clock by the caller."""
        try:
            payload = _JWS.decode(token, self._secret, algorithms=[ALGORITHM])
            claims = codec.decode_json(payload, Claims, what="token")
            Role.named(claims.role)
        except (jwt.PyJWTError, BadInputError, ValueError) as error:
            raise UnauthenticatedError(REFUSAL) from error
        return claims

    def _epoch(self, name: str, domain: str) -> str | None:
        if domain != LOCAL:
            return None
        user = self._find_user(name)
        if user is None:
            raise UnauthenticatedError(f"The user {name} is gone. Sign in as another.")
        return user.epoch


def _binding(page_client: str | None) -> str | msgspec.UnsetType:
    return network_of(page_client) if page_client is not None else msgspec.UNSET
