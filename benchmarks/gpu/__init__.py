"""One prepared check of a machine with a CUDA GPU, in ten minutes or less: `python -m benchmarks.gpu`."""
