"""Spectra and evidence of trained networks, measured in double precision: of series, of tasks, of streams."""
