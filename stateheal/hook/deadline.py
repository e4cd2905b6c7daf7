"""When the hook lets go: the user's command waits for it.

It counts its own time, the clock's without what it spent in the queue for a processor: on a busy machine, where even
its imports take seconds, a second of the clock would mean that no launch is ever helped. Claude Code ends the hook
after its handler's ``timeout`` (field guide section 9); a little before that it lets go whatever it has come to.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stateheal.hook.check import Environ

OWN = 1.0
"""Seconds of its own after which the hook lets go, and after as many more it ends."""
TIMEOUT = "STATEHEAL_HOOK_TIMEOUT"
"""The handler's ``timeout`` in seconds, where that is not 5."""
_TICK = 0.25
_ENGINE = "stateheal.hook.heal"


def set_deadline(environ: "Environ") -> list[bool]:
    """From the deadline on the list is true; where nothing of the engine has begun, the process ends at once."""
    late: list[bool] = []
    began, timeout = time.monotonic(), _timeout(environ)

    def ring(*_: object) -> None:
        # The engine stops between two workspaces. After as long again, or where there is no engine yet, it ends here:
        # every file is then its old self or its healed self, as after a kill.
        passed = time.monotonic() - began
        own = _own(passed)
        over = own >= OWN or passed >= 0.8 * timeout
        if own >= 2 * OWN or passed >= 0.95 * timeout or (over and _ENGINE not in sys.modules):
            os._exit(0)
        if over and not late:
            late.append(True)

    _signal = __import__("_signal")  # the C module: "signal" itself imports enum, which costs more than all of this
    if hasattr(_signal, "setitimer"):
        _signal.signal(_signal.SIGALRM, ring)
        _signal.setitimer(_signal.ITIMER_REAL, _TICK, _TICK)
    else:
        __import__("_thread").start_new_thread(_ring_again_and_again, (ring,))
    return late


def _ring_again_and_again(ring: "Callable[[], None]") -> None:
    """Windows has no alarm: a thread rings, and the process ends with whatever it is in the middle of."""
    while True:
        time.sleep(_TICK)
        ring()


def _timeout(environ: "Environ") -> float:
    """Seconds of the clock after which nobody would hear it any more."""
    try:
        given = float(environ.get(TIMEOUT, ""))
    except ValueError:
        given = 0.0
    return given if 0 < given < 86400 else 5.0


def _own(passed: float) -> float:
    """Of the seconds that have passed, its own. Where nobody tells how long it was queued, its processor time counts
    once the engine is at work: until then it waits for nothing but its event."""
    queued = _queued()
    if queued is None and _ENGINE in sys.modules:
        return time.process_time()
    return passed - (queued or 0.0)


def _queued() -> float | None:
    """Seconds for which this process was ready to run and another one ran (Linux); ``None`` where nobody tells."""
    try:
        fd = os.open("/proc/self/schedstat", os.O_RDONLY)
        try:
            return int(os.read(fd, 100).split()[1]) / 1e9
        finally:
            os.close(fd)
    except (OSError, ValueError, IndexError):
        return None
