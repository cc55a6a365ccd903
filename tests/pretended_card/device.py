"""Builds and installs the pretended card of `cuda.cpp`. `install` must be called before torch is imported.

A tensor on `cuda:0` has `is_cuda` True, so that branches are taken as on a card; fresh memory is NaN; operators that
would mix devices raise; numbers equal the CPU's to the last bit wherever the code does not branch by device. It does
not have a card's kernels, rounding, streams, or races.
"""

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("cuda.cpp")


def compiler() -> str | None:
    return shutil.which("g++")


def build() -> Path:
    """Compile the extension for the torch that is installed, once."""
    torch = Path(importlib.util.find_spec("torch").origin).parent
    key = hashlib.sha256(SOURCE.read_bytes() + (torch / "version.py").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lyapsweep-tests"
    out = cache / f"pretended-{key}.so"
    if not out.exists():
        cache.mkdir(parents=True, exist_ok=True)
        include, part = torch / "include", out.with_suffix(f".{os.getpid()}")
        command = [compiler(), "-O0", "-std=c++20", "-fPIC", "-shared", str(SOURCE), "-o", str(part)]
        command += [f"-I{include}", f"-I{include}/torch/csrc/api/include", f"-L{torch}/lib", "-ltorch_cpu", "-lc10"]
        subprocess.run([*command, f"-Wl,-rpath,{torch}/lib"], check=True)
        part.rename(out)
    return out


def install() -> ctypes.CDLL:
    """Make `cuda:0` the pretended card; the library returned sets its memory limit."""
    assert "torch" not in sys.modules, "torch asks for CUDA's hooks once, when it is imported"
    extension = build()
    libraries = Path(importlib.util.find_spec("torch").origin).parent / "lib"
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(libraries / name), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(extension), mode=ctypes.RTLD_GLOBAL)
    library.pretended_memory_in_use.restype = ctypes.c_size_t
    library.pretended_memory_limit.argtypes = [ctypes.c_size_t]
    import torch

    cuda = torch.cuda
    cuda._lazy_init = cuda.empty_cache = lambda: None
    cuda.is_available = cuda.is_initialized = lambda: True
    cuda.device_count, cuda.current_device = lambda: 1, lambda: 0
    cuda.synchronize = lambda *_, **__: None
    torch.UntypedStorage.clone = cloned(torch.UntypedStorage.clone)
    return library


def cloned(clone):
    """The clone of a storage, also on the card: torch's own binding has no CUDA storages in a CPU build."""
    import torch

    def on_any_device(storage):
        if storage.device.type != "cuda":
            return clone(storage)
        return torch.empty(0, dtype=torch.uint8, device="cuda").set_(storage).clone().untyped_storage()

    return on_any_device
