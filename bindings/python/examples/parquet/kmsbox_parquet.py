"""Parquet files encrypted by pyarrow, with kmsbox as the KMS.

Parquet encrypts the footer and each column with keys of their own, and has a KMS wrap them under
master keys. Here a master key is a CMK, by its alias or id. The wrapped keys lie beside the data
file, in _KEY_MATERIAL_FOR_<name>.json ("external key material"), so that they can be wrapped anew
without touching the data.

    client = kmsbox.Client(keystore=..., root_key=..., permissions=["Encrypt", "Decrypt"])
    keys = ParquetKeys(client, dataset="orders")
    keys.write(table, path, footer_key="alias/orders", column_keys={"alias/people": ["name"]})
    table = keys.read(path)
    keys.rotate(path)
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pyarrow.parquet
import pyarrow.parquet.encryption as encryption

import kmsbox

#: Begins every wrapped key, and says how the rest is to be read: the CMK's id, the blob in base64.
FORMAT = "kmsbox1"


class KeyRefused(pyarrow.ArrowException):
    """A key of a file was not to be had. Its cause is kmsbox's own error, where there is one."""


class KmsClient(encryption.KmsClient):
    """What pyarrow asks to wrap and unwrap keys.

    Each wrapped key is bound to the data set, which the reader has to know, and to the name of its
    master key: a rotation wraps it under whatever CMK has that name, and key material is written by
    whoever can write files. It also names the CMK that it is under, by its id: an alias may have
    moved since, and the id is what the blob is held against. Whoever can replace key material could
    still put in a key that another CMK of the keystore has wrapped for this data set. A reader that
    must not accept that opens its client with permissions such as "Decrypt@ID".
    """

    def __init__(self, client: kmsbox.Client, dataset: str) -> None:
        super().__init__()
        self._client = client
        self._dataset = dataset

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        """Wraps a key under a CMK, and gives the text that pyarrow keeps."""
        try:
            wrapped = self._client.encrypt(
                master_key_identifier, key_bytes, self._context(master_key_identifier)
            )
        except kmsbox.KmsError as error:
            raise KeyRefused(
                f"no key could be wrapped under {master_key_identifier}: {error}"
            ) from error
        blob = base64.b64encode(wrapped.ciphertext_blob).decode()
        return f"{FORMAT}:{wrapped.key_id}:{blob}"

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        """Unwraps a key. pyarrow wants bytes, which Python cannot wipe; the Secret is wiped."""
        key_id, blob = parse(wrapped_key)
        context = self._context(master_key_identifier)
        try:
            with self._client.decrypt(blob, context, expected_key_id=key_id) as opened:
                return bytes(opened.plaintext.view)
        except kmsbox.KmsError as error:
            raise KeyRefused(
                f"a key under {master_key_identifier} (CMK {key_id}) was not unwrapped: {error}"
            ) from error

    def _context(self, master_key_identifier: str) -> dict[str, str]:
        return {"purpose": "parquet", "dataset": self._dataset, "master_key": master_key_identifier}


class WrappedKey(NamedTuple):
    """What a key in the key material says about itself."""

    name: str
    master_key: str
    key_id: str
    key_version_id: str


