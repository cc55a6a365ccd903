"""Records, tables and file names: what a trial leaves behind, where it lies, and which trial is best."""
