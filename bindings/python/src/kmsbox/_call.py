"""One call of the library: the buffers it works on, what it answers, and the error it ends with."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_size_t, c_void_p
from typing import Any

from . import _audit
from ._buffers import Held, Writable, contiguous
from ._errors import failure
from ._library import Response, lib


class Call(Held):
    """The arguments that a call holds in place, its lengths and its response."""

    __slots__ = ("_blobs", "_lengths", "response")

    def __init__(self) -> None:
        super().__init__()
        self.response = Response()
        self._lengths: dict[str, c_size_t] = {}
        self._blobs: Any = None

    def out(self, name: str, buffer: Writable) -> tuple[Any, ...]:
        """Pointer, capacity and length of an output."""
        length = self._lengths[name] = c_size_t()
        return (*self.target(name, buffer), byref(length))

    def out_blobs(self, name: str, buffer: Writable | None, length: int) -> tuple[Any, ...]:
        """The same for blobs, in the caller's buffer or in one of this length."""
        self._blobs = bytearray(length) if buffer is None else buffer
        return self.out(name, self._blobs)

    def check(self, status: int) -> None:
        """Raises where the call failed. To be done when the buffers are let go."""
        if status:
            needed = {name: length.value for name, length in self._lengths.items()}
            raise_failure(status, self.response, needed)

    def length(self, name: str) -> int:
        """How much was written to an output."""
        return self._lengths[name].value

    def blobs(self, name: str) -> memoryview:
        """What was written by :meth:`out_blobs`."""
        return contiguous(name, self._blobs).cast("B")[: self.length(name)]

    def said(self) -> tuple[str, str, str]:
        """CMK, version and id of the call."""
        response = self.response
        return (
            response.key_id.decode(),
            response.key_version_id.decode(),
            response.request_id.decode(),
        )


def raise_failure(
    status: int, response: Response | None = None, needed: dict[str, int] | None = None
) -> None:
    """Raises what a status says; an exception of an audit function becomes its cause."""
    cause = _audit.take_error()
    if cause is not None and not isinstance(cause, Exception):
        # KeyboardInterrupt and the like: not an answer to the request.
        raise cause
    if cause is None:
        # Not "from None", which would hide an exception that the caller is handling.
        raise failure(status, response, needed)
    raise failure(status, response, needed) from cause


def taken(document: c_void_p, length: c_size_t) -> bytes:
    """The text of a document, which is freed; "" where there is none."""
    if not document:
        return b""
    try:
        return ctypes.string_at(document, length.value)
    finally:
        lib.kms_document_free(document)
