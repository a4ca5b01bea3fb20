"""The message table's digest: of ipc/messages.h and all of ours that it includes, so that a changed number, name or layout is another one.

Called by src/ipc/meson.build: digest_table.py SOURCE-DIR OUTPUT DEPFILE HEADER... The output depends on the headers' bytes alone.
"""
import hashlib
import re
import sys
from pathlib import Path

src, output, depfile, *todo = Path(sys.argv[1]), *sys.argv[2:]
texts = {}
while todo:
    name = todo.pop()
    if name not in texts:
        texts[name] = (src / name).read_bytes()
        todo += re.findall(r'^#include "([^"]+)"', texts[name].decode(), re.M)
digest = hashlib.sha256()
for name in sorted(texts):
    digest.update(name.encode() + b"\0" + hashlib.sha256(texts[name]).digest())
number = int.from_bytes(digest.digest()[:8], "little")
Path(output).write_text(f"/* Made by ipc/digest_table.py. */\n#define IPC_TABLE 0x{number:016x}ull\n", encoding="ascii")
Path(depfile).write_text(f"{output}: {' '.join(str(src / name) for name in sorted(texts))}\n", encoding="utf-8")
