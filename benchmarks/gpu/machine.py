"""The card, its software, its ceilings, and what a launch and a synchronisation cost."""

import contextlib
import importlib
import subprocess
import sys

import torch

from benchmarks.gpu.check import Section

PACKAGES = ("numpy", "scipy", "triton", "jaxtyping", "ray", "optuna", "mlflow", "dysts")


def environment(section: Section) -> None:
    """Versions, and on a card bandwidth, products and latencies."""
    found = section.found
    found |= {"torch": torch.__version__, "python": sys.version.split()[0], "threads": torch.get_num_threads()}
    for name in PACKAGES:
        try:
            found[name] = getattr(importlib.import_module(name), "__version__", "there")
        except Exception as error:
            found[name] = f"missing ({type(error).__name__})"
    if section.device == "cpu":
        return
    card = torch.cuda.get_device_properties(0)
    found |= {"card": card.name, "GB": round(card.total_memory / 1e9, 1)}
    with contextlib.suppress(Exception):
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.mem", "--format=csv,noheader"]
        found["driver, clocks"] = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.strip()
    section.attempt("ceilings", lambda: ceilings(section))


def ceilings(section: Section) -> dict[str, float]:
    x = torch.randn(2**27, device=section.device)
    y, small = torch.empty_like(x), torch.zeros(8, device=section.device)
    found = {"copy TB/s": 2 * x.numel() * 4 / section.seconds_of(lambda: y.copy_(x)) / 1e12}
    for dtype in (torch.float32, torch.float64):
        a = torch.randn(4096, 4096, device=section.device, dtype=dtype)
        found[f"product TFLOP/s, {str(dtype)[6:]}"] = 2 * 4096**3 / section.seconds_of(lambda a=a: a @ a, 3) / 1e12
    found["launch us"] = section.seconds_of(lambda: [small.add_(1) for _ in range(1000)]) * 1e3
    found["item us"] = section.seconds_of(lambda: [small[0].item() for _ in range(200)]) / 200 * 1e6
    return {name: round(value, 3) for name, value in found.items()}
