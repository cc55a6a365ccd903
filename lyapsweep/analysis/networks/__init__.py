"""Analyses of single networks: orbits, attractors, fixed points."""
