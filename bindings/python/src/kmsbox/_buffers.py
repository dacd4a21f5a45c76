"""What goes into the library and comes out of it: texts, contexts, and bytes that stay in place.

While the library works it does so without the interpreter's lock, so that another thread could
resize a ``bytearray`` under it. Every buffer is therefore exported for as long as the call takes:
resizing it is a ``BufferError`` meanwhile.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypeVar, Union

from ._errors import Status, unusable
from ._secret import BytesLike, Secret

#: An encryption context: pairs, or their JSON; None is the same as no pairs.
Context = Union[Mapping[str, str], str, None]
#: A buffer that the caller brings for a result.
Writable = Union[bytearray, memoryview, Secret]

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ascii_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def text(name: str, value: str | None, status: Status = Status.INVALID_PARAMETER) -> bytes | None:
    """A text for C. An embedded NUL would end it early, so it is refused."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    if "\0" in value:
        raise unusable(name, "must not hold a NUL character", status)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise unusable(name, "is not Unicode text: it holds a lone surrogate", status) from None


def context(name: str, value: Context) -> bytes | None:
    """The JSON of an encryption context. What is wrong with its pairs is for the library to say."""
    if value is None or isinstance(value, str):
        return text(name, value)
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping or JSON text, not {type(value).__name__}")
    pairs = checked_pairs(name, value)
    try:
        return _json(pairs).encode()
    except UnicodeEncodeError:
        return _ascii_json(pairs).encode()


def checked_pairs(name: str, value: Mapping[str, str]) -> dict[str, str]:
    """The pairs of an encryption context, all of them texts."""
    pairs = dict(value)
    for key, item in pairs.items():
        # The encoder would make text of numbers and of None.
        if not isinstance(key, str) or not isinstance(item, str):
            raise TypeError(f"{name} must have str for keys and values")
    return pairs


H = TypeVar("H", bound="Held")


class Held:
    """Buffers held in place for one call.

    They are let go before the call's error is raised: its traceback would otherwise keep the
    caller's ``bytearray`` from being resized.
    """

    __slots__ = ("_copies", "_held")

    def __init__(self) -> None:
        self._held: list[Any] = []
        self._copies: list[Secret] = []

    def __enter__(self: H) -> H:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._held.clear()
        for copy in self._copies:
            copy.wipe()

    def source(self, name: str, value: BytesLike) -> tuple[Any, int]:
        """Pointer and length of bytes to read."""
        if type(value) is bytes:
            self._held.append(value)
            return value, len(value)
        view = contiguous(name, value)
        if not view.readonly:
            return self._export(view)
        if view.nbytes == 0:
            return None, 0
        # ctypes has no way to the memory of what is not writable. The copy is wiped.
        copy = Secret(view.nbytes)
        self._copies.append(copy)
        copy.view[:] = view.cast("B")
        return self._export(copy.view)

    def target(self, name: str, value: Writable) -> tuple[Any, int]:
        """Pointer and capacity of a buffer to write to."""
        view = contiguous(name, value)
        if view.readonly:
            raise unusable(name, "must be writable, such as a bytearray")
        return self._export(view)

    def _export(self, view: memoryview) -> tuple[Any, int]:
        if view.nbytes == 0:
            return None, 0
        # One byte of it is enough to hold all of it, and needs no ctypes type for each length.
        hold = ctypes.c_ubyte.from_buffer(view)
        self._held.append(hold)
        return ctypes.addressof(hold), view.nbytes


def wipe(value: Writable, length: int) -> None:
    """Overwrites the beginning of a buffer with zeros; a secret is let go too."""
    if isinstance(value, Secret):
        value.wipe()
    else:
        with Held() as held:
            pointer, capacity = held.target("plaintext", value)
            if pointer is not None:
                ctypes.memset(pointer, 0, min(length, capacity))


def contiguous(name: str, value: Any) -> memoryview:
    """A view of a secret, or of a bytes-like object that lies in memory as a whole."""
    if isinstance(value, Secret):
        return value.view
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"{name} must be bytes-like, not {type(value).__name__}") from None
    if not view.c_contiguous:
        raise unusable(name, "must be contiguous")
    return view
