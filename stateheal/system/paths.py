"""The path of a directory as the plugin hashes it, and what counts as a link: both differ between systems.

The plugin hashes ``fs.realpathSync.native`` (field guide sections 1 and 12): every link resolved, and on systems whose
names differ in case or in composition, the spelling on the disk. Python's ``realpath`` gives that on Linux and on
Windows (it asks GetFinalPathNameByHandleW there); on macOS it keeps the spelling that it was given, and
``fcntl(F_GETPATH)`` tells the other. This module is on the hook's short path and imports next to nothing.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_F_GETPATH = 50  # sys/fcntl.h of macOS; Python names it from 3.9 on, there alone
_PATH_MAX = 1024
_NAME_SURROGATE = 0x20000000
"""Of a reparse tag: the thing stands for another name (links, junctions), unlike a file kept in a cloud."""
_REPARSE_POINT = 0x400
_LONG = 240
"""Characters of a path; of a directory's, 248 are too many."""
LINK, _KIND = 0o120000, 0o170000  # of a mode, as in the module stat, which costs an import


def _path_of_descriptor(fd: int) -> str:
    """macOS: the path of an open file, as it is spelled on the disk. Raises ``OSError``."""
    control: Callable[[int, int, bytes], bytes] = __import__("fcntl").fcntl
    return os.fsdecode(control(fd, _F_GETPATH, bytes(_PATH_MAX)).partition(b"\0")[0])


def real_path(path: str, platform: str = sys.platform, spelled: "Callable[[int], str]" = _path_of_descriptor) -> str:
    """A path with every link resolved, as it is spelled on the disk; what does not exist keeps its spelling."""
    try:
        real = os.path.realpath(path)
    except OSError:  # Windows: a path too long for it, a drive that does not answer
        real = os.path.abspath(path)
    if platform != "darwin":
        return real
    try:
        fd = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return real
    try:
        return spelled(fd)
    except OSError:
        return real
    finally:
        os.close(fd)


def spellings(path: str, platform: str = sys.platform) -> set[str]:
    """Under which spellings a path may have been hashed: on macOS its letters may be composed or decomposed."""
    if platform != "darwin" or path.isascii():
        return {path}
    from unicodedata import normalize  # few paths need it

    return {path, normalize("NFC", path), normalize("NFD", path)}


def mode_of(info: os.stat_result) -> int:
    """The mode that a ``lstat`` tells, where a junction of Windows counts as the link that it is."""
    if getattr(info, "st_file_attributes", 0) & _REPARSE_POINT and getattr(info, "st_reparse_tag", 0) & _NAME_SURROGATE:
        return LINK | (info.st_mode & ~_KIND)
    return info.st_mode


def unlimited(path: str) -> str:
    r"""Windows: a path that it takes for a longer one than 259 characters, which most of its calls refuse otherwise.

    What we write beside a file has a longer name than the file; ``\\?\`` wants an absolute path, spelled out.
    """
    if len(path) < _LONG or path.startswith("\\\\?\\") or (path[1:3] != ":\\" and not path.startswith("\\\\")):
        return path
    import ntpath  # a name on Windows, and what a test on Linux calls

    path = ntpath.normpath(path)
    return f"\\\\?\\UNC{path[1:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


def is_plain_on_windows(name: str) -> bool:
    """Whether a file name means a file of that name there: no stream, no device, no end that is cut off in silence."""
    base = name.partition(".")[0].rstrip(" ").upper()
    devices = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    numbered = base[:3] in ("COM", "LPT") and base[3:] in set("123456789\u00b9\u00b2\u00b3")
    return ":" not in name and not name.endswith((".", " ")) and base not in devices and not numbered


def config_dir(environ: "Mapping[str, str]") -> str:
    """Claude Code's own directory: ``$CLAUDE_CONFIG_DIR``, in which a ``~`` is the home as well, else ``~/.claude``."""
    return os.path.expanduser(environ.get("CLAUDE_CONFIG_DIR") or os.path.join("~", ".claude"))
