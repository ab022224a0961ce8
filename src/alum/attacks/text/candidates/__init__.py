"""What an attack may put in place of a word: other characters, other words, typing errors."""
