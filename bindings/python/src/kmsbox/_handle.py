"""The library's client, and who is in calls of it."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Callable

from . import _audit
from ._errors import ClientClosedError, InvalidRequestError, Status
from ._library import lib


class Handle:
    """A client of the library's, with the threads that are in calls of it.

    ``close`` waits for these calls, and whoever comes later is refused. A fork takes along only the
    thread that forks: the child forgets the others' calls.
    """

    _pointer = 0
    #: What is to be freed when the last call has ended.
    _closing = 0

    def __init__(self, pointer: int, audit: Any = None) -> None:
        self._pointer = pointer
        # The C function of an audit callback has to live as long as the client.
        self._audit = audit
        self._users: list[int] = []
        # Reentrant, so that a signal handler that interrupts a thread here may use the client.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        _handles.add(self)

    @property
    def closed(self) -> bool:
        """Whether ``close`` has been called."""
        return not self._pointer

    def run(self, function: Callable[..., int], *arguments: Any) -> int:
        """Makes a call that has the client as its first argument."""
        _audit.refuse_reentry()
        me = threading.get_ident()
        try:
            # Announced before the pointer is read: a signal handler may close the client between.
            with self._lock:
                self._users.append(me)
            pointer = self._pointer
            if not pointer:
                raise ClientClosedError(Status.INVALID_ARGUMENT, "The client is closed.")
            if self._audit is None:
                return function(pointer, *arguments)
            return _audit.run(function, pointer, *arguments)
        finally:
            with self._lock:
                # Not there where a KeyboardInterrupt came first.
                if me in self._users:
                    self._users.remove(me)
                if not self._pointer:
                    self._changed.notify_all()

    def close(self) -> None:
        """Waits for the calls that other threads are in, and frees the client."""
        _audit.refuse_reentry()
        with self._lock:
            if threading.get_ident() in self._users:
                # In a signal handler, which would wait for the call that it interrupts.
                raise InvalidRequestError(
                    Status.INVALID_ARGUMENT,
                    "The client is closed in the middle of a call of its own.",
                )
            if self._pointer:
                self._pointer, self._closing = 0, self._pointer
            while self._users:
                self._changed.wait()
            # Whichever closing thread is first does it, and the others have waited for that.
            pointer, self._closing = self._closing, 0
            if pointer:
                lib.kms_client_free(pointer)

    def forget_others(self) -> None:
        """In a forked child: the other threads are not here, nor will they unlock anything."""
        me = threading.get_ident()
        self._users = [user for user in self._users if user == me]
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def __del__(
        self, release: Any = _audit.release, client_free: Any = lib.kms_client_free
    ) -> None:  # bound as defaults: the module may be gone before the last client
        # Nobody has it any more, so nobody is in a call.
        pointer = self._pointer or self._closing
        self._pointer = self._closing = 0
        if pointer:
            release(client_free, pointer)


_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


def _in_child() -> None:
    for handle in list(_handles):
        handle.forget_others()


os.register_at_fork(after_in_child=_in_child)
