"""Planning a sweep: its definition, its points, and the packs that they are trained in. No files and no Ray."""
