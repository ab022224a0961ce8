"""Parts that pages share: one HTML file that loads nothing, and pictures in it."""
