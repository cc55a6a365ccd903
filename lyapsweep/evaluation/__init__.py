"""Spectra and evidence of trained networks, measured in double precision: of series, of tasks, of streams."""

from lyapsweep.compat import moved_names

__getattr__ = moved_names("lyapsweep.evaluation", "lyapsweep.evaluation.series")
