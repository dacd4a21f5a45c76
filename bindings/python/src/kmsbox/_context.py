"""Encryption contexts as text."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from . import _audit
from ._buffers import text
from ._errors import failure
from ._library import ENCRYPTION_CONTEXT_MAX, lib


def encryption_context(pairs: Mapping[str, str]) -> str:
    """The JSON of an encryption context, for where the same one is used very often, or to be kept.

    Wherever a context is taken, a mapping will do as well.
    """
    _audit.refuse_reentry()
    words = [text("encryption_context", word) for pair in pairs.items() for word in pair]
    room = ctypes.create_string_buffer(ENCRYPTION_CONTEXT_MAX)
    length = ctypes.c_size_t()
    status = lib.kms_encryption_context(
        (ctypes.c_char_p * len(words))(*words),
        len(words) // 2,
        room,
        len(room),
        ctypes.byref(length),
    )
    if status:
        raise failure(status)
    return room.value.decode()
