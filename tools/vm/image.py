#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes the guest's file systems, once, and keeps them in the cache.

base       busybox and the workloads; every guest has it
toolchain  a C compiler, as a workload that people know
perf       the kernel's own profiler; large, for its libraries

Each is remade when this file, a source below guest/ or one of the programs that it holds has changed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from initramfs import Archive  # noqa: E402

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"
BASE_PROGRAMS = ("hackbench", "cyclictest", "stress-ng", "rt-app", "taskset", "chrt", "date", "dash")
C_HEADERS = ("linux", "asm-generic", "arpa", "net", "netinet", "netpacket", "protocols", "rpc", "scsi", "sound", "video")


class Missing(Exception):
    """A program that the image is made of is not installed."""


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", "/root"), ".cache")
    return Path(os.environ.get("REPRISE_CACHE") or os.path.join(base, "reprise")).absolute()


def tool(name):
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    if not path:
        raise Missing(name)
    return Path(path)


def gcc(query):
    """What the compiler calls one of its own files."""
    out = subprocess.run([str(tool("gcc")), query], capture_output=True, text=True, check=True).stdout.strip()
    return Path(out) if os.path.isabs(out) else tool(out)


def fill_base(archive):
    archive.merge_usr()
    for folder in ("proc", "sys", "dev", "run", "root", "etc", "out", "extra", "reprise/bin", "var/tmp"):
        archive.directory(folder)
    archive.directory("tmp", 0o1777)
    archive.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    archive.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    archive.text("etc/hosts", "127.0.0.1 localhost reprise\n")
    for name in BASE_PROGRAMS:
        archive.program(tool(name), f"usr/bin/{name}")
    # glibc loads it when a thread is cancelled, which no program's list of libraries tells.
    archive.copy(gcc("-print-file-name=libgcc_s.so.1"), "usr/lib/x86_64-linux-gnu/libgcc_s.so.1")
    busybox = tool("busybox")
    if subprocess.run(["ldd", str(busybox)], capture_output=True).returncode == 0:
        raise Missing("busybox-static (the busybox here is not static)")
    archive.copy(busybox, "usr/bin/busybox")
    # Not busybox's shell: that one runs its own applets in place of the programs above.
    archive.link("usr/bin/sh", "dash")
    applets = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in sorted(applets):
        archive.link(f"usr/bin/{applet}", "busybox")
    carry = archive_folder() / f"carry.{os.getpid()}"
    subprocess.run([str(tool("gcc")), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
                    "-o", str(carry), str(GUEST / "carry.c")], check=True)
    archive.copy(carry, "reprise/carry")
    carry.unlink()


def fill_toolchain(archive):
    own = gcc("-print-libgcc-file-name").parent
    for path in (gcc("-print-prog-name=cc1"), gcc("-print-prog-name=collect2"), own / "liblto_plugin.so"):
        archive.program(path)
    for name in ("libgcc.a", "libgcc_eh.a", "libgcc_s.so", "crtbegin.o", "crtbeginS.o", "crtend.o", "crtendS.o"):
        archive.copy(own / name)
    archive.tree(own / "include")
    for name in ("gcc", "as", "ld"):
        archive.program(tool(name), f"usr/bin/{name}")
    archive.link("usr/bin/cc", "gcc")
    for name in ("crt1.o", "Scrt1.o", "crti.o", "crtn.o", "libc.so", "libc_nonshared.a", "libm.so", "libmvec.so.1"):
        archive.copy(gcc(f"-print-file-name={name}"), f"usr/lib/x86_64-linux-gnu/{name}")
    include = Path("/usr/include")
    for header in sorted(include.glob("*.h")):
        archive.copy(header)
    for name in C_HEADERS + tuple(f"x86_64-linux-gnu/{part}" for part in ("asm", "bits", "gnu", "sys")):
        if (include / name).is_dir():
            archive.tree(include / name)


def fill_perf(archive):
    archive.program(tool("perf"), "usr/bin/perf")


IMAGES = {"base": fill_base, "toolchain": fill_toolchain, "perf": fill_perf}


def archive_folder():
    return cache_folder() / "vm"


def key_of(name):
    """Hash of what the image is made from; programs count by size and time, which a package upgrade changes."""
    digest = hashlib.sha256()
    for path in (Path(__file__), HERE / "initramfs.py", GUEST / "carry.c"):
        digest.update(path.read_bytes())
    programs = {"base": BASE_PROGRAMS + ("busybox",), "toolchain": ("gcc", "as", "ld"), "perf": ("perf",)}[name]
    for program in programs:
        info = tool(program).stat()
        digest.update(f"{program} {info.st_size} {info.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def ensure(name):
    """Path of the image, made if it is not there or is stale. Raises Missing, OSError or CalledProcessError."""
    folder = archive_folder()
    path, stamp, key = folder / f"{name}.cpio", folder / f"{name}.key", key_of(name)
    if path.exists() and stamp.exists() and stamp.read_text() == key:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{name}.cpio.{os.getpid()}"
    try:
        with Archive(unfinished) as archive:
            IMAGES[name](archive)
        os.replace(unfinished, path)
        stamp.write_text(key)
        print(f"made {path}, {path.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def main():
    names = sys.argv[1:] or list(IMAGES)
    unknown = [name for name in names if name not in IMAGES]
    if unknown:
        print(f"image.py: no image {', '.join(unknown)}; there are {', '.join(IMAGES)}", file=sys.stderr)
        return 2
    for name in names:
        try:
            ensure(name)
        except Missing as missing:
            # perf is a convenience; no other image may lack a part.
            print(f"image.py: {name}: {missing} is not installed; tools/dev setup installs it", file=sys.stderr)
            if name != "perf":
                return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
