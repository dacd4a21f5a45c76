"""Opening, closing and describing a client."""

from __future__ import annotations

import base64
import copy
import gc
import os
import pickle
import signal
import sys
import threading
import unittest
import weakref
from typing import Any

from support import CONTEXT, ROOT_KEY, TestCase

import kmsbox
from kmsbox import Client, Status, _handle, _secret


class Opening(TestCase):
    def test_a_keystore_on_disk_is_made_once_and_found_again(self) -> None:
        place = self.scratch() / "keystore"
        self.refused(Status.KEYSTORE_NOT_FOUND, Client, keystore=place, root_key=ROOT_KEY)
        client = self.client(keystore=place)
        cmk = client.create_key().key_id
        again = self.client(keystore=str(place), create=False)
        self.assertEqual(again.describe_key(cmk).key_id, cmk)

    def test_root_keys_as_bytes_are_read_and_not_kept(self) -> None:
        for root_key in (
            bytearray(ROOT_KEY),
            memoryview(ROOT_KEY),
            memoryview(bytearray(ROOT_KEY)),
        ):
            self.client(root_key=root_key)
        secret = kmsbox.Secret(32)
        self.client(root_key=secret)
        given = bytearray(ROOT_KEY)
        self.client(root_key=given)
        given.extend(b"no longer held")
        for wrong in (b"", bytes(31), bytes(33)):
            error = self.refused(Status.INVALID_ARGUMENT, self.client, root_key=wrong)
            self.assertIn("32 bytes", error.message)

    def test_root_keys_from_a_file(self) -> None:
        directory = self.scratch()
        file = directory / "root.key"
        file.touch(mode=0o600)
        file.write_bytes(ROOT_KEY[::-1][:31] + b"\0")
        self.client(keystore=directory / "keystore", root_key=f"file:{file}")
        error = self.refused(Status.ROOT_KEY, self.client, keystore=directory / "keystore")
        self.assertIsInstance(error, kmsbox.RootKeyError)
        self.assertIsInstance(error, kmsbox.KeystoreError)

    def test_what_is_missing_is_named(self) -> None:
        error = self.refused(Status.MISSING_PARAMETER, Client, root_key=ROOT_KEY)
        self.assertIn("keystore", error.message)
        self.refused(Status.MISSING_PARAMETER, Client, keystore="memory:", create=True)

    def test_every_option_reaches_the_library(self) -> None:
        place = self.scratch() / "keystore"
        keystore_id = "1234abcd-12ab-34cd-56ef-1234567890ab"
        client = self.client(
            keystore=place,
            keystore_id=keystore_id,
            permissions=["CreateKey", "Decrypt"],
            refresh_interval_ms=0,
            lock_timeout_ms=60,
            locked_memory_max=16384,
            audit_log=self.scratch() / "log",
        )
        told = client.describe()
        self.assertEqual(told["KeystoreId"], keystore_id)
        self.assertEqual(told["Permissions"], ["CreateKey", "Decrypt"])
        self.assertEqual(told["RefreshIntervalMs"], 0)
        self.assertEqual(told["KeyMemory"]["Max"], 16384)
        self.assertIs(told["Audited"], True)
        self.assertIs(told["ReadOnly"], False)
        reader = self.client(keystore=place, create=None, read_only=True)
        self.assertIs(reader.describe()["ReadOnly"], True)
        more = self.client(options={"refresh_interval_ms": "7"})
        self.assertEqual(more.describe()["RefreshIntervalMs"], 7)

    def test_wrong_options_are_named(self) -> None:
        for name, value in (
            ("locked_memory_max", 1),
            ("refresh_interval_ms", -1),
            ("keystore_id", "x"),
            ("permissions", ["Fly"]),
            ("options", {"fly": "true"}),
            ("audit_log", "a\0b"),
            ("root_key", "file:a\0b"),
            ("keystore", "a\ud800"),
        ):
            error = self.refused(Status.INVALID_OPTION, self.client, **{name: value})
            self.assertIn("fly" if name == "options" else name, error.message)
        # No permission is not the same as all of them.
        self.refused(Status.MISSING_PARAMETER, self.client, permissions=[])
        for name in ("keystore", "create", "read_only", "audit_log"):
            self.assertRaises(TypeError, self.client, **{name: 1.5})
        self.assertRaises(TypeError, self.client, root_key=1)
        self.assertRaises(TypeError, self.client, audit="print")
        self.assertRaises(TypeError, self.client, fly=True)

    def test_permissions(self) -> None:
        place = self.scratch() / "keystore"
        _, cmk = self.with_cmk(keystore=place)
        client = self.client(keystore=place, permissions="GenerateDataKeyWithoutPlaintext")
        client.generate_data_key_without_plaintext(cmk, CONTEXT)
        error = self.refused(Status.NO_PERMISSION, client.generate_data_key, cmk, CONTEXT)
        self.assertIsInstance(error, kmsbox.NoPermissionError)


