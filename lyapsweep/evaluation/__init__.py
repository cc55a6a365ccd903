"""Spectra and evidence of networks on held-out series, tasks and streams, in double precision."""

from lyapsweep.compat import moved_names

__getattr__ = moved_names("lyapsweep.evaluation", "lyapsweep.evaluation.series")
