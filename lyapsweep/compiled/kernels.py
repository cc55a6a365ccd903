"""Compiled updates of a cell: code that all cells share, and the cell's own passes through time."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import typeof, types

from lyapsweep.compiled import passes, updates
from lyapsweep.compiled.blas import call_arguments
from lyapsweep.compiled.caching import compiled, statement_digest
from lyapsweep.compiled.elementwise import Elementwise
from lyapsweep.compiled.layout import Arrays, Layout
from lyapsweep.compiled.loops import make_loops
from lyapsweep.compiled.scalars import CALLED, OPTIONS, SINGLE


@dataclass(frozen=True)
class Kernel:
    """Updates of one cell.

    Args:
        train: `updates.train`, compiled.
        passes: Addresses of the forward and the backward pass.
    """

    train: Any
    passes: tuple[int, int]


@cache
def train() -> Any:
    """`updates.train`, compiled at its first call or read from the cache.

    Raises:
        RuntimeError: If no folder can hold numba's cache.
    """
    return compiled(updates.train, **OPTIONS)


@cache
def compiled_passes(statement: Elementwise) -> tuple[Any, Any]:
    """The passes through time of the cell that a statement is of; to be compiled by `make_kernel`."""
    names: dict[str, Any] = {"BENDS": statement.bend is not None, "INNER": statement.inner is not None}
    names |= {"GATES": statement.gates, "READS": statement.reads} | make_loops(statement, SINGLE)._asdict()
    digest = statement_digest("passes", statement)
    forward, backward = (compiled(f, digest, names, **CALLED) for f in (passes.forward_pass, passes.backward_pass))
    return forward, backward


def make_kernel(statement: Elementwise, layout: Layout, arrays: Arrays) -> Kernel:
    """Compile the updates of a cell, or read them from the cache."""
    forward, backward = compiled_passes(statement)
    common = tuple(typeof(v) for v in (call_arguments(), layout, np.zeros(1, np.float32), arrays))
    strengths, ends = types.Array(types.float32, 1, "C"), types.Array(types.uint8, 1, "C")
    rest = types.intp, types.intp, types.boolean
    addresses = pointer(forward, (*common, strengths, *rest)), pointer(backward, (*common, strengths, ends, *rest))
    return Kernel(train(), addresses)


def pointer(function: Any, signature: tuple) -> int:
    """The address of a compiled function."""
    function.compile(signature)
    made = function.overloads[signature]
    return made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
