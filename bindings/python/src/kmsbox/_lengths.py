"""What lengths to tell the library, and how much room to make.

A number that C has no room for becomes one that the library refuses, in its own words.
"""

from __future__ import annotations

import operator
from typing import Union

from ._library import BULK_MAX, CIPHERTEXT_BLOB_OVERHEAD, DATA_KEY_MAX, PLAINTEXT_MAX
from ._results import KeySpec

#: How long a data key is to be.
Spec = Union[KeySpec, str, int]


def key_length(key_spec: Spec, number_of_bytes: int | None) -> tuple[int, int, int]:
    """KeySpec and NumberOfBytes for the library, and the length that comes of them."""
    spec = -1
    if isinstance(key_spec, str):
        if key_spec in ("AES_256", "AES_128"):
            spec = KeySpec[key_spec]
    elif -(2**31) <= operator.index(key_spec) < 2**31:
        spec = int(key_spec)
    number = 0
    if number_of_bytes is not None:
        number = operator.index(number_of_bytes)
        # 0 would tell C that none is given.
        if not 1 <= number < 2**32:
            number = 2**32 - 1
    if 1 <= number <= DATA_KEY_MAX:
        return spec, number, number
    return spec, number, 16 if spec == KeySpec.AES_128 else 32


def blob_length(plaintext_length: int) -> int:
    """The length of a blob; the longest one, where the library will refuse the plaintext."""
    return min(plaintext_length, PLAINTEXT_MAX) + CIPHERTEXT_BLOB_OVERHEAD


def plaintext_length(blob_length: int) -> int:
    """What a blob holds; something, where the library will refuse the blob."""
    return max(1, min(blob_length - CIPHERTEXT_BLOB_OVERHEAD, PLAINTEXT_MAX))


def counted(count: int) -> tuple[int, int]:
    """How many to ask for, and for how many to make room."""
    count = operator.index(count)
    if 1 <= count <= BULK_MAX:
        return count, count
    return (0 if count == 0 else BULK_MAX + 1), 1
