"""Memory for secrets: locked where the system allows, and wiped."""

from __future__ import annotations

import ctypes
import hmac
import operator
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Union

from . import _audit
from ._errors import failure, unusable
from ._library import lib

if TYPE_CHECKING:
    from typing_extensions import Buffer
else:
    Buffer = Any

#: Whatever has bytes: inputs may be any of these.
BytesLike = Union[Buffer, "Secret"]

_byte_array = lru_cache(maxsize=64)(lambda length: ctypes.c_ubyte * length)


class _Memory:
    """Memory of kms_secret_alloc, freed with the last object that points into it."""

    __slots__ = ("__weakref__", "address")

    def __init__(self, length: int) -> None:
        self.address = 0
        pointer = ctypes.c_void_p()
        _audit.refuse_reentry()
        status = lib.kms_secret_alloc(length, ctypes.byref(pointer))
        if status:
            raise failure(status)
        self.address = pointer.value or 0

    def __del__(
        self, release: Any = _audit.release, secret_free: Any = lib.kms_secret_free
    ) -> None:  # bound as defaults: the module may be gone before the last secret
        # Not there where a signal handler raised before anything was allocated.
        address = getattr(self, "address", 0)
        if address:
            self.address = 0
            release(secret_free, address)


class Secret:
    """Bytes such as a data key, in memory that is wiped when it is let go.

    ``view`` is the memory itself, for ciphers that take bytes-like objects. ``wipe()`` or the end
    of a ``with`` overwrites it: views that are still held show zeros and remain safe to touch. So
    does the end of the last reference to the secret and its views.

    A secret is not shown by ``repr``, not copied and not pickled. ``==`` takes the same time
    wherever two secrets of one length differ.
    """

    __slots__ = ("__weakref__", "_array", "_length", "_view")

    _array: Any
    _view: memoryview | None

    def __init__(self, length: int) -> None:
        """Zeros of this length, 1 or more."""
        length = operator.index(length)
        if not 0 <= length < 2**62:
            raise unusable("the length of a secret", "must be 1 or more bytes")
        memory = _Memory(length)
        self._length = length
        self._array = _byte_array(length).from_address(memory.address)
        # The array is what every view keeps alive, so it keeps the memory.
        self._array._memory = memory
        self._view = None

    @property
    def view(self) -> memoryview:
        """The memory, writable, as unsigned bytes."""
        if self._array is None:
            raise ValueError("this secret has been wiped")
        if self._view is None:
            self._view = memoryview(self._array).cast("B")
        return self._view

    @property
    def wiped(self) -> bool:
        """Whether it has been wiped, and ``view`` is no longer to be had."""
        return self._array is None

    def wipe(self) -> None:
        """Overwrites the secret with zeros and lets the memory go. Doing it twice is fine."""
        array, self._array, self._view = self._array, None, None
        if array is not None:
            # Not the library's own: this may be the thread of an audit callback.
            ctypes.memset(array, 0, self._length)

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> Secret:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.wipe()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            return hmac.compare_digest(self.view, other.view)
        if isinstance(other, (bytes, bytearray, memoryview)):
            return hmac.compare_digest(self.view, other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Secret of {self._length} bytes{', wiped' if self.wiped else ''}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not copied or pickled; its view has the bytes")
