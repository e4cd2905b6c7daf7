"""A tar archive in memory, as ``tarfile`` would write it, without what importing that costs (POSIX ustar).

The hook packs originals while a user waits, and ``tarfile`` brings compressors, ``shutil`` and more. Names that need an
extension of the format are left to it.
"""

from __future__ import annotations

from collections.abc import Iterable

_BLOCK, _RECORD = 512, 10240
_LONGEST_NAME = 100
_LARGEST = 8**11 - 1
_MODE = b"0000600\0"
_NOBODY = b"0000000\0"
_EPOCH = b"00000000000\0"
_TAIL = b"0" + bytes(100) + b"ustar\x0000" + bytes(32 + 32 + 8 + 8 + 155 + 12)
_SUM = sum(_MODE + 2 * _NOBODY + _EPOCH + b" " * 8 + _TAIL)
"""What every header adds to its sum: all but name and length; the sum itself counts as eight spaces."""


def packed(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of private files, dated 1970: their names and bytes in this order."""
    members = list(members)
    if not all(_is_plain(name) and len(data) <= _LARGEST for name, data in members):
        return _by_tarfile(members)
    parts: list[bytes] = []
    for name, data in members:
        parts += (_header(name, len(data)), data, bytes(-len(data) % _BLOCK))
    length = sum(map(len, parts)) + 2 * _BLOCK
    return b"".join([*parts, bytes(2 * _BLOCK + -length % _RECORD)])


def _is_plain(name: str) -> bool:
    return name.isascii() and 0 < len(name) <= _LONGEST_NAME and "\0" not in name


def _header(name: str, size: int) -> bytes:
    named, length = name.encode("ascii"), b"%011o\0" % size
    head = named.ljust(100, b"\0") + _MODE + 2 * _NOBODY + length + _EPOCH
    return head + b"%06o\0 " % (sum(named) + sum(length) + _SUM) + _TAIL


def _by_tarfile(members: Iterable[tuple[str, bytes]]) -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
