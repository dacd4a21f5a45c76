"""Ten thousand calls leave as much memory taken as one."""

from __future__ import annotations

import gc
import os
import tracemalloc
import unittest
from typing import Callable

from support import CONTEXT, TestCase

import kmsbox


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Leaks(TestCase):
    def assertNothingStays(self, work: Callable[[], object], times: int) -> None:
        for _ in range(times // 10):
            work()
        gc.collect()
        before = resident()
        for _ in range(times):
            work()
        gc.collect()
        # A leak of so much as a response, 1024 bytes, would be 10 MB of ten thousand.
        self.assertLess(resident() - before, times * 300)
        tracemalloc.start()
        try:
            work()
            gc.collect()
            held = tracemalloc.get_traced_memory()[0]
            for _ in range(times // 10):
                work()
            gc.collect()
            self.assertLess(tracemalloc.get_traced_memory()[0] - held, times // 10 * 4)
        finally:
            tracemalloc.stop()

    def test_data_keys(self) -> None:
        client, cmk = self.with_cmk()
        buffer = bytearray(32)

        def work() -> None:
            key = client.generate_data_key(cmk, CONTEXT)
            blob = key.ciphertext_blob
            client.decrypt(blob, CONTEXT, expected_key_id=cmk, plaintext=buffer)
            # Not wiped by hand: it goes with its last reference.
            client.decrypt(memoryview(blob), CONTEXT, expected_key_id=cmk)

        self.assertNothingStays(work, 10000)

    def test_refusals(self) -> None:
        client, cmk = self.with_cmk()

        def work() -> None:
            for call in (
                lambda: client.decrypt(bytes(142), CONTEXT, expected_key_id=cmk),
                lambda: client.generate_data_key(cmk, plaintext=bytearray(1)),
                lambda: client.generate_data_key(f"{cmk}\0"),
                lambda: client.call("Fly"),
            ):
                try:
                    call()
                except kmsbox.KmsError:
                    pass

        self.assertNothingStays(work, 10000)

    def test_documents(self) -> None:
        client, cmk = self.with_cmk()
        self.assertNothingStays(lambda: client.describe_key(cmk), 10000)

    def test_clients(self) -> None:
        def work() -> None:
            client = kmsbox.Client(
                keystore="memory:", root_key=bytes(32), create=True, audit=lambda line: None
            )
            client.describe()

        self.assertNothingStays(work, 1000)


if __name__ == "__main__":
    unittest.main()
