"""Analyses of the settings that a sweep varied: importance, optimum, curves, heatmaps, phase planes."""
