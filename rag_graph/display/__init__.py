"""A run as a person sees it, in a terminal or a notebook."""
