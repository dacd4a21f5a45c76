"""Data keys and blobs, one at a time and many at once, and where their plaintext lies."""

from __future__ import annotations

import array
import copy
import mmap
import pickle
import unittest
from typing import Any

from support import CONTEXT, TestCase, address, memory

import kmsbox
from kmsbox import ANY_KEY, Secret, Status


class WithCmk(TestCase):
    """A test with a client and a CMK."""

    def setUp(self) -> None:
        self.kms, self.cmk = self.with_cmk()

    def decrypt(self, blob: Any, context: Any = None, **given: Any) -> Any:
        """Opens a blob that is under the CMK."""
        return self.kms.decrypt(blob, context, expected_key_id=self.cmk, **given)


class DataKeys(WithCmk):
    def test_a_data_key_comes_back_from_its_blob(self) -> None:
        with self.kms.generate_data_key("alias/orders", CONTEXT) as key:
            self.assertEqual(
                (key.key_id, len(key.plaintext), key.plaintext_len), (self.cmk, 32, 32)
            )
            self.assertIsInstance(key.ciphertext_blob, bytes)
            with self.kms.decrypt(key.ciphertext_blob, CONTEXT, expected_key_id=self.cmk) as again:
                self.assertEqual(again.plaintext, key.plaintext)
                self.assertEqual(again.key_version_id, key.key_version_id)
                self.assertNotEqual(again.request_id, key.request_id)
                self.assertNotEqual(bytes(again.plaintext.view), bytes(32))
            other = {"table": "people"}
            error = self.refused(
                Status.CIPHERTEXT_INVALID, self.decrypt, key.ciphertext_blob, other
            )
            self.assertIsInstance(error, kmsbox.BlobError)
        self.assertTrue(key.plaintext.wiped)

    def test_lengths(self) -> None:
        for length, given in (
            (16, {"key_spec": kmsbox.KeySpec.AES_128}),
            (16, {"key_spec": "AES_128"}),
            (32, {"key_spec": "AES_256"}),
            (32, {"key_spec": 0}),
            (1, {"number_of_bytes": 1}),
            (1024, {"number_of_bytes": 1024, "key_spec": "AES_128"}),
        ):
            with self.kms.generate_data_key(self.cmk, **given) as key:
                self.assertEqual((len(key.plaintext), key.plaintext_len), (length, length))
                self.assertEqual(len(key.ciphertext_blob), length + 110)
                with self.decrypt(key.ciphertext_blob) as again:
                    self.assertEqual(again.plaintext, key.plaintext)
        for given in (
            {"number_of_bytes": 1025},
            {"number_of_bytes": 0},
            {"number_of_bytes": -1},
            {"number_of_bytes": 2**32 + 1},
            {"key_spec": "AES_512"},
            {"key_spec": "DEFAULT"},
            {"key_spec": 3},
            {"key_spec": 2**32},
        ):
            self.refused(Status.INVALID_PARAMETER, self.kms.generate_data_key, self.cmk, **given)
        self.assertRaises(TypeError, self.kms.generate_data_key, self.cmk, number_of_bytes=1.5)

    def test_without_plaintext(self) -> None:
        made = self.kms.generate_data_key_without_plaintext(self.cmk, CONTEXT, number_of_bytes=20)
        with self.decrypt(made.ciphertext_blob, CONTEXT) as opened:
            self.assertEqual(len(opened.plaintext), 20)

    def test_rewrapping(self) -> None:
        with self.kms.generate_data_key(self.cmk, CONTEXT) as key:
            version = self.kms.create_key_version(self.cmk).key_version_id
            other = {"table": "people"}
            moved = self.kms.re_encrypt(
                key.ciphertext_blob,
                "alias/orders",
                source_encryption_context=CONTEXT,
                destination_encryption_context=other,
                expected_key_id=self.cmk,
            )
            self.assertEqual(moved.key_version_id, version)
            self.assertNotEqual(moved.key_version_id, key.key_version_id)
            with self.decrypt(moved.ciphertext_blob, other) as again:
                self.assertEqual(again.plaintext, key.plaintext)
        # Both contexts are to be given: a blob that is bound to none is never made by oversight.
        with self.assertRaisesRegex(TypeError, "'source_enc.*' and 'destination_enc"):
            self.kms.re_encrypt(  # type: ignore[call-arg]
                moved.ciphertext_blob, self.cmk, expected_key_id=self.cmk
            )

    def test_the_states_of_a_cmk(self) -> None:
        blob = self.kms.encrypt(self.cmk, b"key").ciphertext_blob
        self.kms.disable_key(self.cmk)
        error = self.refused(Status.DISABLED, self.decrypt, blob)
        self.assertIsInstance(error, kmsbox.DisabledError)
        self.assertIsInstance(error, kmsbox.WrongStateError)
        self.kms.schedule_key_deletion(self.cmk, 7)
        error = self.refused(Status.PENDING_DELETION, self.decrypt, blob)
        self.assertIsInstance(error, kmsbox.WrongStateError)

    def test_many_at_once(self) -> None:
        with self.kms.generate_data_keys(self.cmk, 100, CONTEXT, key_spec="AES_128") as keys:
            self.assertEqual((len(keys), keys.key_length, keys.plaintext_len), (100, 16, 1600))
            seen = set()
            for plaintext, blob in keys:
                with self.decrypt(blob, CONTEXT) as opened:
                    self.assertEqual(opened.plaintext, plaintext)
                    seen.add(bytes(plaintext))
            self.assertEqual(len(seen), 100)
            self.assertEqual(keys.plaintexts[-1], keys.plaintexts[99])
            self.assertEqual(len(keys.ciphertext_blobs[10:20]), 10)
            self.assertRaises(IndexError, lambda: keys.plaintexts[100])
            where = address(keys.plaintext.view)
            held = keys.plaintext.view
        self.assertEqual(memory(where, 1600), bytes(1600))
        held.release()
        made = self.kms.generate_data_keys_without_plaintext(self.cmk, 3)
        self.assertEqual([len(blob) for blob in made.ciphertext_blobs], [142] * 3)
        for count in (0, -1, 2**20 + 1, 2**70):
            self.refused(Status.INVALID_PARAMETER, self.kms.generate_data_keys, self.cmk, count)
        room = bytearray(96)
        with self.kms.generate_data_keys(self.cmk, 3, plaintext=room) as three:
            self.assertIs(three.plaintext, room)
            self.assertEqual(bytes(three.plaintexts[2]), bytes(room[64:]))
        self.assertEqual(room, bytes(96))
        error = self.refused(
            Status.BUFFER_TOO_SMALL, self.kms.generate_data_keys, self.cmk, 4, plaintext=room
        )
        self.assertEqual(error.needed["plaintext"], 128)

    def test_many_rewrapped(self) -> None:
        blobs: list[Any] = list(self.kms.generate_data_keys(self.cmk, 5, CONTEXT).ciphertext_blobs)
        blobs[1] = b"no blob"
        blobs[3] = bytearray(blobs[3])
        blobs[3][100] ^= 1
        given: Any = {
            "source_encryption_context": CONTEXT,
            "destination_encryption_context": CONTEXT,
            "expected_key_id": self.cmk,
        }
        done = self.kms.re_encrypt_many((blob for blob in blobs), self.cmk, **given)
        ok = Status.OK
        expected = [ok, Status.NOT_A_BLOB, ok, Status.CIPHERTEXT_INVALID, ok]
        self.assertEqual(done.statuses, expected)
        for old, new in zip(blobs, done.ciphertext_blobs):
            if new is not None:
                with self.decrypt(old, CONTEXT) as one, self.decrypt(new, CONTEXT) as two:
                    self.assertEqual(one.plaintext, two.plaintext)
        self.assertEqual(
            [new is None for new in done.ciphertext_blobs], [one != ok for one in expected]
        )
        self.refused(Status.INVALID_PARAMETER, self.kms.re_encrypt_many, [], self.cmk, **given)
        self.assertRaises(TypeError, self.kms.re_encrypt_many, blobs[0], self.cmk, **given)
        held = Secret(len(blobs[0]))
        held.view[:] = blobs[0]
        done = self.kms.re_encrypt_many([blobs[0], held], self.cmk, **given)
        self.assertEqual(done.statuses, [ok, ok])
        blobs[1] = "text"
        with self.assertRaisesRegex(TypeError, r"ciphertext_blobs\[1\] must be bytes-like"):
            self.kms.re_encrypt_many(blobs, self.cmk, **given)

    def test_contexts(self) -> None:
        blob = self.kms.encrypt(
            self.cmk, b"key", {"ü": 'a"\n', "": "\x7f\U0001f511"}
        ).ciphertext_blob
        same = '{"":"\x7f\U0001f511", "\\u00fc":"a\\"\\n"}'
        self.decrypt(blob, same).wipe()
        self.decrypt(blob, kmsbox.encryption_context({"": "\x7f\U0001f511", "ü": 'a"\n'})).wipe()
        none = self.kms.encrypt(self.cmk, b"key").ciphertext_blob
        empty: Any
        for empty in ({}, "{}", "", None):
            self.decrypt(none, empty).wipe()
        # The longest there can be: 8192 characters that take most room in JSON.
        self.kms.encrypt(self.cmk, b"key", {"a": "\U0001f511" * (8192 - 8)})
        wrong: Any
        for wrong in (
            {"a": "b\0"},
            {"a\0": "b"},
            {"a": "\ud800"},
            {"a": "b" * 8192},
            "[]",
            '{"a":1}',
            '{"a":"b","a":"c"}',
            '{"a":"b"}\0',
        ):
            self.refused(Status.INVALID_PARAMETER, self.kms.encrypt, self.cmk, b"key", wrong)
        for wrong in ({"a": 1}, {1: "a"}, {"a": None}, [("a", "b")], 1, b"{}"):
            self.assertRaises(TypeError, self.kms.encrypt, self.cmk, b"key", wrong)
        for wrong in ({"a": 1}, {1: "a"}, {"a": None}, [("a", "b")], "{}", None):
            with self.assertRaisesRegex(TypeError, "encryption_context must"):
                kmsbox.encryption_context(wrong)
        for wrong in ({"a": "b\0"}, {"a": "\ud800"}, {"a": "b" * 8192}):
            error = self.refused(Status.INVALID_PARAMETER, kmsbox.encryption_context, wrong)
            self.assertIn("encryption_context", error.message)

    def test_texts_are_never_cut_off_at_a_nul(self) -> None:
        for text in (f"{self.cmk}\0", "\0", "alias/orders\0x", "\ud800"):
            error = self.refused(Status.INVALID_PARAMETER, self.kms.generate_data_key, text)
            self.assertIn("key_id", error.message)
            self.assertEqual(error.request_id, "")
            blob = self.kms.encrypt(self.cmk, b"key").ciphertext_blob
            error = self.refused(
                Status.INVALID_PARAMETER, self.kms.decrypt, blob, expected_key_id=text
            )
            self.assertIn("expected_key_id", error.message)
        for wrong in (b"alias/orders", 1, ["alias/orders"]):
            self.assertRaises(TypeError, self.kms.generate_data_key, wrong)
        for missing in ("", None):
            missed: Any = missing
            self.refused(Status.MISSING_PARAMETER, self.kms.generate_data_key, missed)


