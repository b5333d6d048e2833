"""What others build to stream an answer over documents, as their documentation shows it; each module has an `app`."""
