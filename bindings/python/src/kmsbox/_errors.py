"""Statuses and exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from ._library import Response, lib


class Status(IntEnum):
    """Every status of the library, by its name in the header without ``KMS_ERR_``.

    A later library may know more: ``Status(number)`` then makes a member for that number.
    """

    OK = 0
    INVALID_ARGUMENT = 100
    BUFFER_TOO_SMALL = 101
    INVALID_OPTION = 102
    MISSING_PARAMETER = 103
    INVALID_PARAMETER = 104
    UNSUPPORTED_OPERATION = 105
    UNSUPPORTED_ALIAS = 106
    UNSUPPORTED_PROTECTION_LEVEL = 107
    UNSUPPORTED_KEY = 108
    UNSUPPORTED_ORIGIN = 109
    KEY_NOT_FOUND = 200
    ALIAS_NOT_FOUND = 201
    KEY_VERSION_NOT_FOUND = 202
    DISABLED = 210
    PENDING_DELETION = 211
    PENDING_IMPORT = 212
    STATE = 213
    ALIAS_EXISTS = 220
    LIMIT_EXCEEDED = 221
    INVALID_KEY_MATERIAL = 222
    INVALID_IMPORT_TOKEN = 223
    EXPIRED_IMPORT_TOKEN = 224
    NO_PERMISSION = 230
    DRY_RUN = 240
    DRY_RUN_INVALID = 241
    DRY_RUN_DENIED = 242
    NOT_A_BLOB = 300
    KEY_MISMATCH = 301
    CIPHERTEXT_INVALID = 302
    KEYSTORE_NOT_FOUND = 400
    NOT_A_KEYSTORE = 401
    KEYSTORE_TAMPERED = 402
    KEYSTORE_BUSY = 403
    KEYSTORE_IO = 404
    AUDIT_FAILED = 405
    CLOCK = 406
    ROOT_KEY = 410
    ROOT_KEY_SOURCE = 411
    NO_MEMORY = 900
    RANDOM = 901
    INTERNAL = 902

    @classmethod
    def _missing_(cls, value: object) -> Status | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member


class ApiError(NamedTuple):
    """What the API calls a status."""

    code: str
    http_status: int


#: The API's code and HTTP status of each status. A response says the same; this is for the few
#: failures that come without one.
API: Mapping[int, ApiError] = {
    **dict.fromkeys((100, 101, 102, 104, 300, 301, 302), ApiError("InvalidParameter", 400)),
    103: ApiError("MissingParameter", 400),
    105: ApiError("UnsupportedOperation", 400),
    106: ApiError("Unsupported.Alias", 400),
    107: ApiError("Unsupported.ProtectionLevel", 400),
    108: ApiError("Rejected.UnsupportedOperation", 400),
    109: ApiError("Unsupported.Origin", 400),
    200: ApiError("Forbidden.KeyNotFound", 404),
    201: ApiError("Forbidden.AliasNotFound", 404),
    202: ApiError("Forbidden.KeyVersionNotFound", 404),
    210: ApiError("Rejected.Disabled", 409),
    211: ApiError("Rejected.PendingDeletion", 409),
    212: ApiError("Rejected.PendingImport", 409),
    213: ApiError("Rejected.StateModifiedFailed", 409),
    220: ApiError("AliasAlreadyExists", 400),
    221: ApiError("Rejected.LimitExceeded", 400),
    222: ApiError("InvalidKeyMaterial", 400),
    223: ApiError("InvalidImportToken", 400),
    224: ApiError("ExpiredImportToken", 400),
    230: ApiError("Forbidden.NoPermission", 403),
    240: ApiError("DryRunOperationError", 400),
    241: ApiError("ValidationError", 400),
    242: ApiError("AccessDeniedError", 403),
    403: ApiError("ServiceUnavailableTemporary", 503),
    **dict.fromkeys(
        (400, 401, 402, 404, 405, 406, 410, 411, 900, 901, 902),
        ApiError("InternalFailure", 500),
    ),
}


class KmsError(Exception):
    """What the library refused or could not do. Never holds key material."""

    #: One of the library's statuses.
    status: Status
    #: The API's code, such as "Forbidden.KeyNotFound".
    code: str
    #: The API's HTTP status.
    http_status: int
    #: One sentence for people.
    message: str
    #: The id of the call, as in the audit log; "" where the failure came before any call.
    request_id: str

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        code: str = "",
        http_status: int = 0,
        request_id: str = "",
    ) -> None:
        known = API.get(status, ApiError("InternalFailure", 500))
        self.status = Status(status)
        self.code = code or known.code
        self.http_status = http_status or known.http_status
        self.message = message or lib.kms_status_text(status).decode()
        self.request_id = request_id
        super().__init__(self.message)

    @property
    def status_name(self) -> str:
        """The status as the header spells it, such as "KMS_ERR_DISABLED"."""
        name: bytes = lib.kms_status_name(self.status)
        return name.decode()

    def __str__(self) -> str:
        return f"{self.status_name} ({self.code}): {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        # A pool of processes hands exceptions over as pickles.
        return _restore, (type(self), dict(self.__dict__))


def _restore(kind: type[KmsError], fields: dict[str, Any]) -> KmsError:
    error = kind.__new__(kind, fields["message"])
    error.__dict__.update(fields)
    return error


class InvalidRequestError(KmsError, ValueError):
    """100 to 199: an argument, option or parameter is missing or not valid, or not offered here."""


class BufferTooSmallError(InvalidRequestError):
    """A buffer of the caller's is too small. Nothing was made, and nothing was written to it."""

    #: The bytes that are needed, by the name of the argument.
    needed: Mapping[str, int]

    def __init__(
        self, status: int, message: str = "", *, needed: Mapping[str, int], **fields: Any
    ) -> None:
        super().__init__(status, message, **fields)
        self.needed = dict(needed)


