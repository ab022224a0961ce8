"""Table of adversarial training methods: the objective, ascent, norm, radius and source of each."""

import dataclasses
from typing import Any

from alum.core.errors import unknown_name
from alum.core.method_settings import Method

# fmt: off
SETTINGS = tuple(
    field.name for field in dataclasses.fields(Method) if field.name not in ("name", "source", "differences")
)
"""Settings of a method, in their order."""

METHODS: dict[str, Method] = {row.name: row for row in (
    Method("standard", "maximum likelihood, no adversary", alpha=0.0, num_steps=0),
    Method("alum", "Liu et al. 2020, arXiv:2004.08994, Algorithm 1",
           "normalised step of the length of the radius, relative L2 ball per token, shared dropout masks",
           init_std=1 / 3),
    Method("alum_one_pass", "this project; the objective of arXiv:2004.08994 with the direction of Miyato et al. 2017",
           "δ ascends the task loss with the gradient of its own backward pass; clean side constant in D",
           ascent="task_loss", gradient="task_backward", clean_side="constant"),
    Method("alum_virtual",
           "this project; the objective of arXiv:2004.08994 with a virtual direction after Miyato et al. 2018, "
           "arXiv:1704.03976",
           "δ ascends -log p of the most likely output through the clean pass's own graph, not D from a small start",
           ascent="predicted", gradient="clean_pass"),
    Method("alum_paper", "Liu et al. 2020, arXiv:2004.08994, Algorithm 1 with the constants of section 4.1",
           "alpha is that of fine-tuning, pre-training has 10 from half way on; the paper does not say how dropout is "
           "treated, so masks are independent",
           step_rule="raw", step_size=1e-3, norm="linf",
           epsilon=1e-5, epsilon_unit="absolute", init_std=1.0, dropout="independent"),
    Method("alum_released", "the released code of ALUM and SMART, github.com/namisan/mt-dnn, mt_dnn/perturbation.py",
           "D is the symmetric KL throughout (theirs: 2 Σ p · log-odds difference to ascend, KLs to detached targets "
           "as the loss); padding is not perturbed; δ is added by a hook, where theirs feeds what comes out of the "
           "embeddings module back in as inputs_embeds, through positions and LayerNorm a second time",
           step_rule="raw", step_size=1e-5, norm="linf", projection="rescale",
           epsilon=1.0, epsilon_unit="absolute", init_std=1e-5, dropout="independent", layer="embeddings"),
    Method("noise", "this project, a control: a random direction instead of the adversary's",
           num_steps=0, projection="rescale", init_std=1.0),
    Method("r3f", "Aghajanyan et al. 2020, arXiv:2008.03156, with the constants of their code in fairseq, examples/rxf",
           "no side of D is detached, as in both; the noised pass's gradient reaches the embeddings, which their code "
           "detaches there; padding has no noise; regression has squared error for D, theirs no such term",
           num_steps=0, norm="linf", epsilon=1e-5, epsilon_unit="absolute", init_std=3**-0.5, init_noise="uniform",
           dropout="independent"),
    Method("r_drop", "Liang et al. 2021, arXiv:2106.14448",
           "task loss of the first pass only, theirs of both; D is the sum of the two KLs, theirs their mean",
           num_steps=0, dropout="independent"),
    Method("fgm", "Miyato et al. 2017, arXiv:1605.07725",
           "radius relative to the norm of the sequence's embeddings, which are not normalised",
           term="task_loss", ascent="task_loss", gradient="task_backward", scope="sequence"),
    Method("pgd", "Madry et al. 2018, arXiv:1706.06083, on embeddings",
           "clean task loss kept beside the adversarial one; starts at δ = 0; normalised L2 steps",
           term="task_loss", ascent="task_loss", num_steps=3, step_size=0.5),
    Method("freelb", "Zhu et al. 2020, arXiv:1909.11764, Algorithm 1",
           "one radius and step for all tasks, of the size of those in its appendix B",
           term="ascent_losses", ascent="task_loss", num_steps=3, step_size=2 / 3, scope="sequence",
           epsilon=0.15, epsilon_unit="absolute", init_std=3**-0.5, init_noise="uniform"),
    Method("smart", "Jiang et al. 2020, arXiv:1911.03437, Algorithm 1 with the constants of its experiments",
           "alpha is the least of those tried there; the paper does not say how dropout is treated, so masks are "
           "independent, those of the averaged weights' pass too",
           step_size=100.0, norm="linf", scope="sequence", epsilon=1e-5, epsilon_unit="absolute", init_std=1.0,
           dropout="independent", proximal_weight=1.0),
    Method("adv_softmax", "Wang et al. 2019, arXiv:1906.03805, with the radius of their code, "
           "github.com/ChengyueGongR/advsoft, mos-awd-lstm-lm/model.py",
           "δ at every label, where their code has none at those whose embedding is at over 90° to h; one softmax, "
           "theirs a mixture; no noise on the input embeddings beside it",
           term="output_embeddings", num_steps=0, epsilon=0.005),
)}
# fmt: on


def method_named(name: str, **overrides: Any) -> Method:
    """Looks up the row of `METHODS` called ``name`` and puts in the settings of ``overrides`` that are not None.

    Raises `InputError` for an unknown name, of a method or a setting, or a setting out of its range.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    for setting in overrides:
        if setting not in SETTINGS:
            raise unknown_name("setting of a method", setting, SETTINGS)
    return dataclasses.replace(METHODS[name], **{k: v for k, v in overrides.items() if v is not None})
