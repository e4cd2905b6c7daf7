"""sha256 in hex. ``hashlib`` loads OpenSSL, which takes milliseconds, so it is imported when it is first needed."""

from __future__ import annotations


def sha256(data: bytes) -> str:
    """The digest of some bytes, 64 hex digits."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def text_digest(text: str) -> str:
    """sha256 of a prompt or an answer, white space at its ends left out."""
    return sha256(text.strip().encode("utf-8", "surrogatepass"))
