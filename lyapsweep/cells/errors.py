"""What is raised about weights from elsewhere."""


class BadWeights(ValueError):
    """Weights that do not belong to a supported recurrent network; the message names what was found."""
