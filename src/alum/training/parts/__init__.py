"""Parts of a training step: attacked and spared rows, modules that passes call, random numbers, order of rows."""