class Closing(TestCase):
    def test_a_closed_client_refuses_everything(self) -> None:
        client, cmk = self.with_cmk()
        with client as entered:
            self.assertIs(entered, client)
            self.assertFalse(client.closed)
        self.assertTrue(client.closed)
        client.close()
        for call in (
            client.describe,
            lambda: client.create_key(),
            lambda: client.generate_data_key(cmk),
            lambda: client.generate_data_keys(cmk, 2),
            lambda: client.decrypt(bytes(142), expected_key_id=cmk),
            lambda: client.call("ListKeys"),
            lambda: client.request("Action=ListKeys"),
            lambda: list(client.iter_keys()),
        ):
            error = self.refused(Status.INVALID_ARGUMENT, call)
            self.assertIsInstance(error, kmsbox.ClientClosedError)
        self.assertIn("closed", repr(client))

    def test_a_call_in_progress_is_waited_for(self) -> None:
        inside, go_on = threading.Event(), threading.Event()
        held = False

        def audit(_line: str) -> None:
            if held:
                inside.set()
                go_on.wait()

        client, cmk = self.with_cmk(audit=audit)
        held = True
        results: list[Any] = []
        caller = threading.Thread(target=lambda: results.append(client.generate_data_key(cmk)))
        closers = [threading.Thread(target=client.close) for _ in range(3)]
        caller.start()
        inside.wait()
        for closer in closers:
            closer.start()
        while not client.closed:
            pass
        self.refused(Status.INVALID_ARGUMENT, client.describe)
        self.assertTrue(all(closer.is_alive() for closer in closers))
        held = False
        go_on.set()
        for thread in (caller, *closers):
            thread.join()
        with results[0] as key:
            self.assertEqual(len(key.plaintext), 32)

    def test_threads_that_race_with_close_see_an_answer_or_the_error(self) -> None:
        for _ in range(20):
            client, cmk = self.with_cmk()
            started = threading.Barrier(5)
            others: list[BaseException] = []

            def work() -> None:
                started.wait()
                try:
                    while True:
                        client.generate_data_key(cmk, CONTEXT).wipe()
                except kmsbox.ClientClosedError:
                    pass
                except BaseException as error:
                    others.append(error)

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            started.wait()
            client.close()
            for thread in threads:
                thread.join()
            self.assertEqual(others, [])

    def test_not_by_a_thread_that_is_in_a_call(self) -> None:
        armed = False

        def audit(_line: str) -> None:
            if armed:
                client.close()

        client = self.client(audit=audit)
        armed = True
        error = self.refused(Status.AUDIT_FAILED, client.create_key)
        self.assertStatus(Status.INVALID_ARGUMENT, error.__cause__)
        armed = False
        client.create_key()

    def test_a_signal_handler_may_use_and_close_the_client(self) -> None:
        client, cmk = self.with_cmk()
        other, _ = self.with_cmk()
        seen: list[str] = []

        def handler(_number: int, _frame: Any) -> None:
            other.close()
            try:
                with client.generate_data_key(cmk) as key:
                    seen.append(key.key_id)
                client.close()
                seen.append("closed")
            except kmsbox.InvalidRequestError as error:
                # In the middle of a call: refused, not waited for.
                seen.append(error.message)

        before = signal.signal(signal.SIGALRM, handler)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        try:
            while len(seen) < 2:
                client.generate_data_key(cmk).wipe()
        except kmsbox.ClientClosedError:
            pass
        self.assertEqual(seen[0], cmk)
        self.assertTrue(other.closed)

    def test_a_client_that_is_forgotten_is_freed(self) -> None:
        client = Client(keystore="memory:", root_key=ROOT_KEY, create=True)
        handle = weakref.ref(client._handle)
        del client
        gc.collect()
        self.assertIsNone(handle())

    def test_a_client_that_never_opened_leaves_nothing_behind(self) -> None:
        unraisable: list[Any] = []
        before, sys.unraisablehook = sys.unraisablehook, unraisable.append
        try:
            for _ in range(3):
                self.refused(Status.MISSING_PARAMETER, Client, keystore="memory:", create=True)
            # As they are where a signal handler raises before they have anything.
            for kind in (Client, _handle.Handle, _secret._Memory):
                kind.__new__(kind)
            gc.collect()
        finally:
            sys.unraisablehook = before
        self.assertEqual(unraisable, [])

    def test_not_copied_and_not_pickled(self) -> None:
        client = self.client()
        for function in (copy.copy, copy.deepcopy, pickle.dumps):
            self.assertRaises(TypeError, function, client)

    def test_repr(self) -> None:
        client = self.client(keystore=self.scratch() / "keystore")
        self.assertIn("keystore", repr(client))
        self.assertNotIn("closed", repr(client))


