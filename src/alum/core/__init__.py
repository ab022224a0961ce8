"""The algorithm: divergences, projections, the worst-case perturbation and the objective. Knows torch, nothing else."""
