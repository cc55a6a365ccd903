"""Spectra and evidence of networks on held-out series, tasks and streams, in double precision."""
