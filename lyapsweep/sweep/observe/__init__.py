"""Observing a sweep: progress, heartbeat, status, summary."""
