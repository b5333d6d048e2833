"""The server: the app, its process, and who may talk to it."""
