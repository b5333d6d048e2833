"""How frames travel over HTTP."""
