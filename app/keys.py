"""API keys: only their SHA-256 is kept; comparison takes the same time for right and wrong ones."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

Role = Literal["user", "admin"]
ROLES: tuple[Role, ...] = ("user", "admin")
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
LIMITS = {"jobs": "queued", "characters": "characters", "seconds": "seconds"}
"""What a key may limit, and its name in the ledger: waiting jobs, characters to speak, seconds of audio to hear."""
LIMIT = re.compile(rf"(?:^|;)({'|'.join(LIMITS)})=(\d{{1,15}})")
PUBLIC = "public"
"""Owner of all jobs where there are no keys."""


class KeysError(Exception):
    """The keys cannot be used, or are needed and missing. Says what to do."""


@dataclass(frozen=True)
class Key:
    """Who has a key: the owner of jobs, and whether others' jobs are seen too (`admin`)."""

    owner: str
    digest: str
    role: Role
    limits: Mapping[str, int] = field(default_factory=dict)
    """On what may wait of this owner, instead of those of the settings; 0: no limit. See `LIMITS`."""

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the key of `owner:sha256:role:limits`; the last two may be missing. Raises `KeysError`."""
        owner, digest, role, limits, *more = [*line.strip().split(":"), "", "", ""]
        role = role or "user"
        found = LIMIT.findall(limits)
        readable = ";".join(f"{name}={most}" for name, most in found) == limits and not any(more)
        if not OWNER.fullmatch(owner) or not DIGEST.fullmatch(digest) or role not in ROLES or not readable:
            raise KeysError(
                f"VOXQUEUE_API_KEYS: the key of {owner[:64]!r} is not `owner:sha256:role:limits` (owner: letters, "
                f"digits, ._- ; sha256: 64 hex digits; role: {' or '.join(ROLES)}; limits, if any: "
                "jobs=N;characters=N;seconds=N); `voxqueue keys create` makes one"
            )
        return cls(owner, digest, role, {LIMITS[name]: int(most) for name, most in found})

    def __str__(self) -> str:
        shown = ";".join(f"{name}={self.limits[inner]}" for name, inner in LIMITS.items() if inner in self.limits)
        return f"{self.owner}:{self.digest}:{self.role}" + (f":{shown}" if shown else "")


@dataclass(frozen=True)
class Keyring:
    """The keys that open this server; none: everybody on this host may come in."""

    keys: Sequence[Key] = ()

    @classmethod
    def read(cls, setting: str) -> Self:
        """Return the keys of `VOXQUEUE_API_KEYS`: entries with commas between, or a file's path."""
        setting = setting.strip()
        if not setting:
            return cls()
        if ":" not in setting or "/" in setting:
            try:
                lines = Path(setting).read_text("utf-8").splitlines()
            except OSError as error:
                raise KeysError(f"VOXQUEUE_API_KEYS: the file {setting} cannot be read: {error.strerror}") from error
        else:
            lines = setting.split(",")
        entries = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
        if not entries:
            raise KeysError(f"VOXQUEUE_API_KEYS: {setting} holds no key; `voxqueue keys create` makes one")
        return cls([Key.parse(entry) for entry in entries])

    @property
    def required(self) -> bool:
        """Whether requests need a key."""
        return bool(self.keys)

    def find(self, secret: str) -> Key | None:
        """Return the key of a secret."""
        return self.find_digest(digest_of(secret))

    def find_digest(self, digest: str) -> Key | None:
        """Return the key of a digest. Looks at all of them, so that time tells nothing."""
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def allow_binding(self, host: str) -> None:
        """Raise `KeysError` if `host` can be reached from elsewhere and there are no keys."""
        if not self.required and not is_loopback(host):
            raise KeysError(
                f"VOXQUEUE_HOST={host} can be reached from other machines, and no API keys are set: set "
                "VOXQUEUE_API_KEYS (`voxqueue keys create` makes one), or use 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Whether an address or host name (without port) is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a key, in hex. Keys are random, so no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def create_key(owner: str, role: Role = "user", limits: Mapping[str, int] | None = None) -> tuple[str, Key]:
    """Return a new secret (256 random bits), to be shown once, and the key to be kept. Raises `KeysError`.

    `limits`: by the names of `LIMITS`.
    """
    secret = "vq_" + secrets.token_urlsafe(32)
    shown = ";".join(f"{name}={most}" for name, most in (limits or {}).items())
    return secret, Key.parse(f"{owner}:{digest_of(secret)}:{role}:{shown}")
