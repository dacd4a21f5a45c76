"""The audit callback."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import unittest
from typing import Any

from support import CONTEXT, ROOT_KEY, TestCase, fork

import kmsbox
from kmsbox import Secret, Status, _audit


class Audit(TestCase):
    def test_each_line_is_told(self) -> None:
        lines: list[str] = []
        client, cmk = self.with_cmk(audit=lines.append)
        lines.clear()
        with client.generate_data_key(cmk, {"table": "örders"}) as key:
            (line,) = lines
        told = json.loads(line)
        self.assertFalse(line.endswith("\n"))
        self.assertEqual((told["action"], told["status"]), ("GenerateDataKey", "KMS_OK"))
        self.assertEqual(told["request_id"], key.request_id)
        self.assertEqual(told["encryption_context"], {"table": "örders"})

    def test_what_it_raises_stops_the_operation(self) -> None:
        wrong: list[BaseException] = []

        def audit(_line: str) -> None:
            if wrong:
                raise wrong.pop()

        client, cmk = self.with_cmk(audit=audit)
        full = OSError("the disk is full")
        wrong.append(full)
        buffer = bytearray(b"x" * 32)
        error = self.refused(Status.AUDIT_FAILED, client.generate_data_key, cmk, plaintext=buffer)
        self.assertIs(error.__cause__, full)
        self.assertEqual(buffer, bytes(32))
        self.assertIsInstance(error, kmsbox.KeystoreError)
        # Nothing of it is left for the next one, which fails for another reason.
        error = self.refused(Status.ALIAS_NOT_FOUND, client.generate_data_key, "alias/none")
        self.assertIsNone(error.__cause__)
        count = len(list(client.iter_keys()))
        wrong.append(full)
        self.refused(Status.AUDIT_FAILED, client.create_key)
        self.assertEqual(len(list(client.iter_keys())), count)
        wrong.append(KeyboardInterrupt())
        self.assertRaises(KeyboardInterrupt, client.generate_data_key, cmk)
        client.generate_data_key(cmk).wipe()

    def test_it_must_not_call_the_library(self) -> None:
        calls: list[Any] = []
        other, other_cmk = self.with_cmk()

        def audit(_line: str) -> None:
            for call in calls:
                call()

        client, cmk = self.with_cmk(audit=audit)
        for call in (
            lambda: client.describe(),
            lambda: other.generate_data_key(other_cmk),
            lambda: Secret(32),
            lambda: kmsbox.Client(keystore="memory:", root_key=ROOT_KEY, create=True),
            lambda: kmsbox.encryption_context(CONTEXT),
            other.close,
        ):
            calls.append(call)
            error = self.refused(Status.AUDIT_FAILED, client.generate_data_key, cmk)
            self.assertStatus(Status.INVALID_ARGUMENT, error.__cause__)
            calls.clear()
        other.generate_data_key(other_cmk).wipe()

    def test_what_python_frees_meanwhile_is_freed_later(self) -> None:
        forgotten: list[Any] = []
        put_off: list[int] = []

        def audit(_line: str) -> None:
            forgotten.clear()
            put_off.append(len(_audit._thread.put_off))

        client, cmk = self.with_cmk(audit=audit)
        forgotten.append(Secret(32))
        forgotten.append(kmsbox.Client(keystore="memory:", root_key=ROOT_KEY, create=True))
        client.generate_data_key(cmk).wipe()
        self.assertEqual(forgotten, [])
        self.assertEqual(put_off[-1], 2)
        self.assertEqual(_audit._thread.put_off, [])

    def test_a_call_leaves_nothing_behind_however_its_callback_ended(self) -> None:
        client, cmk = self.with_cmk(audit=lambda line: None)

        def interrupted() -> int:
            # As a signal handler leaves it that raises at the very end of a callback.
            _audit._thread.inside = True
            return 0

        self.addCleanup(setattr, _audit._thread, "inside", False)
        _audit.run(interrupted)
        client.generate_data_key(cmk).wipe()

    def test_from_many_threads(self) -> None:
        lines: list[str] = []
        client, cmk = self.with_cmk(audit=lines.append)
        lines.clear()

        def work() -> None:
            for _ in range(50):
                client.generate_data_key(cmk, CONTEXT).wipe()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
        self.assertEqual(len({json.loads(line)["request_id"] for line in lines}), 400)

    def test_the_end_of_the_interpreter_waits_for_callbacks(self) -> None:
        program = """if True:
            import atexit, threading, kmsbox

            @atexit.register
            def last():
                client.generate_data_key(cmk).wipe()
                print("done")

            client = kmsbox.Client(
                keystore="memory:", root_key=bytes(32), create=True, audit=lambda line: None
            )
            cmk = client.create_key().key_id
            started = threading.Semaphore(0)

            def work():
                while True:
                    client.generate_data_key(cmk).wipe()
                    started.release()

            for _ in range(4):
                threading.Thread(target=work, daemon=True).start()
            for _ in range(400):
                started.acquire()
            """
        for _ in range(4):
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=False
            )
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "done\n", ""))

    def test_a_fork_waits_before_modules_take_their_locks(self) -> None:
        # As logging does, where it is imported later than this package.
        program = """if True:
            import kmsbox, kmsbox._audit, os, threading

            lock = threading.Lock()
            os.register_at_fork(
                before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
            )
            inside = threading.Event()
            forking = kmsbox._audit._gate._forking

            def audit(line):
                if inside.armed:
                    inside.set()
                    while not forking and not lock.locked():
                        pass
                    with lock:
                        pass

            inside.armed = False
            client = kmsbox.Client(
                keystore="memory:", root_key=bytes(32), create=True, audit=audit
            )
            cmk = client.create_key().key_id
            inside.armed = True
            caller = threading.Thread(target=client.generate_data_key, args=(cmk,))
            caller.start()
            inside.wait()
            inside.armed = False
            child = os.fork()
            if child == 0:
                client.generate_data_key(cmk).wipe()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            caller.join()
            print("done")
            """
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "done\n", ""))

    def test_a_fork_waits_for_callbacks(self) -> None:
        # The library waits for calls that write before a fork, and Python forks with its lock held,
        # which a callback needs: without more care neither would go on.
        inside, go_on = threading.Event(), threading.Event()
        holding = False

        def audit(_line: str) -> None:
            if holding:
                inside.set()
                go_on.wait()

        client, cmk = self.with_cmk(audit=audit)
        holding = True
        caller = threading.Thread(target=client.create_key)
        caller.start()
        inside.wait()
        holding = False

        def let_go() -> None:
            while not _audit._gate._forking:
                pass
            go_on.set()

        helper = threading.Thread(target=let_go)
        helper.start()

        def in_child() -> None:
            client.generate_data_key(cmk).wipe()
            client.create_key()
            client.close()

        child = fork(in_child)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        caller.join()
        helper.join()
        self.assertEqual(len(list(client.iter_keys())), 2)


if __name__ == "__main__":
    unittest.main()
