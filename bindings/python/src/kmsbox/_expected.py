"""Which CMK a blob must be under."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ._buffers import text


class AnyKey(Enum):
    """The type of ``ANY_KEY``, its only value."""

    ANY_KEY = "any"

    def __repr__(self) -> str:
        return "kmsbox.ANY_KEY"

    __str__ = __repr__


#: As ``expected_key_id``: a blob under any CMK of the client will do.
ANY_KEY: Final = AnyKey.ANY_KEY


def expected(value: str | AnyKey) -> bytes | None:
    """The CMK that is expected, for C, where NULL is for any.

    None is not taken for any: it is what a row without an id gives, and whoever can write blobs can
    write such a row.
    """
    if value is ANY_KEY:
        return None
    if value is None:
        raise TypeError(
            "expected_key_id must be the CMK's id that was stored with the blob, not None; "
            "write kmsbox.ANY_KEY where the blob may be under any CMK"
        )
    if not isinstance(value, str):
        raise TypeError(
            f"expected_key_id must be str or kmsbox.ANY_KEY, not {type(value).__name__}"
        )
    return text("expected_key_id", value)
