"""Stage that takes words away from texts as long as a classifier's answer stays."""
