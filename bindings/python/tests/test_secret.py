"""Secrets: where they lie, and that they are wiped."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import unittest

from support import TestCase, address, memory

from kmsbox import Secret, Status


class Secrets(TestCase):
    def test_zeros_at_first_and_writable(self) -> None:
        with Secret(48) as secret:
            self.assertEqual((len(secret), bytes(secret.view)), (48, bytes(48)))
            self.assertEqual(address(secret.view) % 16, 0)
            secret.view[:4] = b"abcd"
            self.assertEqual(secret, b"abcd" + bytes(44))

    def test_wiped_in_place(self) -> None:
        secret = Secret(32)
        view = secret.view
        part = view[8:16]
        view[:] = b"k" * 32
        where = address(view)
        self.assertEqual(memory(where, 32), b"k" * 32)
        secret.wipe()
        self.assertEqual(memory(where, 32), bytes(32))
        # A view that somebody still has shows zeros, and is safe to write to.
        self.assertEqual(bytes(part), bytes(8))
        part[:] = b"k" * 8
        self.assertTrue(secret.wiped)
        secret.wipe()
        with self.assertRaises(ValueError):
            secret.view
        with self.assertRaises(ValueError):
            secret == b"k"  # noqa: B015

    def test_a_view_keeps_the_memory(self) -> None:
        views = []
        for number in range(200):
            secret = Secret(32)
            secret.view[:] = bytes([number]) * 32
            views.append(secret.view)
            del secret
        gc.collect()
        for number, view in enumerate(views):
            self.assertEqual(bytes(view), bytes([number]) * 32)

    def test_what_is_let_go_is_wiped_and_used_again(self) -> None:
        keeper = [Secret(32) for _ in range(8)]
        seen = set()
        for _ in range(1000):
            secret = Secret(32)
            self.assertEqual(bytes(secret.view), bytes(32))
            secret.view[:] = b"k" * 32
            seen.add(address(secret.view))
            del secret
        self.assertLess(len(seen), 100)
        self.assertEqual(len(keeper), 8)

    def test_one_that_outlives_all_modules(self) -> None:
        program = """if True:
            import builtins, threading, kmsbox

            builtins.kept = kmsbox.Secret(32)
            threading.main_thread().kept = kmsbox.Secret(32)
            """
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_comparison(self) -> None:
        one, two = Secret(4), Secret(4)
        one.view[:] = b"same"
        two.view[:] = b"same"
        self.assertEqual(one, two)
        self.assertEqual(one, b"same")
        self.assertEqual(one, memoryview(bytearray(b"same")))
        self.assertNotEqual(one, b"diff")
        self.assertNotEqual(one, b"samesame")
        self.assertNotEqual(one, Secret(5))
        self.assertNotEqual(one, "same")
        self.assertNotEqual(one, None)
        with self.assertRaises(TypeError):
            hash(one)

    def test_not_shown_not_copied(self) -> None:
        secret = Secret(6)
        secret.view[:] = b"secret"
        self.assertEqual(repr(secret), "<Secret of 6 bytes>")
        self.assertEqual(f"{secret}", "<Secret of 6 bytes>")
        for function in (copy.copy, copy.deepcopy, pickle.dumps, bytes):
            self.assertRaises(TypeError, function, secret)
        secret.wipe()
        self.assertEqual(repr(secret), "<Secret of 6 bytes, wiped>")

    def test_lengths(self) -> None:
        for wrong in (0, -1, 2**63, 2**64 + 32):
            self.refused(Status.INVALID_ARGUMENT, Secret, wrong)
        self.refused(Status.NO_MEMORY, Secret, 2**60)
        for length in (1, 15, 16, 17, 4096, 100000):
            secret = Secret(length)
            secret.view[length - 1] = 1
            self.assertEqual(secret.view.nbytes, length)


if __name__ == "__main__":
    unittest.main()