class Requests(TestCase):
    def test_values_as_python_has_them(self) -> None:
        client = self.client()
        tags = {"team": "a&b=c", "ü": "%+ "}
        made = client.call("CreateKey", Description="50 % + & =", Tags=tags, Origin=None)
        cmk = made["KeyMetadata"]["KeyId"]
        self.assertEqual(client.describe_key(cmk).description, "50 % + & =")
        self.assertEqual(
            {tag.tag_key: tag.tag_value for tag in client.list_resource_tags(cmk)}, tags
        )
        client.call("UntagResource", KeyId=cmk, TagKeys=["team", "ü"])
        self.assertEqual(len(client.list_resource_tags(cmk)), 0)
        client.call(
            "UpdateRotationPolicy", KeyId=cmk, EnableAutomaticRotation=True, RotationInterval="7d"
        )
        self.assertEqual(client.describe_key(cmk).automatic_rotation, "Enabled")
        blob = client.encrypt(cmk, b"text", CONTEXT).ciphertext_blob
        answer = client.call("Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT)
        self.assertEqual(answer["KeyId"], cmk)
        error = self.refused(Status.DRY_RUN, client.call, "GenerateDataKey", KeyId=cmk, DryRun=True)
        self.assertIsInstance(error, kmsbox.DryRunError)

    def test_text_comes_back_as_text(self) -> None:
        client, cmk = self.with_cmk()
        answer = client.call("Encrypt", KeyId=cmk, Plaintext="grüße")
        blob = base64.b64decode(answer["CiphertextBlob"])
        with client.decrypt(blob, expected_key_id=cmk) as opened:
            self.assertIs(opened.content, kmsbox.Content.TEXT)
            self.assertEqual(str(opened.plaintext.view, "utf-8"), "grüße")
        blob = client.encrypt(cmk, b"\xff").ciphertext_blob
        with client.decrypt(blob, expected_key_id=cmk) as opened:
            self.assertIs(opened.content, kmsbox.Content.BYTES)

    def test_a_request_as_it_stands(self) -> None:
        client = self.client()
        self.assertIn("<TotalCount>0</TotalCount>", client.request("Action=ListKeys&Format=XML"))
        self.refused(Status.INVALID_PARAMETER, client.request, "Action=ListKeys\0&Fly=1")
        self.refused(Status.MISSING_PARAMETER, client.request, "")

    def test_what_no_request_can_hold(self) -> None:
        client, cmk = self.with_cmk()
        for name, value in (
            ("Description", b"x"),
            ("Description", 1.5),
            ("Tags", [1]),
            ("Filters", {"KeyState": "Enabled"}),
        ):
            self.assertRaises(TypeError, client.call, "CreateKey", **{name: value})
        self.assertRaises(TypeError, client.call, "ListKeys", Action="ListAliases")
        self.assertRaises(TypeError, client.call, "ListKeys", Format="XML")
        self.assertRaises(TypeError, client.call, 1)
        error = self.refused(Status.INVALID_PARAMETER, client.describe_key, "\ud800")
        self.assertIn("KeyId", error.message)
        self.refused(Status.INVALID_PARAMETER, client.describe_key, f"{cmk}\0")
        self.refused(Status.UNSUPPORTED_OPERATION, client.call, "GetSecretValue")

    def test_keystore_shown_is_not_a_secret(self) -> None:
        self.assertNotIn(os.fsdecode(ROOT_KEY), repr(self.client().__dict__))


if __name__ == "__main__":
    unittest.main()
