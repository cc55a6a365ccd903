"""What several analyses share: which trials count, features of spectra, the plot theme."""
