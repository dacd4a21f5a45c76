"""kmsbox: an embedded key-management service.

A :class:`Client` opens a keystore and makes data keys under customer master keys (CMKs). Each comes
twice: as plaintext to encrypt with and then wipe, and as a blob, the same key wrapped under a CMK,
to store beside the data. ``decrypt`` turns the blob back into the key.
"""

from ._answers import (
    Alias,
    Answer,
    ImportParameters,
    Key,
    KeyMetadata,
    KeyVersion,
    Listing,
    Page,
    Tag,
)
from ._client import Client
from ._context import encryption_context
from ._errors import (
    BlobError,
    BufferTooSmallError,
    ClientClosedError,
    DisabledError,
    DryRunError,
    InvalidRequestError,
    KeyMismatchError,
    KeystoreBusyError,
    KeystoreError,
    KmsError,
    NoPermissionError,
    NotFoundError,
    RefusedError,
    RootKeyError,
    Status,
    SystemFailureError,
    WrongStateError,
)
from ._expected import ANY_KEY, AnyKey
from ._library import lib as _lib
from ._results import (
    Ciphertext,
    Ciphertexts,
    Content,
    DataKey,
    DataKeys,
    Decrypted,
    KeySpec,
    ReEncrypted,
)
from ._secret import Secret

__all__ = [
    "ANY_KEY",
    "Alias",
    "Answer",
    "AnyKey",
    "BlobError",
    "BufferTooSmallError",
    "Ciphertext",
    "Ciphertexts",
    "Client",
    "ClientClosedError",
    "Content",
    "DataKey",
    "DataKeys",
    "Decrypted",
    "DisabledError",
    "DryRunError",
    "ImportParameters",
    "InvalidRequestError",
    "Key",
    "KeyMetadata",
    "KeyMismatchError",
    "KeySpec",
    "KeyVersion",
    "KeystoreBusyError",
    "KeystoreError",
    "KmsError",
    "Listing",
    "NoPermissionError",
    "NotFoundError",
    "Page",
    "ReEncrypted",
    "RefusedError",
    "RootKeyError",
    "Secret",
    "Status",
    "SystemFailureError",
    "Tag",
    "WrongStateError",
    "encryption_context",
    "library_version",
]

__version__ = "0.1.0"


def library_version() -> str:
    """The version of the library that runs, which may be later than this package's."""
    version: bytes = _lib.kms_version()
    return version.decode()
