"""The C of the tree is as clang-format makes it by .clang-format: one release of it, for two do not agree with each other."""
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tests", "fuzz", "bench")
FORMATTER = "clang-format-19"  # both in Debian 12 and in Debian 13; tools/packages


def unformatted(paths):
    """What clang-format would change, a line each: "FILE:LINE:COLUMN: error: …"."""
    done = subprocess.run([FORMATTER, "--dry-run", "-Werror", f"--style=file:{ROOT}/.clang-format", *map(str, paths)],
                          capture_output=True, text=True)
    return [line for line in done.stderr.splitlines() if "error:" in line]


@unittest.skipUnless(shutil.which(FORMATTER), f"{FORMATTER} is not installed")
class Format(unittest.TestCase):
    maxDiff = None

    def test_the_tree(self):
        paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]"))]
        self.assertGreater(len(paths), 300)
        self.assertEqual(unformatted(paths), [], f"format them: {FORMATTER} -i FILE…")

    def test_what_is_not_formatted_is_found(self):
        """And comments stay as their author set them: what stands in columns is not run together."""
        with tempfile.TemporaryDirectory() as folder:
            bad, good = Path(folder, "bad.c"), Path(folder, "good.c")
            bad.write_text("int f(void)\n{\n    return 1;\n}\n")
            good.write_text("/* a     one\n *       two */\nint f(void)\n{\n\treturn 1;\n}\n")
            self.assertEqual([line.split(":")[0] for line in unformatted([bad, good])], [str(bad)])


if __name__ == "__main__":
    unittest.main()
