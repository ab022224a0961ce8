"""Plan of a run before it is begun: operations, memory, time, sizes of files."""
