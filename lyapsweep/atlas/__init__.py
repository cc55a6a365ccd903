"""A sweep on one page."""
