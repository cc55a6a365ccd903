"""Timing and printing of benchmarks: one thread, processor time, interleaved methods, medians.

Processor time, because wall-clock time varies with the load of a shared machine; interleaved, because a disturbance
then affects all methods and cancels in ratios. On a GPU it is wall-clock time between synchronisations.
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
    """Limit torch and every loaded BLAS to one thread and describe them. Raise RuntimeError if one is not limited."""
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
    """Return the name of the processor with family and model if known: 'AMD EPYC' alone covers five generations."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines())
    told = {key.strip(): value.strip() for key, _, value in lines}
    return f"{told.get('model name', '?')} (family {told.get('cpu family', '?')}, model {told.get('model', '?')})"


def seconds(job: Callable[[], object], device: str = "cpu") -> float:
    """Return the seconds of one call."""
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
    """Return median seconds per call of each method, called in turn `rounds` times after one uncounted call each."""
    for job in rivals.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, job in rivals.items():
            taken[name].append(seconds(job, device))
    return {name: statistics.median(values) for name, values in taken.items()}


def peak_megabytes(job: Callable[..., Callable[[], object]], *settings: Any) -> float:
    """Return the peak resident memory of `job(*settings)()` above that of the process before the call. Linux only.

    Runs in a process forked from one that has everything imported; NaN if the system does not report the peak.
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
    """Return the peak resident memory in megabytes (1e6 bytes)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a table with one column per key, in order of first appearance; missing values are dashes."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns), *([cell(row.get(key)) for key in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: object) -> str:
    """Format a number with three significant digits; return text unchanged."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def progress(text: str) -> None:
    """Print a line on stderr that replaces the last one."""
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def verdict(goal: str, measured: float, *, least: float | None = None, most: float | None = None) -> dict[str, object]:
    """Return a row of a table of goals: goal, threshold, measured value, verdict."""
    wanted = f">= {least:g}" if least is not None else f"<= {most:g}"
    met = measured >= least if least is not None else measured <= most  # type: ignore[operator]
    return {"goal": goal, "wanted": wanted, "measured": float(measured), "": "met" if met else "MISSED"}
