"""Files and inputs that are files, by the client as it is."""

import io
import os
import pathlib
import tempfile
import unittest

import replicate
from inventory import inventory  # noqa: F401: the report asks for it
from replicate.exceptions import ReplicateError


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "zażółć.txt")
        with open(self.path, "w") as file:
            file.write("abc")

    def check(self, file):
        self.assertEqual((file.size, file.content_type), (3, "text/plain"))
        self.assertEqual(file.metadata, {"origin": "test"})
        read = replicate.files.get(file.id)
        self.assertEqual(read.dict(), file.dict())
        self.assertIn(file.id, [each.id for each in replicate.files.list()])
        replicate.files.delete(file.id)
        with self.assertRaises(ReplicateError) as refused:
            replicate.files.get(file.id)
        self.assertEqual(refused.exception.status, 404)

    def test_file_is_created_from_a_path_read_listed_and_deleted(self):
        file = replicate.files.create(self.path, metadata={"origin": "test"}, content_type="text/plain")
        self.assertEqual(file.name, "zażółć.txt")
        self.check(file)

    def test_file_is_created_from_a_handle(self):
        with open(self.path, "rb") as handle:
            file = replicate.files.create(
                handle, filename="b.txt", metadata={"origin": "test"}, content_type="text/plain"
            )
        self.assertEqual(file.name, "b.txt")
        self.check(file)

    def test_input_may_be_a_handle(self):
        with open(self.path, "rb") as handle:
            self.assertEqual(replicate.run("local/file-size", input={"file": handle}), "3 616263")

    def test_input_may_be_a_path(self):
        output = replicate.run("local/file-size", input={"file": pathlib.Path(self.path)})
        self.assertEqual(output, "3 616263")

    def test_input_may_be_bytes_in_memory(self):
        output = replicate.run("local/file-size", input={"file": io.BytesIO(b"abc")})
        self.assertEqual(output, "3 616263")