class ExpectedCmk(WithCmk):
    """Which CMK a blob must be under has to be said, to every function that opens blobs."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.kms.create_key().key_id
        self.blob = self.kms.encrypt(self.cmk, b"key").ciphertext_blob
        moving: Any = {"source_encryption_context": None, "destination_encryption_context": None}

        def decrypt(**given: Any) -> bytes:
            return self.opened(self.blob, **given)

        def re_encrypt(**given: Any) -> bytes:
            moved = self.kms.re_encrypt(self.blob, self.other, **moving, **given)
            return self.opened(moved.ciphertext_blob, expected_key_id=self.other)

        def re_encrypt_many(**given: Any) -> bytes:
            done = self.kms.re_encrypt_many([self.blob], self.other, **moving, **given)
            self.assertEqual(done.statuses, [Status.OK])
            return self.opened(done.ciphertext_blobs[0], expected_key_id=self.other)

        #: Each gives the plaintext that came through.
        self.functions = (decrypt, re_encrypt, re_encrypt_many)

    def opened(self, blob: Any, **given: Any) -> bytes:
        with self.kms.decrypt(blob, **given) as answer:
            return bytes(answer.plaintext.view)

    def test_its_id_or_its_alias(self) -> None:
        for function in self.functions:
            for name in (self.cmk, "alias/orders"):
                self.assertEqual(function(expected_key_id=name), b"key")

    def test_another_one_is_refused(self) -> None:
        decrypt, re_encrypt, _ = self.functions
        for function in (decrypt, re_encrypt):
            error = self.refused(Status.KEY_MISMATCH, function, expected_key_id=self.other)
            self.assertIsInstance(error, kmsbox.KeyMismatchError)
        under_other = self.kms.encrypt(self.other, b"key").ciphertext_blob
        done = self.kms.re_encrypt_many(
            [self.blob, under_other],
            self.cmk,
            source_encryption_context=None,
            destination_encryption_context=None,
            expected_key_id=self.other,
        )
        self.assertEqual(done.statuses, [Status.KEY_MISMATCH, Status.OK])
        self.assertIsNone(done.ciphertext_blobs[0])

    def test_any(self) -> None:
        for function in self.functions:
            self.assertEqual(function(expected_key_id=ANY_KEY), b"key")

    def test_it_is_not_left_out(self) -> None:
        for function in self.functions:
            with self.assertRaisesRegex(TypeError, "missing .* argument: 'expected_key_id'"):
                function()

    def test_none_and_no_text_are_not_any(self) -> None:
        for function in self.functions:
            with self.assertRaisesRegex(TypeError, "expected_key_id .*not None; write kmsbox.ANY"):
                function(expected_key_id=None)
            self.refused(Status.MISSING_PARAMETER, function, expected_key_id="")
            for wrong in (b"", self.cmk.encode(), 0, False, kmsbox.AnyKey):
                with self.assertRaisesRegex(TypeError, "expected_key_id must be str or kmsbox.ANY"):
                    function(expected_key_id=wrong)

    def test_any_is_one_and_says_what_it_is(self) -> None:
        pickled = pickle.dumps(ANY_KEY)
        for same in (copy.copy(ANY_KEY), copy.deepcopy(ANY_KEY), pickle.loads(pickled)):
            self.assertIs(same, ANY_KEY)
        self.assertEqual(list(kmsbox.AnyKey), [ANY_KEY])
        self.assertEqual((repr(ANY_KEY), f"{ANY_KEY}"), ("kmsbox.ANY_KEY", "kmsbox.ANY_KEY"))


class Buffers(WithCmk):
    def test_any_bytes_go_in(self) -> None:
        secret = Secret(4)
        secret.view[:] = b"\1\2\3\4"
        mapped = mmap.mmap(-1, 4)
        mapped[:] = b"\1\2\3\4"
        for plaintext in (
            b"\1\2\3\4",
            bytearray(b"\1\2\3\4"),
            memoryview(b"\1\2\3\4"),
            memoryview(bytearray(b"\0\1\2\3\4\5"))[1:5],
            memoryview(b"\0\1\2\3\4\5")[1:5],
            array.array("H", b"\1\2\3\4"),
            memoryview(b"\1\2\3\4").cast("B", (2, 2)),
            secret,
            mapped,
        ):
            blob = self.kms.encrypt(self.cmk, plaintext).ciphertext_blob
            for given in (blob, bytearray(blob), memoryview(blob)):
                with self.decrypt(given) as opened:
                    self.assertEqual(opened.plaintext, b"\1\2\3\4")
        for wrong in ("text", 4, None, [1, 2]):
            self.assertRaises(TypeError, self.kms.encrypt, self.cmk, wrong)
            self.assertRaises(TypeError, self.decrypt, wrong)
        error = self.refused(
            Status.INVALID_ARGUMENT, self.kms.encrypt, self.cmk, memoryview(b"\1\2\3\4")[::2]
        )
        self.assertIn("plaintext must be contiguous", error.message)
        self.assertIsInstance(error, ValueError)
        for length in (0, 6145):
            self.refused(Status.INVALID_PARAMETER, self.kms.encrypt, self.cmk, bytes(length))
            self.refused(
                Status.INVALID_PARAMETER, self.kms.encrypt, self.cmk, memoryview(bytes(length))
            )
        for length in (0, 1, 110, 111, 6255, 100000):
            self.refused(Status.NOT_A_BLOB, self.decrypt, bytes(length))

    def test_no_more_is_read_than_there_is(self) -> None:
        class Long(bytes):
            def __len__(self) -> int:
                return 4000

        with self.decrypt(self.kms.encrypt(self.cmk, Long(b"key")).ciphertext_blob) as opened:
            self.assertEqual(opened.plaintext, b"key")

    def test_the_callers_buffer_is_filled_in_place(self) -> None:
        for make in (bytearray, lambda length: memoryview(bytearray(length)), Secret):
            buffer, larger = make(32), make(40)
            with self.kms.generate_data_key(self.cmk, plaintext=buffer) as key:
                self.assertIs(key.plaintext, buffer)
                found = self.decrypt(key.ciphertext_blob, plaintext=larger)
                self.assertEqual(found.plaintext_len, 32)
                self.assertEqual(self.bytes(larger)[:32], self.bytes(buffer))
                self.assertNotEqual(self.bytes(buffer), bytes(32))
                found.wipe()
            if not isinstance(buffer, Secret):
                self.assertEqual(self.bytes(buffer), bytes(32))
                self.assertEqual(self.bytes(larger), bytes(40))

    def bytes(self, buffer: Any) -> bytes:
        return bytes(buffer.view if isinstance(buffer, Secret) else buffer)

    def test_what_is_beyond_the_key_is_left_alone(self) -> None:
        buffer = bytearray(b"x" * 40)
        key = self.kms.generate_data_key(self.cmk, plaintext=buffer)
        self.assertEqual(buffer[32:], b"x" * 8)
        key.wipe()
        self.assertEqual(buffer, bytes(32) + b"x" * 8)

    def test_too_small_says_what_is_needed_and_makes_nothing(self) -> None:
        for length in (0, 1, 31):
            buffer, blob = bytearray(length), bytearray(10)
            try:
                self.kms.generate_data_key(self.cmk, plaintext=buffer, ciphertext_blob=blob)
                self.fail("there was no room")
            except kmsbox.BufferTooSmallError as error:
                self.assertEqual(error.needed, {"plaintext": 32, "ciphertext_blob": 142})
                # They are no longer held, although the error and all its frames are at hand.
                buffer.extend(bytes(error.needed["plaintext"] - length))
                blob.extend(bytes(132))
            key = self.kms.generate_data_key(self.cmk, plaintext=buffer, ciphertext_blob=blob)
            self.assertEqual(blob, key.ciphertext_blob)
            short = bytearray(length)
            refused = self.refused(
                Status.BUFFER_TOO_SMALL, self.decrypt, key.ciphertext_blob, plaintext=short
            )
            self.assertEqual(refused.needed, {"plaintext": 32})
            self.assertEqual(short, bytes(length))

    def test_blobs_into_buffers(self) -> None:
        room = bytearray(150)
        made = self.kms.encrypt(self.cmk, b"key", ciphertext_blob=room)
        self.assertEqual(room[:113], made.ciphertext_blob)
        moved = self.kms.re_encrypt(
            made.ciphertext_blob,
            self.cmk,
            source_encryption_context=None,
            destination_encryption_context=None,
            expected_key_id=self.cmk,
            rewrapped=room,
        )
        self.assertEqual(room[:113], moved.ciphertext_blob)
        made = self.kms.generate_data_key_without_plaintext(self.cmk, ciphertext_blob=room)
        self.assertEqual(room[:142], made.ciphertext_blob)

        class Array(bytearray):
            """An object with bytes and a method of this name, as numpy's arrays are."""

            def view(self) -> None:
                pass

        array_of_bytes = Array(142)
        made = self.kms.generate_data_key_without_plaintext(
            self.cmk, ciphertext_blob=array_of_bytes
        )
        self.assertEqual(array_of_bytes, made.ciphertext_blob)
        error = self.refused(
            Status.BUFFER_TOO_SMALL,
            self.kms.encrypt,
            self.cmk,
            b"key",
            ciphertext_blob=bytearray(112),
        )
        self.assertEqual(error.needed, {"ciphertext_blob": 113})

    def test_buffers_that_cannot_be_written(self) -> None:
        for wrong in (bytes(32), memoryview(bytes(32)), memoryview(bytearray(64))[::2]):
            unusable: Any = wrong
            error = self.refused(
                Status.INVALID_ARGUMENT, self.kms.generate_data_key, self.cmk, plaintext=unusable
            )
            self.assertIn("plaintext", error.message)
        unusable = "x" * 32
        self.assertRaises(TypeError, self.kms.generate_data_key, self.cmk, plaintext=unusable)
        same = bytearray(200)
        self.refused(
            Status.INVALID_ARGUMENT,
            self.kms.generate_data_key,
            self.cmk,
            plaintext=same,
            ciphertext_blob=same,
        )

    def test_a_refusal_leaves_no_plaintext(self) -> None:
        blob = bytearray(self.kms.encrypt(self.cmk, b"k" * 32).ciphertext_blob)
        blob[-1] ^= 1
        buffer = bytearray(b"x" * 32)
        self.refused(Status.CIPHERTEXT_INVALID, self.decrypt, blob, plaintext=buffer)
        self.assertEqual(buffer, bytes(32))

    def test_a_buffer_cannot_be_resized_during_a_call(self) -> None:
        held: list[bytearray] = []
        refused: list[bytearray] = []

        def audit(_line: str) -> None:
            for buffer in held:
                try:
                    buffer.extend(b"more")
                except BufferError:
                    refused.append(buffer)

        client, cmk = self.with_cmk(audit=audit)
        plaintext, blob, own = bytearray(32), bytearray(142), bytearray(b"p" * 32)
        held = [plaintext, blob]
        with client.generate_data_key(cmk, plaintext=plaintext, ciphertext_blob=blob):
            self.assertEqual([id(one) for one in refused], [id(plaintext), id(blob)])
        held = [own]
        client.encrypt(cmk, own)
        self.assertIs(refused[2], own)
        for buffer in (plaintext, blob, own):
            buffer.extend(b"free again")

    def test_answers_show_no_plaintext_and_are_not_copied(self) -> None:
        buffer = bytearray(32)
        for key in (
            self.kms.generate_data_key(self.cmk),
            self.kms.generate_data_key(self.cmk, plaintext=buffer),
            self.kms.generate_data_keys(self.cmk, 1),
            self.decrypt(self.kms.encrypt(self.cmk, b"k" * 32).ciphertext_blob),
        ):
            plain: Any = key.plaintext
            secret = bytes(getattr(plain, "view", plain))
            for text in (repr(key), str(key)):
                self.assertNotIn(secret.hex(), text)
                self.assertNotIn(repr(secret)[2:-1], text)
                self.assertIn(self.cmk, text)
            for function in (copy.copy, copy.deepcopy, pickle.dumps):
                self.assertRaises(TypeError, function, key)


if __name__ == "__main__":
    unittest.main()
