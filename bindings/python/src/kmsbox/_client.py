"""The client: an opened keystore."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from ctypes import byref, c_size_t, c_void_p
from types import TracebackType
from typing import Any, Callable, NoReturn

from ._audit import Audit
from ._buffers import text
from ._bulk import BulkOperations
from ._call import raise_failure, taken
from ._data import DataOperations
from ._handle import Handle
from ._library import Response, lib
from ._operations import Operations
from ._options import open_client
from ._requests import request
from ._secret import BytesLike


class Client(DataOperations, BulkOperations, Operations):
    """An opened keystore. Any number of threads may use one, and so may a forked child.

    ::

        with kmsbox.Client(keystore="keystore", root_key="file:root.key") as client:
            with client.generate_data_key("alias/orders", {"table": "orders"}) as key:
                ...  # key.plaintext.view to encrypt with, key.ciphertext_blob to store

    Options, all by name; None is the library's default:

    keystore             path of the keystore file, or "memory:"
    root_key             "file:PATH", "credential:NAME", "env:NAME", "passphrase-file:PATH"; or the
                         32 bytes themselves, which are copied into locked memory: wipe yours
    create               make the keystore if it is missing
    permissions          the actions that this client will perform, such as "Decrypt" or
                         "Decrypt@alias/orders"
    audit                called with each line of the audit log; where it raises, the operation
                         fails with AUDIT_FAILED. It must not call this library
    audit_log            path of a file for these lines, instead
    keystore_id          the id that the keystore must have
    read_only            never write
    refresh_interval_ms  how stale the view of another process's change may be
    lock_timeout_ms      how long a management call waits for another writer
    locked_memory_max    bytes of locked memory for expanded keys
    options              any others by the names of the header, for a later library
    """

    # Those of a client that could not be opened, which tracebacks may show.
    _handle = Handle(0)
    _keystore: str | os.PathLike[str] | None = None

    def __init__(
        self,
        *,
        keystore: str | os.PathLike[str] | None = None,
        root_key: str | BytesLike | None = None,
        create: bool | None = None,
        permissions: Iterable[str] | str | None = None,
        audit: Audit | None = None,
        audit_log: str | os.PathLike[str] | None = None,
        keystore_id: str | None = None,
        read_only: bool | None = None,
        refresh_interval_ms: int | None = None,
        lock_timeout_ms: int | None = None,
        locked_memory_max: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        named = {
            "keystore": keystore,
            "create": create,
            "permissions": permissions,
            "audit_log": audit_log,
            "keystore_id": keystore_id,
            "read_only": read_only,
            "refresh_interval_ms": refresh_interval_ms,
            "lock_timeout_ms": lock_timeout_ms,
            "locked_memory_max": locked_memory_max,
        }
        self._keystore = keystore
        self._handle = open_client({**named, **(options or {})}, root_key, audit)

    # ---- Its life ------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes the client and wipes its keys.

        Waits for calls that other threads are in; calls that begin later raise ClientClosedError.
        Closing again does nothing.
        """
        self._handle.close()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._handle.closed

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<kmsbox.Client of {str(self._keystore)!r}{', closed' if self.closed else ''}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a Client is not copied or pickled: "
            "a forked process inherits it, a spawned one opens its own"
        )

    def describe(self) -> dict[str, Any]:
        """What the client is and how it stands, for people and monitoring."""
        answer: dict[str, Any] = json.loads(self._document(None, lib.kms_client_describe))
        return answer

    # ---- Requests ------------------------------------------------------------------------------

    def call(self, action: str, /, **parameters: Any) -> dict[str, Any]:
        """Performs any action, with parameters by the API's names, and gives the document that it
        answers: ``client.call("DescribeKey", KeyId="alias/orders")``.

        Values are text, numbers, truth values, and for parameters that take JSON or base64 also
        mappings, lists and bytes. None is a parameter that is not given.

        Texts cannot be wiped in Python, so do not decrypt secrets this way.
        """
        if parameters.get("Format") not in (None, "JSON"):
            raise TypeError("call reads JSON; for another format use request")
        answer: dict[str, Any] = json.loads(self._request(request(action, parameters)))
        return answer

    def request(self, request: str) -> str:
        """Performs a form-encoded request as it stands, and gives the document as it came."""
        return self._request(text("request", request)).decode()

    def _request(self, encoded: bytes | None) -> bytes:
        response = Response()
        return self._document(response, lib.kms_call, encoded, after=(byref(response),))

    def _document(
        self,
        response: Response | None,
        function: Callable[..., int],
        *before: Any,
        after: tuple[Any, ...] = (),
    ) -> bytes:
        """Makes a call that gives a document, which is there after some failures too."""
        document, length = c_void_p(), c_size_t()
        try:
            status = self._handle.run(function, *before, byref(document), byref(length), *after)
        finally:
            answer = taken(document, length)
        if status:
            raise_failure(status, response)
        return answer
