"""Opening a client."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from ctypes import byref, c_void_p
from typing import Any

from . import _audit
from ._buffers import Held, text
from ._call import raise_failure
from ._errors import Status
from ._handle import Handle
from ._library import Response, lib
from ._secret import BytesLike


def open_client(
    options: Mapping[str, Any], root_key: str | BytesLike | None, audit: _audit.Audit | None
) -> Handle:
    """Opens a client with options by the names of the header; None is an option not given."""
    _audit.refuse_reentry()
    if audit is not None and not callable(audit):
        raise TypeError(f"audit must be callable, not {type(audit).__name__}")
    response = Response()
    opened = c_void_p()
    pointer = c_void_p()
    _check(lib.kms_options_new(byref(opened)), None)
    try:
        for name, value in options.items():
            if value is not None:
                words = _option("an option's name", name), _option(name, _text(name, value))
                _check(lib.kms_options_set(opened, *words, byref(response)), response)
        if isinstance(root_key, str):
            words = b"root_key", _option("root_key", root_key)
            _check(lib.kms_options_set(opened, *words, byref(response)), response)
        elif root_key is not None:
            with Held() as held:
                key = held.source("root_key", root_key)
                status = lib.kms_options_set_root_key(opened, *key, byref(response))
            _check(status, response)
        function = None
        if audit is not None:
            function = _audit.callback(audit)
            status = lib.kms_options_set_audit_callback(opened, function, None, byref(response))
            _check(status, response)
        opening = lib.kms_client_open, opened, byref(pointer), byref(response)
        _check(opening[0](*opening[1:]) if function is None else _audit.run(*opening), response)
    finally:
        # Wipes the root key that is in it.
        lib.kms_options_free(opened)
    return Handle(pointer.value or 0, function)


def _check(status: int, response: Response | None) -> None:
    if status:
        raise_failure(status, response)


def _option(name: str, value: str) -> bytes | None:
    return text(name, value, Status.INVALID_OPTION)


def _text(name: str, value: Any) -> str:
    """An option's value as the header has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, (str, bytes, os.PathLike)):
        return os.fsdecode(value)
    if isinstance(value, Iterable):
        return ",".join(value)
    raise TypeError(f"{name} cannot be {type(value).__name__}")
