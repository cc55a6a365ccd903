"""Running a sweep: Ray Tune, Optuna storage, workers, retries. The only package that imports Ray."""
