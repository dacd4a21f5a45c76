"""Encryption contexts as text."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from . import _audit
from ._buffers import checked_pairs, text
from ._errors import Status, failure, unusable
from ._library import ENCRYPTION_CONTEXT_MAX, lib


def encryption_context(pairs: Mapping[str, str]) -> str:
    """The JSON of an encryption context, for where the same one is used very often, or to be kept.

    Wherever a context is taken, a mapping will do as well.
    """
    _audit.refuse_reentry()
    name = "encryption_context"
    if not isinstance(pairs, Mapping):
        raise TypeError(f"{name} must be a mapping, not {type(pairs).__name__}")
    words = [text(name, word) for pair in checked_pairs(name, pairs).items() for word in pair]
    room = ctypes.create_string_buffer(ENCRYPTION_CONTEXT_MAX)
    length = ctypes.c_size_t()
    status = lib.kms_encryption_context(
        (ctypes.c_char_p * len(words))(*words),
        len(words) // 2,
        room,
        len(room),
        ctypes.byref(length),
    )
    if status == Status.INVALID_PARAMETER:
        # All else that can be wrong with texts has been looked at.
        raise unusable(name, "is too long: its JSON has more than 8192 characters", status)
    if status:
        raise failure(status)
    return room.value.decode()
