"""Predicting outcomes from early spectra: held-out prediction, transfer, survival. Imported only when asked."""
