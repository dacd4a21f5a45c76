"""What the tests share."""

from __future__ import annotations

import ctypes
import os
import tempfile
import unittest
import warnings
from pathlib import Path
from typing import Any, Callable, Optional, Union

import kmsbox

ROOT = Path(__file__).resolve().parents[3]
ROOT_KEY = b"\x42" * 32
CONTEXT = {"table": "orders"}


class TestCase(unittest.TestCase):
    """A test with scratch space and clients that it need not close itself."""

    def scratch(self) -> Path:
        """A folder that only this user may enter, removed with the test."""
        directory = tempfile.TemporaryDirectory(
            prefix="kmsbox-", dir=os.environ.get("KMSBOX_SCRATCH")
        )
        self.addCleanup(directory.cleanup)
        return Path(directory.name)

    def client(self, **options: Any) -> kmsbox.Client:
        """A client of a keystore in memory, or of another one."""
        given = {"keystore": "memory:", "root_key": ROOT_KEY, "create": True, **options}
        client = kmsbox.Client(**given)
        self.addCleanup(client.close)
        return client

    def with_cmk(self, **options: Any) -> tuple[kmsbox.Client, str]:
        """A client and the id of a CMK, which has the alias alias/orders too."""
        client = self.client(**options)
        cmk = client.create_key().key_id
        client.create_alias(cmk, "alias/orders")
        return client, cmk

    def assertStatus(self, status: kmsbox.Status, error: Optional[BaseException]) -> None:
        """That an error is one of kmsbox with this status."""
        assert isinstance(error, kmsbox.KmsError)
        self.assertEqual(error.status, status)

    def refused(self, status: kmsbox.Status, function: Any, *given: Any, **named: Any) -> Any:
        """Calls what must be refused with a status, and gives the error."""
        with self.assertRaises(kmsbox.KmsError) as caught:
            function(*given, **named)
        self.assertStatus(status, caught.exception)
        return caught.exception


def address(buffer: Union[memoryview, bytearray]) -> int:
    """Where a writable buffer lies."""
    return ctypes.addressof(ctypes.c_ubyte.from_buffer(buffer))


def memory(where: int, length: int) -> bytes:
    """What lies at an address now, past everything that Python knows about it."""
    return ctypes.string_at(where, length)


def fork(work: Callable[[], None]) -> int:
    """Forks; the child does its work and ends with 0 where all went well."""
    with warnings.catch_warnings():
        # Forking with threads is what is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child
