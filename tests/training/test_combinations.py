import pytest
from accelerate.utils import DistributedType

from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.training.combinations import check_combination
from alum.training.config import AlumConfig
from tiny_runs import config


def check(folder, name, distributed_type, **settings):
    args = config(folder, adv_method=name, **settings)
    check_combination(args, args.method(), distributed_type, own_loss=False)


@pytest.mark.parametrize("layer", ["0", "1"])
def test_one_pass_at_a_block_is_refused_where_weights_are_freed_between_passes(tmp_path, layer):
    with pytest.raises(InputError, match=rf"with FSDP 'alum_one_pass' cannot perturb block {layer}.*or a method"):
        check(tmp_path, "alum_one_pass", DistributedType.FSDP, adv_layer=layer)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("alum_one_pass", {}), ("alum_one_pass", {"adv_layer": "embeddings"}), ("alum", {"adv_layer": "1"})],
)
def test_others_are_not(tmp_path, name, settings):
    check(tmp_path, name, DistributedType.FSDP, **settings)
    check(tmp_path, "alum_one_pass", DistributedType.MULTI_CPU, adv_layer="1")


def test_compiled_passes_in_several_processes_would_not_share_masks(tmp_path, monkeypatch):
    check(tmp_path, "alum", DistributedType.NO, torch_compile=True)
    monkeypatch.setattr(AlumConfig, "world_size", 2)
    with pytest.raises(InputError, match=r"cannot share dropout masks.*Leave torch_compile out, or set adv_dropout"):
        check(tmp_path, "alum", DistributedType.MULTI_CPU, torch_compile=True)
    check(tmp_path, "alum", DistributedType.MULTI_CPU, torch_compile=True, adv_dropout="off")
    check(tmp_path, "alum", DistributedType.MULTI_CPU)


@pytest.mark.parametrize("settings", [{"adv_method": "alum_one_pass"}, {"adv_method": "alum", "adv_fraction": 0.5}])
def test_two_backward_passes_are_refused_where_the_first_updates_the_weights(tmp_path, settings):
    args = config(tmp_path, **settings)
    with pytest.raises(InputError, match="DeepSpeed updates the weights in its backward pass"):
        check_combination(args, method_named(settings["adv_method"]), DistributedType.DEEPSPEED, own_loss=False)
