"""Tables and pictures that help to choose before anything is trained: a radius, a method, a device."""
