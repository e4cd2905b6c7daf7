"""sha256, for few bytes without OpenSSL: ``hashlib`` loads it, which takes as long as a megabyte does without it."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib

_PAYS = 1 << 20
"""Bytes after which OpenSSL, five times as fast, has earned its import."""
_MODULE = "_sha2" if sys.version_info >= (3, 12) else "_sha256"
"""The one that there is: to look for another in vain takes as long as a hundred digests."""

_seen = [0]
"""Bytes of which a digest was asked for so far."""


def sha256(data: bytes) -> str:
    """The digest of some bytes, 64 hex digits."""
    digest = new_sha256(len(data))
    digest.update(data)
    return digest.hexdigest()


def new_sha256(size: int) -> "hashlib._Hash":
    """What ``hashlib.sha256()`` gives, for about so many bytes."""
    _seen[0] += size
    if _seen[0] < _PAYS and "hashlib" not in sys.modules:
        try:
            return __import__(_MODULE).sha256()  # type: ignore[no-any-return]
        except (ImportError, AttributeError):
            pass
    import hashlib

    return hashlib.sha256()


def text_digest(text: str) -> str:
    """sha256 of a prompt or an answer, white space at its ends left out."""
    return sha256(text.strip().encode("utf-8", "surrogatepass"))
