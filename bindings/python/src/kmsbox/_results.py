"""What the functions for data keys and blobs give back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar, overload

from ._buffers import Writable, wipe
from ._errors import Status
from ._secret import Secret

#: A :class:`Secret`, or the buffer that the caller brought.
P = TypeVar("P", bound=Writable)


class Content(IntEnum):
    """What a decrypted blob holds."""

    BYTES = 0
    #: UTF-8 text, as given to the API's Encrypt.
    TEXT = 1


class KeySpec(IntEnum):
    """How long a data key is, where its length is not given in bytes."""

    #: 32 bytes.
    DEFAULT = 0
    #: 32 bytes.
    AES_256 = 1
    #: 16 bytes.
    AES_128 = 2


class Result:
    """What every answer says: which CMK and version did the work, and the id of the call."""

    __slots__ = ("key_id", "key_version_id", "request_id")

    def __init__(self, key_id: str, key_version_id: str, request_id: str) -> None:
        #: The CMK's id, never its alias. Store it beside the blob.
        self.key_id = key_id
        self.key_version_id = key_version_id
        self.request_id = request_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of CMK {self.key_id}, version {self.key_version_id}>"


class Ciphertext(Result):
    """A blob: a key or other bytes, wrapped under a CMK."""

    __slots__ = ("ciphertext_blob",)

    def __init__(self, ciphertext_blob: bytes, *result: str) -> None:
        super().__init__(*result)
        self.ciphertext_blob = ciphertext_blob


class WithPlaintext(Result, Generic[P]):
    """An answer with a plaintext, which the end of a ``with`` wipes, in the caller's buffer too."""

    __slots__ = ("plaintext", "plaintext_len")

    plaintext: P

    def __init__(self, plaintext: P, plaintext_len: int, *result: str) -> None:
        super().__init__(*result)
        #: A Secret of the right length, or the caller's buffer, of which the first
        #: ``plaintext_len`` bytes were written.
        self.plaintext = plaintext
        self.plaintext_len = plaintext_len

    def wipe(self) -> None:
        """Overwrites the plaintext with zeros."""
        wipe(self.plaintext, self.plaintext_len)

    def __enter__(self: W) -> W:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.wipe()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an answer with a plaintext is not copied or pickled")


W = TypeVar("W", bound="WithPlaintext[Any]")


class DataKey(WithPlaintext[P]):
    """A data key, as plaintext and as the blob to store."""

    __slots__ = ("ciphertext_blob",)

    def __init__(
        self, plaintext: P, plaintext_len: int, ciphertext_blob: bytes, *result: str
    ) -> None:
        super().__init__(plaintext, plaintext_len, *result)
        self.ciphertext_blob = ciphertext_blob


class Decrypted(WithPlaintext[P]):
    """What a blob held."""

    __slots__ = ("content",)

    def __init__(self, plaintext: P, plaintext_len: int, content: Content, *result: str) -> None:
        super().__init__(plaintext, plaintext_len, *result)
        self.content = content


class Pieces(Sequence[memoryview]):
    """Consecutive pieces of one length, as views of one memory."""

    __slots__ = ("_count", "_length", "_memory")

    def __init__(self, memory: memoryview, count: int, length: int) -> None:
        self._memory = memory
        self._count = count
        self._length = length

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> memoryview: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[memoryview]: ...
    def __getitem__(self, index: int | slice) -> memoryview | Sequence[memoryview]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError("there are not so many")
        return self._memory[index * self._length : (index + 1) * self._length]


class Ciphertexts(Result):
    """Many blobs of data keys, made in one call."""

    __slots__ = ("ciphertext_blobs",)

    def __init__(self, ciphertext_blobs: Pieces, *result: str) -> None:
        super().__init__(*result)
        #: Blob 0, blob 1 and so on.
        self.ciphertext_blobs = ciphertext_blobs

    def __len__(self) -> int:
        return len(self.ciphertext_blobs)


class DataKeys(WithPlaintext[P]):
    """Many data keys of one length, made in one call. ``plaintext`` holds all of them, one after
    the other; iterating gives pairs of a key and its blob, as views."""

    __slots__ = ("ciphertext_blobs", "key_length")

    def __init__(
        self, plaintext: P, plaintext_len: int, ciphertext_blobs: Pieces, *result: str
    ) -> None:
        super().__init__(plaintext, plaintext_len, *result)
        #: Blob 0, blob 1 and so on.
        self.ciphertext_blobs = ciphertext_blobs
        #: The length of one key.
        self.key_length = plaintext_len // len(ciphertext_blobs)

    @property
    def plaintexts(self) -> Pieces:
        """Key 0, key 1 and so on."""
        whole = self.plaintext
        view = whole.view if isinstance(whole, Secret) else memoryview(whole)
        return Pieces(view.cast("B"), len(self), self.key_length)

    def __len__(self) -> int:
        return len(self.ciphertext_blobs)

    def __iter__(self) -> Iterator[tuple[memoryview, memoryview]]:
        return zip(self.plaintexts, self.ciphertext_blobs)


class ReEncrypted(Result):
    """Many blobs wrapped anew. The CMK and version are those of the last blob that opened."""

    __slots__ = ("ciphertext_blobs", "statuses")

    def __init__(
        self, ciphertext_blobs: list[bytes | None], statuses: list[Status], *result: str
    ) -> None:
        super().__init__(*result)
        #: The new blobs in the order of the old ones, None where one did not open.
        self.ciphertext_blobs = ciphertext_blobs
        #: The status of each.
        self.statuses = statuses
