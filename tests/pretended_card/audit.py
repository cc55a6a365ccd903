"""Counts kernel launches and synchronisations of host and card, by the place in the code that causes them."""

import sys
from collections import Counter

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITING = {"_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim", "is_nonzero"}
WAITING |= {"repeat_interleave"}  # of a tensor of counts
CHECKED = {"linalg_svd", "_linalg_svd", "linalg_eigh", "_linalg_eigh", "linalg_solve", "linalg_inv", "linalg_cholesky"}
FREE = {"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided", "detach", "alias", "set_", "resize_"}
FREE |= {"_local_scalar_dense", "lift_fresh"}
UNWANTED = {"linalg_qr", "_linalg_svd", "_linalg_eigh", "geqrf"}  # a card takes a batch of these one matrix at a time
UNWANTED |= {"scatter_add", "scatter_add_"}  # and adds these in another order in every run
INDEXED = {"index", "index_put_", "_index_put_impl_", "index_put"}


def place() -> str:
    """The innermost line of the package that is running; "report" for reports, looks at deaths, starts of graphs."""
    frame, innermost = sys._getframe(2), "autograd"
    while frame:
        name = frame.f_code.co_filename
        if "/lyapsweep/" in name and "/torch/" not in name:
            if frame.f_code.co_name in ("progress", "read_deaths", "fastest"):
                return "report"
            if innermost == "autograd":
                innermost = f"{name.rsplit('/lyapsweep/', 1)[1]}:{frame.f_lineno}"
        frame = frame.f_back
    return innermost


class Audit(TorchDispatchMode):
    """All that runs inside. A copy to the card counts unless it says `non_blocking`; one from the card always does."""

    def __init__(self):
        super().__init__()
        self.launches, self.waits, self.unwanted = 0, Counter(), Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        made = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
        if not any(t.is_cuda for t in given + made):
            return out
        name = func._schema.name.removeprefix("aten::")
        if name in ("copy_", "_to_copy") and len({t.device.type for t in given + made}) > 1:
            asynchronous = (kwargs or {}).get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
            if not (made[0].is_cuda and asynchronous):
                self.waits[f"copy to {made[0].device.type}", place()] += 1
        elif name in WAITING or name in CHECKED:
            self.waits[name, place()] += 1
        elif name in INDEXED:
            indices = [i for i in tree_leaves(args[1]) if isinstance(i, torch.Tensor)]
            if any(i.dtype in (torch.bool, torch.uint8) or not i.is_cuda for i in indices):
                self.waits["index by mask or by host tensor", place()] += 1
        if name in UNWANTED and given[0].dim() > 2:
            self.unwanted[name, place()] += 1
        if name not in FREE and not func.is_view:
            self.launches += 1
        return out


class Lists(TorchFunctionMode):
    """What dispatch does not see: Python lists that become tensors on the card, one blocking copy each."""

    def __init__(self, audit: Audit):
        super().__init__()
        self.audit = audit

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("tensor", "as_tensor", "new_tensor", "__getitem__", "__setitem__"):
            here = args[0] if args and isinstance(args[0], torch.Tensor) else None
            index = args[1] if name.endswith("item__") and len(args) > 1 else None
            parts = index if isinstance(index, tuple) else (index,)
            device = kwargs.get("device")
            made = here is None and device is not None and torch.device(device).type == "cuda"
            on_card = here is not None and here.is_cuda
            if made or (on_card and (name == "new_tensor" or any(isinstance(i, list) for i in parts))):
                self.audit.waits[f"list by {name}", place()] += 1
        return func(*args, **kwargs)
