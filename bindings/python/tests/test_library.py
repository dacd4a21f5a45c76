"""Which library is loaded, and what is said where none can be."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from support import TestCase

from kmsbox import _library

PACKAGE = Path(_library.__file__).parent
LIBRARY = os.environ[_library.VARIABLE]


def fake(**instead: Any) -> Any:
    """A library that says what it is told to."""
    functions: dict[str, Any] = {}
    for name in _library.FUNCTIONS:
        # Each a new object, since the declaration is written on it.
        functions[name] = mock.Mock()
    functions["kms_version"].return_value = b"0.1.0"
    functions["kms_ciphertext_blob_len"].return_value = 6254
    for name, value in instead.items():
        functions[name].return_value = value
    return SimpleNamespace(**functions)


class Finding(TestCase):
    def imported(self, package: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Imports a copy of the package in another process, with this environment."""
        program = (
            "import kmsbox, kmsbox._library as l; print(l.lib._name, kmsbox.library_version())"
        )
        names = ("PATH", "HOME", "LD_LIBRARY_PATH")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        return subprocess.run(
            [sys.executable, "-c", program],
            env={**kept, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def copy(self) -> Path:
        """A copy of the package alone."""
        place = self.scratch()
        (place / "kmsbox").mkdir()
        for file in PACKAGE.glob("*.py"):
            (place / "kmsbox" / file.name).write_bytes(file.read_bytes())
        return place

    def test_the_one_that_is_named(self) -> None:
        done = self.imported(PACKAGE.parent, KMSBOX_LIBRARY=LIBRARY)
        self.assertEqual(done.stdout.split()[0], LIBRARY, done.stderr)

    def test_the_one_beside_the_package(self) -> None:
        place = self.copy()
        carried = place / "kmsbox" / _library.SONAME
        carried.symlink_to(LIBRARY)
        done = self.imported(place)
        self.assertEqual(done.stdout.split()[0], str(carried), done.stderr)
        # The one that is named goes before it, even if it cannot be loaded.
        done = self.imported(place, KMSBOX_LIBRARY="/nowhere/libkmsbox.so")
        self.assertIn("$KMSBOX_LIBRARY, /nowhere/libkmsbox.so: ", done.stderr)
        self.assertIn("ImportError", done.stderr)
        self.assertNotIn(str(carried), done.stderr.splitlines()[-1])

    def test_the_systems(self) -> None:
        place = self.copy()
        directory = self.scratch()
        (directory / _library.SONAME).symlink_to(LIBRARY)
        done = self.imported(place, LD_LIBRARY_PATH=str(directory))
        self.assertEqual(done.stdout.split()[0], _library.SONAME, done.stderr)
        # One beside the package that cannot be loaded does not stand in its way.
        (place / "kmsbox" / _library.SONAME).write_bytes(b"no library")
        done = self.imported(place, LD_LIBRARY_PATH=str(directory))
        self.assertEqual(done.stdout.split()[0], _library.SONAME, done.stderr)

    def test_all_that_was_tried_is_named(self) -> None:
        place = self.copy()
        carried = place / "kmsbox" / _library.SONAME
        carried.write_bytes(b"no library")
        # One that cannot be loaded stands before the system's, if it has one.
        done = self.imported(place, LD_LIBRARY_PATH=str(carried.parent))
        last = done.stderr.splitlines()[-1]
        for part in (
            f"beside the package, {carried}: ",
            "the system's, libkmsbox.so.0: ",
            "KMSBOX_LIBRARY",
        ):
            self.assertIn(part, last)

    def test_another_library(self) -> None:
        done = self.imported(PACKAGE.parent, KMSBOX_LIBRARY="libc.so.6")
        self.assertIn("it has no function kms_options_new", done.stderr.splitlines()[-1])

    def test_versions(self) -> None:
        for version in (b"0.1.0", b"0.1.7", b"0.12.0", b"0.2.0-rc.1", b"0.2.0+debian"):
            library = fake(kms_version=version)
            self.assertIs(_library.checked(library), library)
        for version in (b"0.0.9", b"1.0.0", b"", b"0.1", b"x.y.z", b"-1.0.0"):
            with self.assertRaisesRegex(ImportError, "its version is"):
                _library.checked(fake(kms_version=version))
        with self.assertRaisesRegex(ImportError, "length"):
            _library.checked(fake(kms_ciphertext_blob_len=6255))

    def test_not_empty_text(self) -> None:
        with mock.patch.dict(os.environ, {_library.VARIABLE: ""}):
            self.assertNotIn("", [name for _, name in _library.candidates()])


if __name__ == "__main__":
    unittest.main()
