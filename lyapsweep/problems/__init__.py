"""What a config asks a network to learn: its objective, its evaluation, its spectra and its sizes."""
