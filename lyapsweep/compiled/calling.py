"""Compiled: calls of a cell's passes by address, so that all other code is compiled once for all cells."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Call the compiled function at the address values[0] with the other values."""
    given = signature.args[1:]
    kind = context.call_conv.get_function_type(types.none, given)
    function = builder.inttoptr(values[0], ir.PointerType(kind))
    context.call_conv.call_function(builder, function, types.none, given, values[1:])  # it raises nothing
    return context.get_dummy_value()


def call_forward(typing_context, where, call, layout, x, a, pull, L, R, changed):
    """Call `passes.forward_pass` of a cell."""
    return types.none(where, call, layout, x, a, pull, L, R, changed), generate


def call_backward(typing_context, where, call, layout, x, a, pull, ends, L, R, changed):
    """Call `passes.backward_pass` of a cell."""
    return types.none(where, call, layout, x, a, pull, ends, L, R, changed), generate


run_forward: Any = intrinsic(call_forward)
run_backward: Any = intrinsic(call_backward)