class ParquetKeys:
    """Writes, reads and rotates the files of one data set."""

    def __init__(self, client: kmsbox.Client, dataset: str) -> None:
        if not dataset:
            raise ValueError("the data set needs a name")
        self._client = client
        self._dataset = dataset
        self._connection = encryption.KmsConnectionConfig()

    def factory(self) -> encryption.CryptoFactory:
        """A factory with no keys in it yet. It caches clients and keys: one for each task."""
        return encryption.CryptoFactory(lambda _: KmsClient(self._client, self._dataset))

    def write(
        self,
        table: pyarrow.Table,
        path: str | os.PathLike[str],
        *,
        footer_key: str,
        column_keys: Mapping[str, Sequence[str]] | None = None,
        clear: Sequence[str] = (),
    ) -> None:
        """Writes a new file. Columns have the footer's key, or those that ``column_keys`` gives.

        With ``column_keys`` every column must be named, there or in ``clear``: Parquet would write
        the others in the clear without a word.
        """
        path = Path(path)
        material, writing = key_material(path), path.with_name(f".{path.name}.writing")
        check_columns(table.column_names, column_keys, clear)
        configuration = encryption.EncryptionConfiguration(
            footer_key=footer_key,
            column_keys=column_keys or None,
            uniform_encryption=not column_keys,
            # Wrapping twice spares requests to a KMS far away, at the price of keys that pyarrow
            # holds in memory and a wrapping key of 128 bits. This KMS is in the process.
            double_wrapping=False,
            data_key_length_bits=256,
            internal_key_material=False,
        )
        try:
            writing.touch(exist_ok=False)
        except FileExistsError:
            raise FileExistsError(
                f"{writing} is there: the file is being written, or was when a process ended. If so, "
                f"remove it, and {material.name} if there is no {path.name}"
            ) from None
        try:
            # Its keys would be lost with the key material of a file that was moved away alone.
            for file in (path, material):
                if file.exists():
                    raise FileExistsError(f"{file} is there already, and is not replaced")
            self._write(table, path, writing, configuration)
        finally:
            writing.unlink(missing_ok=True)

    def read(
        self, path: str | os.PathLike[str], columns: Sequence[str] | None = None
    ) -> pyarrow.Table:
        """Reads a file, or some of its columns: only their keys are unwrapped."""
        with pyarrow.OSFile(os.fspath(path)) as source:
            check_encrypted(source, path)
            with pyarrow.parquet.ParquetFile(
                source, decryption_properties=self._decryption(path)
            ) as file:
                return file.read(columns=columns)

    def rotate(self, path: str | os.PathLike[str]) -> None:
        """Has every key of a file wrapped anew, under the present version of its master key, or
        under another CMK if the alias has moved. The data file is not written to.

        pyarrow takes the old key material away before the new one has its name. So it is kept aside
        until the new one is seen to work; after an interruption the next rotation puts it back.
        """
        path = Path(path)
        material = key_material(path)
        aside = material.with_name(f"{material.name}.before")
        wrapper = KmsClient(self._client, self._dataset)
        with alone(path):
            material.with_name(f"_TMP{material.name}").unlink(missing_ok=True)
            self._finish_interrupted(path, aside)
            copying = aside.with_name(f"{aside.name}.copying")
            shutil.copy2(material, copying)
            sync(copying)
            os.replace(copying, aside)
            sync(path.parent)
            try:
                self.factory().rotate_master_keys(self._connection, path, double_wrapping=False)
                sync(material, path.parent)
                for master_key, wrapped_key in wrapped_keys(material).values():
                    wrapper.unwrap_key(wrapped_key, master_key)
            except BaseException:
                os.replace(aside, material)
                raise
            aside.unlink()

    def keys(self, path: str | os.PathLike[str]) -> list[WrappedKey]:
        """Which CMK and version each key of a file is wrapped under. Nothing is unwrapped."""
        found = []
        for name, (master_key, wrapped_key) in wrapped_keys(key_material(Path(path))).items():
            key_id, blob = parse(wrapped_key)
            # Bytes 22 to 37 of a blob: docs/blob-format.md.
            version = str(uuid.UUID(bytes=bytes(blob[22:38])))
            found.append(WrappedKey(name, master_key, key_id, version))
        return found

    def _finish_interrupted(self, path: Path, aside: Path) -> None:
        """Where key material was left aside, puts it back, unless there is a whole one in place."""
        if not aside.exists():
            return
        try:
            whole = {key.name for key in self.keys(path)} == wrapped_keys(aside).keys()
        except (OSError, ValueError, KeyRefused):
            whole = False
        if whole:
            # It may be the new one, and the CMK of the one aside may be gone by now.
            aside.unlink()
        else:
            os.replace(aside, key_material(path))

    def _write(
        self,
        table: pyarrow.Table,
        path: Path,
        writing: Path,
        configuration: encryption.EncryptionConfiguration,
    ) -> None:
        try:
            # This writes the key material.
            properties = self.factory().file_encryption_properties(
                self._connection, configuration, parquet_file_path=path
            )
            with pyarrow.parquet.ParquetWriter(
                writing, table.schema, encryption_properties=properties
            ) as writer:
                writer.write_table(table)
            sync(key_material(path), writing)
            os.replace(writing, path)
        except BaseException:
            # Unless the file has its name already, and only what interrupts a program came after.
            if not path.exists():
                key_material(path).unlink(missing_ok=True)
            raise
        sync(path.parent)

    def _decryption(self, path: str | os.PathLike[str]) -> encryption.FileDecryptionProperties:
        return self.factory().file_decryption_properties(self._connection, parquet_file_path=path)


def parse(wrapped_key: str) -> tuple[str, bytes]:
    """The CMK's id and the blob of a wrapped key."""
    parts = wrapped_key.split(":")
    try:
        if len(parts) != 3 or parts[0] != FORMAT:
            raise ValueError
        return str(uuid.UUID(parts[1])), base64.b64decode(parts[2], validate=True)
    except (ValueError, binascii.Error):
        raise KeyRefused("a wrapped key is not one of kmsbox") from None


def key_material(path: Path) -> Path:
    """Where pyarrow keeps the wrapped keys of a file."""
    return path.with_name(f"_KEY_MATERIAL_FOR_{path.name}.json")


def wrapped_keys(material: Path) -> dict[str, tuple[str, str]]:
    """The master key and the wrapped key of each key, by the name that the key has in the file."""
    try:
        written = json.loads(material.read_text(encoding="utf-8"))
        keys = {name: json.loads(key) for name, key in written.items()}
        return {name: (key["masterKeyID"], key["wrappedDEK"]) for name, key in keys.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise KeyRefused(f"{material} is not key material") from None


def check_encrypted(file: pyarrow.NativeFile, path: str | os.PathLike[str]) -> None:
    """Raises ArrowInvalid unless a file has an encrypted footer: pyarrow would read any other as it
    is, and so one that somebody has put in its place."""
    file.seek(max(0, file.size() - 4))
    if file.read() != b"PARE":
        raise pyarrow.ArrowInvalid(f"{path} is not a Parquet file with an encrypted footer")
    file.seek(0)


def check_columns(
    names: Sequence[str], column_keys: Mapping[str, Sequence[str]] | None, clear: Sequence[str]
) -> None:
    """Raises ValueError unless each column is named once, or none is."""
    if not column_keys:
        if clear:
            raise ValueError("columns in the clear need keys for the other columns")
        return
    given = [name for columns in column_keys.values() for name in columns] + list(clear)
    for name in given:
        if name not in names:
            raise ValueError(f"there is no column {name}")
        if given.count(name) > 1:
            raise ValueError(f"the column {name} is named twice")
        if name not in clear and (name != name.strip() or any(mark in name for mark in ",;:")):
            # pyarrow would take it for the names of others, and leave it in the clear.
            raise ValueError(f"the column {name!r} has a name that pyarrow cannot give a key to")
    for name in names:
        if name not in given:
            raise ValueError(f"the column {name} would be in the clear: give it a key, or say so")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds off other rotations of the same file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"{path} is being rotated by another process") from None
        yield


def sync(*paths: Path) -> None:
    """Has files and folders on the disk before anything else is done."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
