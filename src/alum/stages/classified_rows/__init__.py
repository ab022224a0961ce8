"""Classifiers on labelled rows, as the stages take them that ask about texts of their own making."""
