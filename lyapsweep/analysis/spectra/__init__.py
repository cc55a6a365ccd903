"""Analyses of Lyapunov spectra: their shape, their history, and their correlation with outcomes."""
