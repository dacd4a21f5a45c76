"""The audit callback: from the library into Python and back.

While a callback runs, its thread is inside the library and must not call it again. That is refused
to the user's function, and put off for what Python frees by itself at any moment.

A callback also needs the interpreter's lock, which ``os.fork`` holds while the library waits for
calls that are writing. So a fork first waits for all calls that may run a callback: ``_Gate``. The
end of the interpreter waits for them too: it ends daemon threads where they ask for the lock, and
from within a callback that would unwind the library's frames, which aborts the process.
"""

from __future__ import annotations

import atexit
import os
import threading
from ctypes import c_void_p, string_at
from typing import Any, Callable, Optional

from ._errors import InvalidRequestError, Status
from ._library import AuditCallback

#: Is given each line of the audit log, without its line feed. Where it raises, the operation fails.
Audit = Callable[[str], object]


class _Thread(threading.local):
    """What a thread is doing."""

    inside = False
    error: Optional[BaseException] = None

    def __init__(self) -> None:
        self.put_off: list[tuple[Callable[[int], None], int]] = []


_thread = _Thread()


def callback(audit: Audit) -> Any:
    """The C function for a Python one. It must live as long as the client."""

    _gate.watch()

    def take(_context: c_void_p, line: int, line_len: int) -> int:
        # Nothing may be raised from here: ctypes would print it, and what it then tells the library
        # is left to chance.
        try:
            _thread.inside = True
            audit(string_at(line, line_len).decode().rstrip("\n"))
        except BaseException as error:
            _thread.error = error
            return 1
        finally:
            _thread.inside = False
        return 0

    return AuditCallback(take)


def run(function: Callable[..., int], *arguments: Any) -> int:
    """Makes a call that may run a callback."""
    try:
        _gate.enter()
        return function(*arguments)
    finally:
        # By now no callback runs, even if a signal handler raised at the end of the last one.
        _thread.inside = False
        _gate.leave()
        while _thread.put_off:
            free, pointer = _thread.put_off.pop()
            free(pointer)


def take_error() -> BaseException | None:
    """What the audit function raised in the last call on this thread. Given once."""
    error, _thread.error = _thread.error, None
    return error


def refuse_reentry() -> None:
    """Raises where this thread is in an audit callback."""
    if _thread.inside:
        raise InvalidRequestError(
            Status.INVALID_ARGUMENT, "An audit function must not call the library."
        )


def release(function: Callable[[int], None], pointer: int, thread: _Thread = _thread) -> None:
    """Frees something of the library's, as soon as this thread may call it. Needs nothing of this
    module, which may be gone by then."""
    if thread.inside:
        thread.put_off.append((function, pointer))
    else:
        function(pointer)


#: For how many seconds the end of the interpreter waits for callbacks that do not return.
PATIENCE = 10


class _Gate:
    """Lets either calls with callbacks or forks go on, not both."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: list[int] = []
        self._forking: list[int] = []
        self._watching = False

    def watch(self) -> None:
        """Has forks and the end of the interpreter wait, from now on.

        Not from the import on: what is registered last comes first at a fork, and this has to come
        before modules take locks there which an audit function may need, as logging does.
        """
        with self._changed:
            if self._watching:
                return
            self._watching = True
        # Never let go: at the end only the main thread may still make calls.
        atexit.register(self.before_fork, PATIENCE)
        os.register_at_fork(
            before=self.before_fork,
            after_in_parent=self.after_fork,
            after_in_child=self.in_child,
        )

    def enter(self) -> None:
        with self._changed:
            me = threading.get_ident()
            while any(thread != me for thread in self._forking):
                self._changed.wait()
            self._inside.append(me)

    def leave(self) -> None:
        with self._changed:
            # Not there where a KeyboardInterrupt came first.
            if threading.get_ident() in self._inside:
                self._inside.remove(threading.get_ident())
            self._changed.notify_all()

    def before_fork(self, patience: float | None = None) -> None:
        with self._changed:
            self._forking.append(threading.get_ident())
            # A fork from within a callback waits for nobody who does the same.
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: all(thread in self._forking for thread in self._inside), patience
            )

    def after_fork(self) -> None:
        with self._changed:
            self._forking.remove(threading.get_ident())
            self._changed.notify_all()

    def in_child(self) -> None:
        me = threading.get_ident()
        self._changed = threading.Condition()
        self._inside = [thread for thread in self._inside if thread == me]
        self._forking = []


_gate = _Gate()
