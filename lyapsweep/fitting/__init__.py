"""From a recorded series to a trained network and the evidence for it: what `lyapsweep fit` and `lyapsweep.fit` do."""
