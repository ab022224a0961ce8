"""Stage that writes changed copies of a data set: at random, or as an attack on a model changes them."""
