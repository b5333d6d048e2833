"""What a running server leaves beside its library, so that its user's own commands find it, and know that it is it.

The file holds a secret and is its user's alone. Whatever listens at the address it names has to prove that it knows
that secret before it is asked anything: the server may be gone, and its port another user's.
"""

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

CHALLENGE: Final = "x-rag-graph-challenge"
PROOF: Final = "x-rag-graph-proof"
# Ours has some three hundred; what is longer is no announcement, and is not read to its end.
MAX_BYTES: Final = 10_000
_NO_LINKS: Final = getattr(os, "O_NOFOLLOW", 0)


class Announcement(BaseModel):
    """A server's address, the process that serves, whether it asks for keys, and what it answers by.

    `answers_by` is a digest, under the secret, of the library and the models: a command with other settings would be
    answered otherwise than it asked for.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    pid: int
    has_keys: bool
    secret: str
    answers_by: str

    @classmethod
    def of(cls, url: str, *, has_keys: bool, answering: Mapping[str, object]) -> Self:
        secret = secrets.token_hex(32)
        return cls(url=url, pid=os.getpid(), has_keys=has_keys, secret=secret, answers_by=_digest(secret, answering))

    def is_for(self, answering: Mapping[str, object]) -> bool:
        """Whether that server answers as a command with these settings would."""
        return hmac.compare_digest(self.answers_by, _digest(self.secret, answering))

    def is_proved_by(self, proof: str, challenge: str) -> bool:
        return hmac.compare_digest(proof.encode(), prove(self.secret, challenge).encode())

    @contextmanager
    def standing(self, path: Path) -> Iterator[None]:
        """Leave it in this file while the server runs; where that cannot be written to, the server is not found."""
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.{self.pid}")
            new.unlink(missing_ok=True)
            # A file of its own, which no link can stand in for, and which takes its name once it is whole.
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o600), "w") as file:
                file.write(self.model_dump_json())
            new.replace(path)
        try:
            yield
        finally:
            with suppress(OSError):
                if read(path) == self:  # another server may have begun beside this one
                    path.unlink()


def read(path: Path) -> Announcement | None:
    """The announcement in a file; None for none, and for one that others than its reader can have written or read."""
    if os.name != "posix":  # there, who owns a file and who may read it is told otherwise
        return None
    try:
        # Neither a link nor a pipe, at which opening would wait, may be what somebody has put in its place.
        with os.fdopen(os.open(path, os.O_RDONLY | _NO_LINKS | os.O_NONBLOCK), "rb") as file:
            kind = os.fstat(file.fileno())
            if not stat.S_ISREG(kind.st_mode) or kind.st_uid != os.getuid() or kind.st_mode & 0o077:
                return None
            return Announcement.model_validate_json(file.read(MAX_BYTES))
    except (OSError, ValidationError):
        return None


def prove(secret: str, challenge: str) -> str:
    """What only who knows the secret can answer."""
    # A prefix for each use: nobody gets the digest of the settings by asking for it as a proof.
    return hmac.new(secret.encode(), b"challenge " + challenge.encode(), hashlib.sha256).hexdigest()


def _digest(secret: str, answering: Mapping[str, object]) -> str:
    said = json.dumps(answering, sort_keys=True, default=str).encode()
    return hmac.new(secret.encode(), b"answers by " + said, hashlib.sha256).hexdigest()
