"""Exceptions: what they say, what catches them, and that they can be handed to another process."""

from __future__ import annotations

import gc
import pickle
import re
import traceback
import unittest
import weakref
from typing import Callable

from support import CONTEXT, TestCase

import kmsbox
from kmsbox import KmsError, Status, _errors


class Errors(TestCase):
    def test_what_they_say(self) -> None:
        client, cmk = self.with_cmk()
        client.disable_key(cmk)
        for function in (
            lambda: client.generate_data_key(cmk, CONTEXT),
            lambda: client.call("GenerateDataKey", KeyId=cmk),
        ):
            error = self.refused(Status.DISABLED, function)
            self.assertIs(error.status, Status.DISABLED)
            self.assertEqual(error.status_name, "KMS_ERR_DISABLED")
            self.assertEqual(error.code, "Rejected.Disabled")
            self.assertEqual(error.http_status, 409)
            self.assertIn("Disabled", error.message)
            self.assertRegex(error.request_id, r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
            self.assertEqual(str(error), f"KMS_ERR_DISABLED (Rejected.Disabled): {error.message}")

    def test_secrets_are_in_no_traceback_with_its_variables(self) -> None:
        client, _ = self.with_cmk()
        with kmsbox.Secret(33) as secret:
            secret.view[:] = b"a very secret key of 33 bytes...."
            for function in (
                lambda: client.encrypt("alias/none", secret),
                lambda: self.client(root_key=secret),
                lambda: client.generate_data_key("alias/none", plaintext=secret),
            ):
                shown = self.with_variables(function)
                self.assertIn("<Secret of 33 bytes>", shown)
                self.assertNotIn("very secret", shown)

    def with_variables(self, function: Callable[[], object]) -> str:
        """The traceback of what a function raises, as tools show it that report errors."""
        try:
            function()
        except KmsError as error:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            return "".join(told.format())
        self.fail("nothing was raised")

    def test_what_was_refused_is_let_go_at_once(self) -> None:
        client, _ = self.with_cmk()
        gc.collect()
        gc.disable()
        try:
            secret = kmsbox.Secret(32)
            held = weakref.ref(secret)
            try:
                client.encrypt("alias/none", secret)
            except KmsError:
                del secret
            # The error and its traceback are not in a circle that only the collector would find.
            self.assertIsNone(held())
        finally:
            gc.enable()

    def test_an_exception_that_is_being_handled_is_still_shown(self) -> None:
        client, _ = self.with_cmk()
        try:
            raise KeyError("first")
        except KeyError as first:
            error = self.refused(Status.ALIAS_NOT_FOUND, client.generate_data_key, "alias/none")
            self.assertIs(error.__context__, first)
            self.assertFalse(error.__suppress_context__)

    def test_every_status_is_caught_by_its_group(self) -> None:
        groups = {
            Status.INVALID_ARGUMENT: kmsbox.InvalidRequestError,
            Status.BUFFER_TOO_SMALL: kmsbox.InvalidRequestError,
            Status.KEY_NOT_FOUND: kmsbox.NotFoundError,
            Status.ALIAS_NOT_FOUND: kmsbox.NotFoundError,
            Status.DISABLED: kmsbox.DisabledError,
            Status.PENDING_IMPORT: kmsbox.WrongStateError,
            Status.ALIAS_EXISTS: kmsbox.RefusedError,
            Status.NO_PERMISSION: kmsbox.NoPermissionError,
            Status.DRY_RUN_DENIED: kmsbox.DryRunError,
            Status.NOT_A_BLOB: kmsbox.BlobError,
            Status.KEY_MISMATCH: kmsbox.KeyMismatchError,
            Status.KEYSTORE_IO: kmsbox.KeystoreError,
            Status.KEYSTORE_BUSY: kmsbox.KeystoreBusyError,
            Status.ROOT_KEY: kmsbox.RootKeyError,
            Status.ROOT_KEY_SOURCE: kmsbox.RootKeyError,
            Status.INTERNAL: kmsbox.SystemFailureError,
        }
        for status, kind in groups.items():
            self.assertIs(_errors.error_class(status), kind, status)
        for status in Status:
            if status:
                self.assertIsNot(_errors.error_class(status), KmsError, status)

    def test_statuses_of_a_later_library(self) -> None:
        for number, kind in (
            (199, kmsbox.InvalidRequestError),
            (205, kmsbox.NotFoundError),
            (219, kmsbox.WrongStateError),
            (255, kmsbox.RefusedError),
            (350, kmsbox.BlobError),
            (415, kmsbox.RootKeyError),
            (450, kmsbox.KeystoreError),
            (950, kmsbox.SystemFailureError),
            (500, KmsError),
            (-1, KmsError),
        ):
            error = _errors.failure(number)
            self.assertIs(type(error), kind)
            self.assertEqual((error.status, int(error.status)), (number, number))
            self.assertEqual(error.status_name, "KMS_ERR_UNKNOWN")
            self.assertEqual(error.code, "InternalFailure")
            self.assertTrue(error.message)
        self.assertIs(Status(210), Status.DISABLED)
        self.assertNotIn(950, [status.value for status in Status])
        self.assertEqual(Status(950).name, "UNKNOWN_950")

    def test_pickled_for_another_process(self) -> None:
        client, cmk = self.with_cmk()
        for error in (
            self.refused(Status.ALIAS_NOT_FOUND, client.generate_data_key, "alias/none"),
            self.refused(
                Status.BUFFER_TOO_SMALL, client.generate_data_key, cmk, plaintext=bytearray(1)
            ),
        ):
            again = pickle.loads(pickle.dumps(error))
            self.assertIs(type(again), type(error))
            self.assertEqual(vars(again), vars(error))
            self.assertEqual(str(again), str(error))

    def test_secrets_are_in_no_error(self) -> None:
        client, _ = self.with_cmk()
        secret = b"a very secret key of 32 bytes..."
        text = secret.decode()
        for function in (
            lambda: client.encrypt("alias/none", secret),
            lambda: client.encrypt("alias/none", memoryview(secret)[::2]),
            lambda: client.call("Encrypt", KeyId="alias/none", Plaintext=text),
            lambda: client.call("Encrypt", KeyId="alias/orders", Plaintext=text, Fly="1"),
            lambda: self.client(root_key=secret + b"x"),
            lambda: self.client(root_key=text),
        ):
            with self.assertRaises(KmsError) as caught:
                function()
            shown = f"{caught.exception} {caught.exception!r} {vars(caught.exception)}"
            self.assertIsNone(re.search(r"secret|very|32 bytes\.\.", shown), shown)


if __name__ == "__main__":
    unittest.main()
