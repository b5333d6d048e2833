"""Our own protocol: runs and their events."""
