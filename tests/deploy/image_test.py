"""The Containerfile's steps, carried out by hand with a debug build."""

import unittest

from support import DEPLOY, run


class Image(unittest.TestCase):
    def test_the_image_is_static_and_serves_as_nobody_from_a_read_only_root(self):
        said = run(DEPLOY / "prove.py", "--dev")
        self.assertEqual(said.count("\nok: "), 6, said)
