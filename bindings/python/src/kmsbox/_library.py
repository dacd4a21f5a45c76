"""The shared library: where it is, what it exports, and whether it is one that this package knows.

The declarations repeat ``kmsbox.h``; a test compares the two.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char, c_char_p, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

#: The file name of every library that keeps the interface declared here.
SONAME = "libkmsbox.so.0"
#: Names a library that is to be used instead of any other.
VARIABLE = "KMSBOX_LIBRARY"
#: The first version with all that is declared here.
OLDEST = (0, 1, 0)

PLAINTEXT_MAX = 6144
CIPHERTEXT_BLOB_MAX = 6254
CIPHERTEXT_BLOB_OVERHEAD = 110
DATA_KEY_MAX = 1024
BULK_MAX = 1048576
ENCRYPTION_CONTEXT_MAX = 32769
ROOT_KEY_LEN = 32


class Response(ctypes.Structure):
    """``kms_response``: what a call says beyond its status."""

    _fields_ = [
        ("request_id", c_char * 40),
        ("key_id", c_char * 64),
        ("key_version_id", c_char * 64),
        ("error_code", c_char * 64),
        ("error_message", c_char * 256),
        ("http_status", c_int32),
        ("content", c_int32),
        ("reserved", c_char * 528),
    ]


#: Where the header has each field of ``kms_response``.
LAYOUT = {
    "request_id": 0,
    "key_id": 40,
    "key_version_id": 104,
    "error_code": 168,
    "error_message": 232,
    "http_status": 488,
    "content": 492,
    "reserved": 496,
}
if ctypes.sizeof(Response) != 1024 or any(
    getattr(Response, name).offset != offset for name, offset in LAYOUT.items()
):
    raise ImportError("kms_response has another layout on this platform than in kmsbox.h")

# The line that it is given has no NUL, so that it is no c_char_p.
AuditCallback = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)

_status = c_int32
_handle = c_void_p
_bytes = c_void_p
_text = c_char_p
_length = POINTER(c_size_t)
_response = POINTER(Response)
# As pointers and not as c_char_p, which ctypes would copy and forget: they have to be freed.
_out = POINTER(c_void_p)

#: Every function of the header: what it returns and what it takes.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "kms_options_new": (_status, [_out]),
    "kms_options_set": (_status, [_handle, _text, _text, _response]),
    "kms_options_set_root_key": (_status, [_handle, _bytes, c_size_t, _response]),
    "kms_options_set_audit_callback": (_status, [_handle, AuditCallback, c_void_p, _response]),
    "kms_options_free": (None, [_handle]),
    "kms_client_open": (_status, [_handle, _out, _response]),
    "kms_client_describe": (_status, [_handle, _out, _length]),
    "kms_client_free": (None, [_handle]),
    "kms_generate_data_key": (
        _status,
        [_handle, _text, c_int32, c_uint32, _text]
        + [_bytes, c_size_t, _length, _bytes, c_size_t, _length, _response],
    ),
    "kms_generate_data_key_without_plaintext": (
        _status,
        [_handle, _text, c_int32, c_uint32, _text, _bytes, c_size_t, _length, _response],
    ),
    "kms_decrypt": (
        _status,
        [_handle, _text, _bytes, c_size_t, _text, _bytes, c_size_t, _length, _response],
    ),
    "kms_encrypt": (
        _status,
        [_handle, _text, _bytes, c_size_t, _text, _bytes, c_size_t, _length, _response],
    ),
    "kms_re_encrypt": (
        _status,
        [_handle, _text, _bytes, c_size_t, _text, _text, _text]
        + [_bytes, c_size_t, _length, _response],
    ),
    "kms_generate_data_keys": (
        _status,
        [_handle, _text, c_int32, c_uint32, _text, c_size_t]
        + [_bytes, c_size_t, _length, _bytes, c_size_t, _length, _response],
    ),
    "kms_re_encrypt_many": (
        _status,
        [_handle, _bytes, POINTER(c_size_t), c_size_t, _text, _text, _text, _text]
        + [_bytes, c_size_t, _length, POINTER(c_int32), _response],
    ),
    "kms_encryption_context": (_status, [POINTER(c_char_p), c_size_t, _bytes, c_size_t, _length]),
    "kms_call": (_status, [_handle, _text, _out, _length, _response]),
    "kms_document_free": (None, [c_void_p]),
    "kms_zeroize": (None, [_bytes, c_size_t]),
    "kms_secret_alloc": (_status, [c_size_t, _out]),
    "kms_secret_free": (None, [c_void_p]),
    "kms_status_name": (c_char_p, [c_int32]),
    "kms_status_text": (c_char_p, [c_int32]),
    "kms_version": (c_char_p, []),
    "kms_ciphertext_blob_len": (c_size_t, [c_size_t]),
}


def candidates() -> list[tuple[str, str]]:
    """What to try, in this order: where it was named, and what to load."""
    named = os.environ.get(VARIABLE)
    if named:
        # Whoever names a library does not want another one in its place.
        return [(f"${VARIABLE}", named)]
    places = []
    carried = Path(__file__).with_name(SONAME)
    if carried.exists():
        places.append(("beside the package", str(carried)))
    places.append(("the system's", SONAME))
    return places


def load() -> ctypes.CDLL:
    """The first library that can be loaded and is one that this package knows.

    Raises ImportError, which names all that was tried.
    """
    failures = []
    for place, name in candidates():
        try:
            return checked(ctypes.CDLL(name))
        except (OSError, ImportError) as error:
            failures.append(f"{place}, {name}: {error}")
    tried = "; ".join(failures)
    raise ImportError(
        f"the shared library of kmsbox was not found. Tried {tried}. "
        f"Install {SONAME}, or name it in ${VARIABLE}"
    )


def checked(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declares all functions of a library; ImportError where it lacks one or has a wrong version."""
    for name, (result, arguments) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"it has no function {name}") from None
        function.restype = result
        function.argtypes = arguments
    version = library.kms_version().decode()
    number = version_number(version)
    if number is None or number[0] != OLDEST[0] or number < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ImportError(
            f"its version is {version!r}, and this package needs {wanted} or a later {OLDEST[0]}.x"
        )
    if library.kms_ciphertext_blob_len(PLAINTEXT_MAX) != CIPHERTEXT_BLOB_MAX:
        raise ImportError("its blobs have another length than this package knows")
    return library


def version_number(version: str) -> tuple[int, ...] | None:
    """The three numbers of a version such as "0.1.0" or "0.2.0-rc.1"; None for anything else."""
    parts = version.split("-")[0].split("+")[0].split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple(int(part) for part in parts)


lib = load()
