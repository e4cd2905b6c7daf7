"""What this machine says of itself: its name, boot, pid namespace, and whose storage a directory lies on."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

from stateheal.model.liveness import HostFacts

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, the same on every Linux
_PROC = Path("/proc")


def read_text(path: Path) -> str | None:
    """A small pseudo file's text, or ``None`` where the system has none or will not say."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return None


def hostname() -> str:
    """This machine's name."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def pid_namespace() -> str | None:
    """This process's pid namespace (Linux)."""
    try:
        return os.readlink(_PROC / "self" / "ns" / "pid")
    except OSError:
        return None


def boot_id() -> str | None:
    """The kernel's random id of this boot (Linux)."""
    text = read_text(_PROC / "sys" / "kernel" / "random" / "boot_id")
    return text.strip() if text else None


def start_ticks(pid: int) -> int | None:
    """The process's start time in clock ticks since boot, field 22 of ``/proc/<pid>/stat`` (Linux)."""
    text = read_text(_PROC / str(pid) / "stat")
    fields = text.rpartition(")")[2].split() if text else []
    return int(fields[19]) if len(fields) > 19 and fields[19].isdigit() else None


def boot_time() -> float | None:
    """When this machine was booted (Linux): the same number that psutil reads."""
    match = re.search(r"^btime (\d+)", read_text(_PROC / "stat") or "", re.MULTILINE)
    return float(match[1]) if match else None


def pid_max() -> int | None:
    """The highest pid the kernel gives out, plus one (Linux)."""
    text = read_text(_PROC / "sys" / "kernel" / "pid_max")
    return int(text) if text and text.strip().isdigit() else None


def _mount_of(path: Path) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_PATH", 0))
    except OSError:
        return None
    try:
        match = re.search(r"^mnt_id:\s*(\d+)", read_text(_PROC / "self" / "fdinfo" / str(fd)) or "", re.MULTILINE)
        return match[1] if match else None
    finally:
        os.close(fd)


def on_shared_storage(directory: Path) -> bool:
    """Whether the directory lies on another mount than the root file system (field guide section 4, "foreign").

    Where the system does not tell, the answer is no: the question matters inside a Linux container only.
    """
    here, root = _mount_of(directory), _mount_of(Path("/"))
    return here is not None and root is not None and here != root


def read_host(boot_time: float | None, now: float | None = None) -> HostFacts:
    """The facts about this machine; ``boot_time`` comes from the process table."""
    namespace = pid_namespace()
    return HostFacts(
        now=time.time() if now is None else now,
        hostname=hostname(),
        windows=sys.platform == "win32",
        boot_time=boot_time,
        boot_id=boot_id(),
        pid_namespace=namespace,
        initial_namespace=namespace in (None, _INITIAL_PID_NAMESPACE),
        pid_max=pid_max(),
    )