class ClientClosedError(InvalidRequestError):
    """The client has been closed, or was never opened."""


class RefusedError(KmsError):
    """200 to 299: the service refused the request."""


class NotFoundError(RefusedError):
    """200 to 209: there is no such CMK, alias or version."""


class WrongStateError(RefusedError):
    """210 to 219: the CMK's state does not allow it."""


class DisabledError(WrongStateError):
    """The CMK is disabled."""


class NoPermissionError(RefusedError):
    """230 to 239: the client's option ``permissions`` does not have it."""


class DryRunError(RefusedError):
    """240 to 249: the request was only tried."""


class BlobError(KmsError):
    """300 to 399: the blob does not open."""


class KeyMismatchError(BlobError):
    """The blob is not under the expected CMK."""


class KeystoreError(KmsError):
    """400 to 499: the keystore, its root key, the audit log or the clock."""


class KeystoreBusyError(KeystoreError):
    """Another process is writing the keystore; try again."""


class RootKeyError(KeystoreError):
    """410 to 419: the root key does not open the keystore, or is not where its source says."""


class SystemFailureError(KmsError):
    """900 to 999: no memory, no random bytes, or an error inside kmsbox."""


# The narrowest range that holds a status decides, so that one of a later library finds its place.
_RANGES: tuple[tuple[int, int, type[KmsError]], ...] = (
    (210, 210, DisabledError),
    (301, 301, KeyMismatchError),
    (403, 403, KeystoreBusyError),
    (200, 209, NotFoundError),
    (210, 219, WrongStateError),
    (230, 239, NoPermissionError),
    (240, 249, DryRunError),
    (410, 419, RootKeyError),
    (100, 199, InvalidRequestError),
    (200, 299, RefusedError),
    (300, 399, BlobError),
    (400, 499, KeystoreError),
    (900, 999, SystemFailureError),
)


def error_class(status: int) -> type[KmsError]:
    """The exception for a status, :class:`BufferTooSmallError` aside, which needs lengths."""
    for low, high, kind in _RANGES:
        if low <= status <= high:
            return kind
    return KmsError


def failure(
    status: int, response: Response | None = None, needed: Mapping[str, int] | None = None
) -> KmsError:
    """The exception for what a function of the library returned."""
    fields: dict[str, Any] = {}
    if response is not None:
        fields = {
            "message": response.error_message.decode(errors="replace"),
            "code": response.error_code.decode(errors="replace"),
            "http_status": response.http_status,
            "request_id": response.request_id.decode(),
        }
    if status == Status.BUFFER_TOO_SMALL and needed is not None:
        return BufferTooSmallError(status, needed=needed, **fields)
    return error_class(status)(status, **fields)


def unusable(name: str, why: str, status: Status = Status.INVALID_ARGUMENT) -> InvalidRequestError:
    """The exception for an argument that cannot be handed to the library as it is."""
    return InvalidRequestError(status, f"{name} {why}.")
