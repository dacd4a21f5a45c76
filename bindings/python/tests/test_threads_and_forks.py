"""One client in many threads and in forked children."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
import unittest
import warnings
from typing import Any

from support import CONTEXT, TestCase, fork

import kmsbox
from kmsbox import Client, Status

#: What children inherit.
inherited: Client
inherited_cmk: str


def make_and_open(_number: int) -> tuple[int, bytes, bytes]:
    """In a child: a data key by the inherited client."""
    with inherited.generate_data_key(inherited_cmk, CONTEXT) as key:
        return os.getpid(), key.ciphertext_blob, bytes(key.plaintext.view)


def fail(_number: int) -> None:
    """In a child: what is refused."""
    inherited.generate_data_key("alias/none", CONTEXT)


class Threads(TestCase):
    def work(self, client: Client, cmk: str, errors: list[BaseException]) -> None:
        try:
            for number in range(100):
                context = {"thread": str(threading.get_ident()), "number": str(number)}
                with client.generate_data_key(cmk, context) as key:
                    blob = key.ciphertext_blob
                    with client.decrypt(blob, context, expected_key_id=cmk) as again:
                        if again.plaintext != key.plaintext:
                            raise AssertionError("another key")
                with self.assertRaises(kmsbox.BlobError):
                    client.decrypt(blob, {"thread": "none"}, expected_key_id=cmk)
        except BaseException as error:
            errors.append(error)

    def test_sixteen_on_one_client(self) -> None:
        client, cmk = self.with_cmk(keystore=self.scratch() / "keystore", refresh_interval_ms=0)
        errors: list[BaseException] = []
        threads = [
            threading.Thread(target=self.work, args=(client, cmk, errors)) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for _ in range(10):
            client.create_key_version(cmk)
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])

    def test_while_the_collector_runs_all_the_time(self) -> None:
        client, cmk = self.with_cmk()
        before = gc.get_threshold()
        gc.set_threshold(1)
        try:
            errors: list[BaseException] = []
            threads = [
                threading.Thread(target=self.work, args=(client, cmk, errors)) for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            gc.set_threshold(*before)
        self.assertEqual(errors, [])


class Forks(TestCase):
    def test_a_child_goes_on_with_the_client(self) -> None:
        client, cmk = self.with_cmk(keystore=self.scratch() / "keystore")
        with client.generate_data_key(cmk, CONTEXT) as key:
            blob = key.ciphertext_blob

            def work() -> None:
                with client.decrypt(blob, CONTEXT, expected_key_id=cmk) as again:
                    assert again.plaintext == key.plaintext
                client.create_alias(cmk, "alias/child")
                key.wipe()
                client.close()

            child = fork(work)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            # What the child wiped and closed was its own.
            with client.decrypt(blob, CONTEXT, expected_key_id=cmk) as again:
                self.assertEqual(again.plaintext, key.plaintext)
        self.assertEqual(client.describe_key("alias/child").key_id, cmk)

    def test_while_threads_are_in_calls(self) -> None:
        client, cmk = self.with_cmk(keystore=self.scratch() / "keystore", audit=lambda line: None)
        plain = self.client(keystore=client._keystore)
        stop = threading.Event()
        errors: list[BaseException] = []

        def work(mine: Client) -> None:
            try:
                while not stop.is_set():
                    with mine.generate_data_key(cmk, CONTEXT) as key:
                        blob = key.ciphertext_blob
                        mine.decrypt(blob, CONTEXT, expected_key_id=cmk).wipe()
                    mine.update_key_description(cmk, "x")
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(one,)) for one in (client, plain) * 2]
        for thread in threads:
            thread.start()

        def in_child() -> None:
            for mine in (client, plain):
                mine.generate_data_key(cmk, CONTEXT).wipe()
                mine.update_key_description(cmk, "child")
                # The parent's threads, which are not here, do not hold it up.
                mine.close()

        children = [fork(in_child) for _ in range(25)]
        ended = [os.waitpid(child, 0)[1] for child in children]
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(ended, [0] * 25)
        self.assertEqual(errors, [])

    def test_a_child_forgets_calls_of_threads_it_does_not_have(self) -> None:
        client, _ = self.with_cmk()
        client._handle._users.append(-1)
        try:
            child = fork(client.close)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
        finally:
            client._handle._users.remove(-1)

    def test_a_pool_of_processes(self) -> None:
        global inherited, inherited_cmk
        inherited, inherited_cmk = self.with_cmk(keystore=self.scratch() / "keystore")
        stop = threading.Event()

        def hold() -> None:
            while not stop.is_set():
                inherited.generate_data_key(inherited_cmk).wipe()
                time.sleep(0)

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                with multiprocessing.get_context("fork").Pool(4) as pool:
                    made = pool.map(make_and_open, range(40), chunksize=1)
                    with self.assertRaises(kmsbox.NotFoundError) as caught:
                        pool.map(fail, range(1))
        finally:
            stop.set()
            holder.join()
        self.assertStatus(Status.ALIAS_NOT_FOUND, caught.exception)
        self.assertTrue(caught.exception.request_id)
        self.assertNotIn(os.getpid(), {process for process, *_ in made})
        for _process, blob, plaintext in made:
            with inherited.decrypt(blob, CONTEXT, expected_key_id=inherited_cmk) as opened:
                self.assertEqual(opened.plaintext, plaintext)
        self.assertEqual(len({plaintext for *_, plaintext in made}), 40)

    def test_a_client_is_not_handed_to_a_spawned_process(self) -> None:
        client = self.client()
        process: Any = multiprocessing.get_context("spawn").Process(target=print, args=(client,))
        with self.assertRaisesRegex(TypeError, "opens its own"):
            process.start()


if __name__ == "__main__":
    unittest.main()
