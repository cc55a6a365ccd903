"""How every benchmark measures: one thread, processor time, rivals taking turns, medians; and how it prints.

Processor time, because on a shared machine it keeps still where the clock on the wall does not; turns, because what
disturbs one rival then disturbs all, and ratios survive. On a GPU the time is the wall's, between synchronisations.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_info, threadpool_limits

from lyapsweep.process import small_networks


def one_thread() -> str:
    """Hold torch and every BLAS that is loaded to one thread; say what they are. RuntimeError where one escapes."""
    import scipy.linalg  # noqa: F401  its OpenBLAS is one of the pools to hold

    small_networks()
    torch.set_num_threads(1)
    threadpool_limits(1)
    pools = threadpool_info()
    loose = [f"{p['filepath']} ({p['num_threads']})" for p in pools if p["num_threads"] != 1]
    if loose:
        raise RuntimeError(f"One thread a library must hold, but got {', '.join(loose)}.")
    names = [f"{p['internal_api']} {p['version']} {p.get('architecture', '')}".strip() for p in pools if p["version"]]
    return f"{processor()}; torch {torch.__version__}, {', '.join(dict.fromkeys(names))}; one thread each, checked"


def processor() -> str:
    """The processor's name and, where the system tells, family and model: 'AMD EPYC' alone covers five generations."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines())
    told = {key.strip(): value.strip() for key, _, value in lines}
    return f"{told.get('model name', '?')} (family {told.get('cpu family', '?')}, model {told.get('model', '?')})"


def seconds(job: Callable[[], object], device: str = "cpu") -> float:
    """What one call costs."""
    if device == "cpu":
        begin = time.process_time()
        job()
        return time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    job()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def interleaved(rivals: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu") -> dict[str, float]:
    """Median seconds a call of each rival, called in turn `rounds` times after one call each that is not counted."""
    for job in rivals.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, job in rivals.items():
            taken[name].append(seconds(job, device))
    return {name: statistics.median(values) for name, values in taken.items()}


def peak_megabytes(job: Callable[..., Callable[[], object]], *settings: Any) -> float:
    """High-water mark of resident memory in `job(*settings)()`, above the process that is ready to call it. Linux only.

    In a process of its own, forked from one that has everything imported; NaN where the system keeps no such mark.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([job.__module__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(high_water, job, *settings).result()


def high_water(job: Callable[..., Callable[[], object]], *settings: Any) -> float:
    one_thread()
    run = job(*settings)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the mark falls to what is resident now
    except OSError:
        return float("nan")
    before = resident()
    run()
    return resident() - before


def resident() -> float:
    """The high-water mark in megabytes (1e6 bytes)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """A table with a column for every key, in the order in which keys first come; what a row lacks is a dash."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns), *([cell(row.get(key)) for key in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: object) -> str:
    """Three figures that count of a number; text as it is."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def progress(text: str) -> None:
    """One line that replaces the last, on stderr."""
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def verdict(goal: str, measured: float, *, least: float | None = None, most: float | None = None) -> dict[str, object]:
    """A row of a table of goals: what must hold, what was measured, whether it does."""
    wanted = f">= {least:g}" if least is not None else f"<= {most:g}"
    met = measured >= least if least is not None else measured <= most  # type: ignore[operator]
    return {"goal": goal, "wanted": wanted, "measured": float(measured), "": "met" if met else "MISSED"}
