"""Somebody who signs assertions: their keys, key set and JWTs, right ones and forged ones."""

import base64
import json
import time
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

Key = RSAKey | ECKey | OKPKey


class Signer:
    """One key by its id, and what is signed with it."""

    def __init__(self, kid: str = "k1", algorithm: str = "RS256") -> None:
        self.kid, self.algorithm = kid, algorithm
        self.key = made_for(algorithm)

    def public(self, **members: Any) -> dict[str, Any]:
        """Return the public key as a key set has it."""
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", **members}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Return a JWT; a member of the header that is None is left out."""
        full = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **header}
        return self.sign_as({k: v for k, v in full.items() if v is not None}, claims)

    def sign_as(self, header: dict[str, Any], claims: Any) -> str:
        signed = f"{encoded(header)}.{encoded(claims)}"
        model = JWSRegistry.algorithms[self.algorithm]
        return f"{signed}.{base64url(model.sign(signed.encode(), self.key))}"


def made_for(algorithm: str) -> Key:
    """Return a new key for an algorithm."""
    if algorithm in ("EdDSA", "Ed25519"):
        return OKPKey.generate_key("Ed25519")
    return ECKey.generate_key("P-256") if algorithm == "ES256" else RSAKey.generate_key(2048)


def key_set(*signers: Signer) -> dict[str, Any]:
    return {"keys": [each.public() for each in signers]}


def times(**changes: float | None) -> dict[str, Any]:
    """Return the times of an assertion made now for five minutes."""
    now = int(time.time())
    given = {"iat": now, "nbf": now, "exp": now + 300, **changes}
    return {name: value for name, value in given.items() if value is not None}


def encoded(part: Any) -> str:
    return base64url(json.dumps(part).encode())


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
