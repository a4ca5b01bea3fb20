"""Turns a text file into a C array, so that the program needs no path to it at run time.

Called by src/model/meson.build: embed_text.py INPUT OUTPUT NAME. The output depends on the input's bytes alone.
"""
import sys

source, target, name = sys.argv[1:]
with open(source, 'rb') as f:
    data = f.read()
with open(target, 'w', encoding='ascii') as f:
    f.write(f'/* Made from {source.rsplit("/", 1)[-1]} at build time. */\n')
    f.write(f'static const char {name}[] = {{\n')
    for at in range(0, len(data), 24):
        f.write('\t' + ','.join(str(b) for b in data[at:at + 24]) + ',\n')
    f.write('\t0\n};\n')
