"""The package says the same as kmsbox.h and docs/api.md, and its version is the header's."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
import unittest

from support import ROOT

import kmsbox
from kmsbox import Status, _actions, _errors, _library, _results

HEADER = (ROOT / "include" / "kmsbox.h").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")

#: ctypes for each type of a parameter, without const and the name of its struct.
TYPES = {
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "size_t": ctypes.c_size_t,
    "kms_status": ctypes.c_int32,
    "char *": ctypes.c_char_p,
    "uint8_t *": ctypes.c_void_p,
    "void *": ctypes.c_void_p,
    "size_t *": ctypes.POINTER(ctypes.c_size_t),
    "kms_status *": ctypes.POINTER(ctypes.c_int32),
    "kms_client *": ctypes.c_void_p,
    "kms_options *": ctypes.c_void_p,
    "kms_response *": ctypes.POINTER(_library.Response),
    "kms_audit_callback": _library.AuditCallback,
    "kms_client **": ctypes.POINTER(ctypes.c_void_p),
    "kms_options **": ctypes.POINTER(ctypes.c_void_p),
    "char **": ctypes.POINTER(ctypes.c_void_p),
    "void **": ctypes.POINTER(ctypes.c_void_p),
    "char *const *": ctypes.POINTER(ctypes.c_char_p),
}


class Header(unittest.TestCase):
    def test_every_function(self) -> None:
        code = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
        found = re.findall(r"^([a-z][^#;{}()]*?)\b(kms_\w+)\(([^;{}]*)\);", code, re.MULTILINE)
        declared = {}
        for result, name, parameters in found:
            result = result.replace("KMS_MUST_USE", "").replace("const ", "").strip()
            takes = [self.type(one) for one in parameters.split(",") if one.strip() != "void"]
            declared[name] = (None if result == "void" else TYPES[result], takes)
        # Written where the caller wants it, and not text that is read.
        declared["kms_encryption_context"][1][2] = ctypes.c_void_p
        declared["kms_document_free"][1][0] = ctypes.c_void_p
        self.assertEqual(declared, _library.FUNCTIONS)
        for name, (result, parameters) in _library.FUNCTIONS.items():
            function = getattr(_library.lib, name)
            self.assertEqual((function.restype, function.argtypes), (result, parameters), name)

    def type(self, parameter: str) -> object:
        words = re.sub(r"\b(struct|const)\b(?! \*)", "", " ".join(parameter.split()))
        kind = re.sub(r"\w+$", "", words).strip()
        return TYPES[re.sub(r" +", " ", kind)]

    def test_the_response(self) -> None:
        struct = re.search(
            r"typedef struct kms_response \{(.*?)\} kms_response;", HEADER, re.DOTALL
        )
        assert struct is not None
        code = re.sub(r"/\*.*?\*/", "", struct[1], flags=re.DOTALL)
        offset, fields = 0, {}
        for kind, name, length in re.findall(r"(char|int32_t) (\w+)(?:\[(\d+)\])?;", code):
            fields[name] = offset
            size = int(length) if kind == "char" else 4
            self.assertEqual(getattr(_library.Response, name).size, size, name)
            offset += size
        self.assertEqual(offset, ctypes.sizeof(_library.Response))
        self.assertEqual(fields, _library.LAYOUT)

    def test_every_status(self) -> None:
        errors = re.findall(
            r"#define KMS_(?:ERR_)?(\w+) (\d+)(?: /\* ([\w.]+), (\d+) \*/)?$", HEADER, re.MULTILINE
        )
        table = {name: (int(number), code, http) for name, number, code, http in errors if code}
        self.assertGreaterEqual(len(table), 40)
        known = {
            status.name: (
                status.value,
                _errors.API[status].code,
                str(_errors.API[status].http_status),
            )
            for status in Status
            if status
        }
        self.assertEqual(known, table)
        self.assertEqual(set(_errors.API), {status.value for status in Status if status})

    def test_every_constant(self) -> None:
        constants = dict(re.findall(r"^#define KMS_([A-Z]\w+) (\d+)$", HEADER, re.MULTILINE))
        for name in (
            "PLAINTEXT_MAX",
            "CIPHERTEXT_BLOB_MAX",
            "CIPHERTEXT_BLOB_OVERHEAD",
            "DATA_KEY_MAX",
            "BULK_MAX",
            "ENCRYPTION_CONTEXT_MAX",
            "ROOT_KEY_LEN",
        ):
            self.assertEqual(getattr(_library, name), int(constants[name]), name)
        for kind, prefix in ((kmsbox.KeySpec, "KEY_SPEC_"), (kmsbox.Content, "CONTENT_")):
            members = {f"{prefix}{one.name}": str(one.value) for one in kind}
            said = {name: value for name, value in constants.items() if name.startswith(prefix)}
            self.assertEqual(members, said)

    def test_the_version(self) -> None:
        self.assertIn(f'#define KMS_VERSION_STRING "{kmsbox.__version__}"', HEADER)
        self.assertEqual(kmsbox.library_version(), kmsbox.__version__)


class Actions(unittest.TestCase):
    def rows(self) -> list[list[str]]:
        table = API[API.index("## Actions that are done") :]
        lines = table[table.index("| Action ") :].split("\n\n")[0].splitlines()[2:]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    def test_every_action_with_its_parameters(self) -> None:
        told = {}
        for action, parameters, _answer in self.rows():
            parts = [part for part in parameters.split(", ") if part]
            needed = [name for part in parts if not part.startswith("[") for name in code(part)]
            optional = [name for part in parts if part.startswith("[") for name in code(part)]
            told[code(action)[0]] = (set(needed), set(optional))
        self.assertGreater(len(told), 25)
        known = {one.name: (set(one.needed), set(one.optional)) for one in _actions.ACTIONS}
        for name, needed_names, optional_names in _actions.TYPED_ACTIONS:
            self.assertNotIn(name, known)
            known[name] = (set(needed_names), set(optional_names))
        self.assertEqual(known, told)

    def test_every_field_of_the_answers(self) -> None:
        from kmsbox import _answers

        answers = {code(action)[0]: code(answer) for action, _parameters, answer in self.rows()}
        fields_of_both: dict[str, set[str]] = {}
        for action in _actions.ACTIONS:
            item = re.findall(r"\w+", action.answer)[-1]
            names = {"request_id"}
            if action.answer.startswith("Page["):
                names |= {"total_count", "page_number", "page_size"}
            fields = set(getattr(_answers, item).__dataclass_fields__) | names
            told = {_answers.api_name(name) for name in fields} - {"RequestId"}
            documented = [name for name in answers[action.name] if name not in action.path]
            if action.name == "CreateKey":
                # The fields that only DescribeKey has.
                told -= {"DeletionProtection", "DeletionProtectionDescription"}
            fields_of_both.setdefault(item, set()).update(told)
            self.assertEqual(told, set(documented), action.name)
        self.assertIn("KeyMetadata", fields_of_both)

    def test_every_action_has_its_method(self) -> None:
        for action in _actions.ACTIONS:
            self.assertTrue(callable(getattr(kmsbox.Client, snake(action.name))), action.name)
        for name, _needed, _optional in _actions.TYPED_ACTIONS:
            self.assertTrue(callable(getattr(kmsbox.Client, snake(name))), name)

    def test_the_methods_are_what_the_table_says(self) -> None:
        generator = ROOT / "bindings" / "python" / "generate_operations.py"
        command = [sys.executable, str(generator), "--check"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_whatever_is_public_is_named(self) -> None:
        for name in kmsbox.__all__:
            self.assertTrue(hasattr(kmsbox, name), name)
        for module in (_errors, _results):
            for name, value in vars(module).items():
                mine = isinstance(value, type) and value.__module__ == module.__name__
                if mine and issubclass(value, Exception):
                    self.assertIn(name, kmsbox.__all__)


def code(cell: str) -> list[str]:
    """The words in backticks."""
    return re.findall(r"`(\w+)`", cell)


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    unittest.main()
