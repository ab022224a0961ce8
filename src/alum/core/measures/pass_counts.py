"""How many passes of the model a training step of a method takes, and how many of their graphs are alive at once."""

from dataclasses import dataclass

from alum.core.method_settings import Method


@dataclass(frozen=True)
class PassCounts:
    """Passes of one step: forward ones, backward ones to weights and activations, and such as go back to x alone.

    Of the forward ones ``from_x`` begin at the x of the clean pass, whose layers below x are not run again.
    ``graphs`` of forward passes, each kept for a backward pass to the weights, are alive at once at the most. A forward
    pass that goes back to x alone keeps a smaller one, and is alive beside ``graphs_beside_ascent`` of the others.
    """

    forward: int
    from_x: int
    backward: int
    to_x: int
    graphs: int
    graphs_beside_ascent: int

    @property
    def in_standard_steps(self) -> float:
        """FLOPs relative to a step of standard training, where a backward pass costs two forward passes."""
        return (self.forward + 2 * self.backward + self.to_x) / 3


def pass_counts(method: Method) -> PassCounts:
    """Counts the passes that `alum.core.objective.alum_loss` makes of one batch, diagnostics aside.

    >>> from alum.core.methods import METHODS
    >>> pass_counts(METHODS["standard"]), pass_counts(METHODS["alum"]).in_standard_steps
    (PassCounts(forward=1, from_x=0, backward=1, to_x=0, graphs=1, graphs_beside_ascent=0), 2.6666666666666665)
    """
    if method.alpha == 0 or method.is_for_language_models:
        return PassCounts(1, 0, 1, 0, graphs=1, graphs_beside_ascent=0)
    if method.term == "ascent_losses":  # each of its passes is trained on
        return PassCounts(method.num_steps, method.num_steps - 1, method.num_steps, 0, graphs=1, graphs_beside_ascent=0)
    compares_draws = method.changes_text and method.text_draws > 1 and not method.chooses_text_by_gradient
    draws = method.text_draws if compares_draws else 0
    proximal = int(method.has_proximal_term)
    compares_without_dropout = method.dropout == "off" and "divergence" in (method.term, method.ascent)
    if method.space == "text":
        # Without dropout, D's clean side is a pass of its own, which is differentiated unless it is constant.
        further = int(method.dropout == "off" and method.term == "divergence")
        differentiated = further if method.clean_side != "constant" else 0
        return PassCounts(
            2 + draws + further + proximal,
            further,
            2 + differentiated,
            0,
            graphs=1 if method.has_one_graph else 2 + differentiated,
            graphs_beside_ascent=0,
        )
    texts = int(method.changes_text)
    further = int(compares_without_dropout)
    again = int(method.ascends_before_clean_graph)
    # Adversarial pass and those of ascent, one before D's clean side is differentiated, and one without dropout.
    from_x = 1 + method.num_own_passes + int(method.differentiates_clean_side_first) + further
    return PassCounts(
        forward=1 + again + from_x + texts + draws + proximal,
        from_x=from_x,
        backward=2 + texts + (0 if method.has_one_graph else further),
        to_x=method.num_own_passes + int(method.gradient == "clean_pass"),
        graphs=1 + texts + (0 if method.has_one_graph else 1 + further),
        graphs_beside_ascent=0 if method.has_one_graph else 1 + further,
    )
