"""Data keys and blobs, one at a time."""

from __future__ import annotations

from ctypes import byref
from typing import Any, TypeVar, overload

from ._buffers import Context, Writable, context, text
from ._call import Call
from ._expected import AnyKey, expected
from ._handle import Handle
from ._lengths import Spec, blob_length, key_length, plaintext_length
from ._library import CIPHERTEXT_BLOB_MAX, lib
from ._results import Ciphertext, Content, DataKey, Decrypted, KeySpec
from ._secret import BytesLike, Secret

B = TypeVar("B", bound=Writable)


class DataOperations:
    """Makes data keys, and opens, makes and moves blobs."""

    _handle: Handle

    @overload
    def generate_data_key(
        self,
        key_id: str,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
        plaintext: None = None,
        ciphertext_blob: Writable | None = None,
    ) -> DataKey[Secret]: ...
    @overload
    def generate_data_key(
        self,
        key_id: str,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
        plaintext: B,
        ciphertext_blob: Writable | None = None,
    ) -> DataKey[B]: ...
    def generate_data_key(
        self,
        key_id: str,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
        plaintext: Any = None,
        ciphertext_blob: Writable | None = None,
    ) -> DataKey[Any]:
        """Makes a data key: its plaintext to encrypt with and wipe, and its blob to store.

        The plaintext is a new Secret, or lies in the buffer that is given as ``plaintext``.
        ``ciphertext_blob`` may be a buffer that gets the blob too.
        """
        spec, number, length = key_length(key_spec, number_of_bytes)
        key = Secret(length) if plaintext is None else plaintext
        with Call() as call:
            status = self._handle.run(
                lib.kms_generate_data_key,
                text("key_id", key_id),
                spec,
                number,
                context("encryption_context", encryption_context),
                *call.out("plaintext", key),
                *call.out_blobs("ciphertext_blob", ciphertext_blob, blob_length(length)),
                byref(call.response),
            )
        call.check(status)
        blob = bytes(call.blobs("ciphertext_blob"))
        return DataKey(key, call.length("plaintext"), blob, *call.said())

    def generate_data_key_without_plaintext(
        self,
        key_id: str,
        encryption_context: Context = None,
        *,
        key_spec: Spec = KeySpec.DEFAULT,
        number_of_bytes: int | None = None,
        ciphertext_blob: Writable | None = None,
    ) -> Ciphertext:
        """Makes a data key that nobody sees yet: only its blob, for a later decrypt."""
        spec, number, length = key_length(key_spec, number_of_bytes)
        with Call() as call:
            status = self._handle.run(
                lib.kms_generate_data_key_without_plaintext,
                text("key_id", key_id),
                spec,
                number,
                context("encryption_context", encryption_context),
                *call.out_blobs("ciphertext_blob", ciphertext_blob, blob_length(length)),
                byref(call.response),
            )
        call.check(status)
        return Ciphertext(bytes(call.blobs("ciphertext_blob")), *call.said())

    @overload
    def decrypt(
        self,
        ciphertext_blob: BytesLike,
        encryption_context: Context = None,
        *,
        expected_key_id: str | AnyKey,
        plaintext: None = None,
    ) -> Decrypted[Secret]: ...
    @overload
    def decrypt(
        self,
        ciphertext_blob: BytesLike,
        encryption_context: Context = None,
        *,
        expected_key_id: str | AnyKey,
        plaintext: B,
    ) -> Decrypted[B]: ...
    def decrypt(
        self,
        ciphertext_blob: BytesLike,
        encryption_context: Context = None,
        *,
        expected_key_id: str | AnyKey,
        plaintext: Any = None,
    ) -> Decrypted[Any]:
        """Opens a blob: gives back the data key, or whatever encrypt was given.

        ``expected_key_id`` is the CMK's id that was stored with the blob: a blob names its own CMK,
        and whoever can write blobs chooses it. Where any CMK may be meant, write ``ANY_KEY``. The
        plaintext is a new Secret, or lies in the buffer that is given as ``plaintext``.
        """
        with Call() as call:
            source = call.source("ciphertext_blob", ciphertext_blob)
            if plaintext is None:
                plaintext = Secret(plaintext_length(source[1]))
            status = self._handle.run(
                lib.kms_decrypt,
                expected(expected_key_id),
                *source,
                context("encryption_context", encryption_context),
                *call.out("plaintext", plaintext),
                byref(call.response),
            )
        call.check(status)
        content = Content.TEXT if call.response.content == Content.TEXT else Content.BYTES
        return Decrypted(plaintext, call.length("plaintext"), content, *call.said())

    def encrypt(
        self,
        key_id: str,
        plaintext: BytesLike,
        encryption_context: Context = None,
        *,
        ciphertext_blob: Writable | None = None,
    ) -> Ciphertext:
        """Wraps bytes of your own, 1 to 6144, such as a key that an engine made itself."""
        with Call() as call:
            source = call.source("plaintext", plaintext)
            status = self._handle.run(
                lib.kms_encrypt,
                text("key_id", key_id),
                *source,
                context("encryption_context", encryption_context),
                *call.out_blobs("ciphertext_blob", ciphertext_blob, blob_length(source[1])),
                byref(call.response),
            )
        call.check(status)
        return Ciphertext(bytes(call.blobs("ciphertext_blob")), *call.said())

    def re_encrypt(
        self,
        ciphertext_blob: BytesLike,
        destination_key_id: str,
        *,
        source_encryption_context: Context,
        destination_encryption_context: Context,
        expected_key_id: str | AnyKey,
        rewrapped: Writable | None = None,
    ) -> Ciphertext:
        """Wraps a blob anew, under the present version of a CMK. The plaintext stays inside.

        Both contexts have to be given, None for none, so that a new blob is never bound to less
        than the old one by oversight. ``expected_key_id`` is what it is for decrypt: what opens
        under another CMK would come out as a blob under yours.
        """
        with Call() as call:
            source = call.source("ciphertext_blob", ciphertext_blob)
            status = self._handle.run(
                lib.kms_re_encrypt,
                expected(expected_key_id),
                *source,
                context("source_encryption_context", source_encryption_context),
                text("destination_key_id", destination_key_id),
                context("destination_encryption_context", destination_encryption_context),
                *call.out_blobs("rewrapped", rewrapped, min(source[1], CIPHERTEXT_BLOB_MAX)),
                byref(call.response),
            )
        call.check(status)
        return Ciphertext(bytes(call.blobs("rewrapped")), *call.said())
