"""Data keys and blobs, many at once."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from ctypes import byref, c_size_t
from typing import Any, TypeVar, overload

from ._buffers import Context, Writable, context, contiguous, text
from ._call import Call
from ._errors import Status
from ._expected import AnyKey, expected
from ._handle import Handle
from ._lengths import Spec, blob_length, counted, key_length
from ._library import lib
from ._results import Ciphertexts, DataKeys, KeySpec, Pieces, ReEncrypted
from ._secret import BytesLike, Secret

B = TypeVar("B", bound=Writable)


class BulkOperations:
    """Makes many data keys and moves many blobs, in one call each."""

    _handle: Handle

    @overload
    def generate_data_keys(
        self,
        key_id: str,
        count: int,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
        plaintext: None = None,
    ) -> DataKeys[Secret]: ...
    @overload
    def generate_data_keys(
        self,
        key_id: str,
        count: int,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
        plaintext: B,
    ) -> DataKeys[B]: ...
    def generate_data_keys(
        self,
        key_id: str,
        count: int,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
        plaintext: Any = None,
    ) -> DataKeys[Any]:
        """Makes many data keys of one length, bound to one context: all or none.

        The plaintexts lie one after the other in a new Secret, or in the buffer given as
        ``plaintext``.
        """
        spec, number, length = key_length(key_spec, number_of_bytes)
        count, room = counted(count)
        keys = Secret(room * length) if plaintext is None else plaintext
        with Call() as call:
            status = self._handle.run(
                lib.kms_generate_data_keys,
                text("key_id", key_id),
                spec,
                number,
                context("encryption_context", encryption_context),
                count,
                *call.out("plaintext", keys),
                *call.out_blobs("ciphertext_blobs", None, room * blob_length(length)),
                byref(call.response),
            )
        call.check(status)
        blobs = Pieces(call.blobs("ciphertext_blobs"), count, blob_length(length))
        return DataKeys(keys, call.length("plaintext"), blobs, *call.said())

    def generate_data_keys_without_plaintext(
        self,
        key_id: str,
        count: int,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
    ) -> Ciphertexts:
        """Makes many data keys that nobody sees yet: all or none."""
        spec, number, length = key_length(key_spec, number_of_bytes)
        count, room = counted(count)
        with Call() as call:
            status = self._handle.run(
                lib.kms_generate_data_keys,
                text("key_id", key_id),
                spec,
                number,
                context("encryption_context", encryption_context),
                count,
                None,
                0,
                None,
                *call.out_blobs("ciphertext_blobs", None, room * blob_length(length)),
                byref(call.response),
            )
        call.check(status)
        blobs = Pieces(call.blobs("ciphertext_blobs"), count, blob_length(length))
        return Ciphertexts(blobs, *call.said())

    def re_encrypt_many(
        self,
        ciphertext_blobs: Iterable[BytesLike],
        destination_key_id: str,
        *,
        source_encryption_context: Context,
        destination_encryption_context: Context,
        expected_key_id: str | AnyKey,
    ) -> ReEncrypted:
        """Wraps many blobs anew, as re_encrypt does one. One that does not open, or is not under
        ``expected_key_id``, does not stop the rest: its status says why."""
        if isinstance(ciphertext_blobs, (bytes, bytearray, memoryview)):
            raise TypeError("ciphertext_blobs must be a list of blobs, not one blob")
        old = [
            contiguous(f"ciphertext_blobs[{number}]", blob).cast("B")
            for number, blob in enumerate(ciphertext_blobs)
        ]
        count = len(old)
        lengths = (c_size_t * count)(*(blob.nbytes for blob in old))
        statuses = (ctypes.c_int32 * count)()
        joined = bytearray().join(old)
        with Call() as call:
            status = self._handle.run(
                lib.kms_re_encrypt_many,
                call.source("ciphertext_blobs", joined)[0],
                lengths,
                count,
                expected(expected_key_id),
                context("source_encryption_context", source_encryption_context),
                text("destination_key_id", destination_key_id),
                context("destination_encryption_context", destination_encryption_context),
                *call.out_blobs("rewrapped", None, len(joined)),
                statuses,
                byref(call.response),
            )
        call.check(status)
        new: list[bytes | None] = []
        view, start = call.blobs("rewrapped"), 0
        for one, length in zip(statuses, lengths):
            new.append(None if one else bytes(view[start : start + length]))
            start += length
        return ReEncrypted(new, [Status(one) for one in statuses], *call.said())
