"""Behavioural tests as people read them: rates and failures in the terminal, and the page."""
