"""Model cards, which hubs show beside a model: its front matter, use, scores, training and adversary."""
