# SPDX-License-Identifier: GPL-2.0-only
"""Writes initramfs archives (cpio "newc") whose bytes depend on nothing but the contents put in.

Owners are root, times are constant and inode numbers count up, so that a guest started twice from the same build sees
the same files. Programs bring the shared libraries that ldd names. The guest's /bin, /sbin, /lib and /lib64 are links
into /usr, as on Debian.
"""

import os
import stat
import subprocess
from pathlib import Path

MTIME = 1767225600  # 2026-01-01, the guest's clock in deterministic mode
MERGED = ("bin", "sbin", "lib", "lib64")


class Archive:
    """One archive. Entries are written at once; parents are made as needed. close() ends it."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.inode = 0
        self.seen = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def directory(self, path, mode=0o755):
        path = _guest_path(path)
        if path and path not in self.seen:
            self._parents(path)
            self._entry(path, stat.S_IFDIR | mode, b"")

    def merge_usr(self):
        """The links at the top that make /bin the same folder as /usr/bin, and so on. Once per guest."""
        for name in MERGED:
            self.directory(f"usr/{name}")
            self._entry(name, stat.S_IFLNK | 0o777, f"usr/{name}".encode())

    def text(self, path, data, mode=0o644):
        self._leaf(path, stat.S_IFREG | mode, data if isinstance(data, bytes) else data.encode())

    def link(self, path, target):
        self._leaf(path, stat.S_IFLNK | 0o777, target.encode())

    def copy(self, source, path=None):
        """A file as it is; a link is followed. path: where in the guest, if not where it is here."""
        source = Path(source)
        mode = stat.S_IMODE(source.stat().st_mode)
        self._leaf(str(path or source), stat.S_IFREG | mode, source.read_bytes())

    def program(self, source, path=None):
        """A program or shared object, with the libraries that it loads."""
        self.copy(source, path)
        for library in libraries(source):
            self.copy(library)

    def tree(self, source, path=None):
        """A folder with everything below; links stay links, programs bring their libraries."""
        source = Path(source)
        base = str(path or source)
        self.directory(base)
        for child in sorted(source.iterdir()):
            inside = f"{base}/{child.name}"
            if child.is_symlink():
                self.link(inside, os.readlink(child))
            elif child.is_dir():
                self.tree(child, inside)
            elif child.is_file():
                (self.program if is_elf(child) else self.copy)(child, inside)

    def close(self):
        if self.file.closed:
            return
        self.inode = 0
        self._write("TRAILER!!!", 0, b"")
        self.file.write(b"\0" * (-self.file.tell() % 512))
        self.file.close()

    def _leaf(self, path, mode, data):
        path = _guest_path(path)
        if path not in self.seen:
            self._parents(path)
            self._entry(path, mode, data)

    def _parents(self, path):
        if "/" in path:
            self.directory(path.rsplit("/", 1)[0])

    def _entry(self, path, mode, data):
        self.seen.add(path)
        self.inode += 1
        self._write(path, mode, data)

    def _write(self, name, mode, data):
        if len(data) >= 1 << 32:
            raise ValueError(f"{name}: a file of 4 GiB or more does not fit into an initramfs")
        encoded = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self.inode, mode, 0, 0, links, MTIME, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + encoded, data):
            self.file.write(part)
            self.file.write(b"\0" * (-len(part) % 4))


def _guest_path(path):
    path = os.path.normpath("/" + str(path)).lstrip("/")
    return "usr/" + path if path.split("/", 1)[0] in MERGED else path


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries(program):
    """Absolute paths of what the dynamic linker would load, the linker itself included; none for static programs."""
    if not is_elf(program):
        return []
    result = subprocess.run(["ldd", str(program)], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    found = []
    for line in result.stdout.splitlines():
        words = line.split()
        if "not found" in line:
            raise FileNotFoundError(f"{program} needs the shared library {words[0]}, which is not installed")
        if "=>" in words and len(words) > 2:
            found.append(words[2])
        elif words and words[0].startswith("/"):
            found.append(words[0])
    return found
