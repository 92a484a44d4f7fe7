"""Every invertible layer, by name: a new layer is one line here and gets all the tests.

An entry is (constructor, input shape, condition channels). The constructor takes the keyword
arguments of ``FlowLayer``. Shapes are odd or not square where the layer allows it.
"""

from attnflow_keras import backend, layers, priors
from attnflow_keras.networks import (
    ActNormConvNet,
    ContractiveAttention,
    ContractiveConvNet,
    GatedAttentionNet,
    GatedConvNet,
    GlowConvNet,
    MapToVectorNet,
    ResizedConditionNet,
    StridedVectorNet,
)


def affine(**k):
    return layers.AffineCoupling(GatedConvNet(6, dtype=k.get("dtype")), **k)


def sigmoid_affine(**k):
    network = ActNormConvNet(6, dtype=k.get("dtype"))
    return layers.AffineCoupling(network, scale="sigmoid", **k)


def floored_affine(**k):
    network = ActNormConvNet(6, dtype=k.get("dtype"))
    return layers.AffineCoupling(network, scale="sigmoid", scale_floor=0.9, **k)


def bounded_affine(**k):
    network = GatedConvNet(6, dtype=k.get("dtype"))
    return layers.AffineCoupling(network, input_bound=0.5, **k)


def injector(**k):
    return layers.AffineInjector(ActNormConvNet(6, dtype=k.get("dtype")), **k)


def glow_affine(**k):
    network = GlowConvNet(
        6, k.get("condition_channels", 0), condition_width=5, dtype=k.get("dtype")
    )
    return layers.AffineCoupling(network, scale="sigmoid", **k)


def condition_slice(**k):
    inner = affine(dtype=k.get("dtype"), condition_channels=2)
    return layers.ConditionSlice(inner, start=1, **k)


def conditional_actnorm(**k):
    return layers.ConditionalActNorm(MapToVectorNet(dtype=k.get("dtype")), **k)


def conditional_conv(**k):
    return layers.ConditionalConv1x1(MapToVectorNet(dtype=k.get("dtype")), seed=2, **k)


def strided_vector(k, **options):
    return StridedVectorNet(3, 4, factor=2, dtype=k.get("dtype"), **options)


def strided_actnorm(**k):
    return layers.ConditionalActNorm(strided_vector(k), **k)


def packed_conditional_conv(**k):
    network = strided_vector(k, last_stddev=0.1)
    return layers.ConditionalConv1x1(network, layout="packed", **k)


def resized_affine(**k):
    channels = k["condition_channels"]
    network = ResizedConditionNet(6, channels, factor=2, dtype=k.get("dtype"))
    return layers.AffineCoupling(network, scale="sigmoid", **k)


def edge_affine(**k):
    network = ActNormConvNet(6, edges=True, dtype=k.get("dtype"))
    return layers.AffineCoupling(network, scale="sigmoid", **k)


def mixture(components=3, **k):
    return layers.MixtureCoupling(GatedConvNet(6, dtype=k.get("dtype")), components, **k)


def attending_mixture(**k):
    network = GatedAttentionNet(8, blocks=1, heads=2, dtype=k.get("dtype"))
    return layers.MixtureCoupling(network, 3, rescale=True, **k)


def contractive(kernels=(3, 1, 3), **k):
    # What is left out of the log-determinant is at most 18 * 0.3^21 / (21 * 0.7) = 1e-11.
    network = ContractiveConvNet(5, 0.3, kernels, dtype=k.get("dtype"))
    return layers.ContractiveResidual(network, terms=20, **k)


def contractive_attention(kind, **k):
    network = ContractiveAttention(kind, 0.3, width=3, dtype=k.get("dtype"))
    return layers.ContractiveResidual(network, terms=20, **k)


def chain(**k):
    policy = {"dtype": k.get("dtype")}
    return layers.Chain(
        {
            "squeeze": layers.Squeeze(**policy),
            "actnorm": layers.ActNorm(**policy),
            "conv": layers.InvertibleConv1x1(**policy),
            "coupling": affine(**policy),
            "attention": layers.IMapAttention(**policy),
            "flip": layers.FlipHalves(**policy),
        },
        **k,
    )


def conditional_chain(**k):
    inner = {"dtype": k.get("dtype"), "condition_channels": 2}
    return layers.Chain(
        {"actnorm": layers.ActNorm(dtype=k.get("dtype")), "coupling": affine(**inner)}, **k
    )


def imap(**options):
    return lambda **k: layers.IMapAttention(**options, **k)


def itrans(**options):
    return lambda **k: layers.ITransAttention(**options, **k)


def autoregressive(**options):
    return lambda **k: priors.AutoregressivePrior(width=4, **{"depth": 2, **options}, **k)


def transformer_coupling(**options):
    small = {"patch": 2, "width": 8, "layers": 1, "heads": 2, "components": 3}
    return lambda **k: layers.TransformerCoupling(**{**small, **options}, **k)


def causal(**options):
    small = {
        "patch": 2,
        "width": 8,
        "layers": 1,
        "heads": 2,
        "group": 3,
        "components": 3,
        "spread": 2.0,
    }
    return lambda **k: layers.CausalAttention(**{**small, **options}, **k)


def conv(**options):
    return lambda **k: layers.InvertibleConv1x1(**options, **k)


LAYERS = {
    "actnorm": (layers.ActNorm, (3, 5, 3), 0),
    "conv_full_lu": (conv(), (3, 5, 5), 0),
    "conv_packed": (conv(layout="packed", seed=1), (3, 5, 5), 0),
    "conv_identity": (conv(init="identity"), (3, 3, 4), 0),
    "squeeze": (layers.Squeeze, (4, 6, 3), 0),
    "squeeze_3": (lambda **k: layers.Squeeze(3, **k), (3, 6, 2), 0),
    "flip_halves": (layers.FlipHalves, (3, 5, 4), 0),
    "flip_odd_halves": (layers.FlipHalves, (3, 3, 5), 0),
    "affine_coupling": (affine, (3, 5, 4), 0),
    "affine_coupling_odd": (affine, (3, 3, 5), 0),
    "affine_coupling_conditional": (affine, (3, 5, 4), 2),
    "affine_coupling_sigmoid": (sigmoid_affine, (3, 5, 4), 0),
    "affine_coupling_sigmoid_conditional": (sigmoid_affine, (3, 3, 5), 2),
    "affine_coupling_floored": (floored_affine, (3, 5, 4), 0),
    "affine_coupling_bounded": (bounded_affine, (3, 5, 4), 2),
    "affine_coupling_glow": (glow_affine, (3, 5, 4), 0),
    "affine_coupling_glow_conditional": (glow_affine, (3, 5, 4), 3),
    "condition_shift": (layers.ConditionShift, (3, 5, 4), 4),
    "condition_slice": (condition_slice, (3, 5, 4), 4),
    "affine_injector": (injector, (3, 5, 3), 2),
    "conditional_actnorm": (conditional_actnorm, (5, 6, 3), 2),
    "conditional_conv": (conditional_conv, (5, 6, 4), 2),
    "conditional_conv_loop": (conditional_conv, (5, 5, 18), 1),
    "conditional_actnorm_strided": (strided_actnorm, (4, 8, 3), 4),
    "conditional_conv_packed": (packed_conditional_conv, (4, 8, 5), 4),
    "affine_coupling_resized": (resized_affine, (4, 6, 5), 12),
    "affine_coupling_edges": (edge_affine, (3, 5, 4), 0),
    "logit": (layers.Logit, (3, 5, 3), 0),
    "logit_narrow": (lambda **k: layers.Logit(1e-6, **k), (3, 5, 3), 0),
    "mixture_coupling": (mixture, (3, 5, 4), 0),
    "mixture_coupling_single": (lambda **k: mixture(1, **k), (3, 3, 3), 0),
    "mixture_coupling_bins": (lambda **k: mixture(bins=(0, 255), spread=0.5, **k), (3, 3, 4), 0),
    "mixture_coupling_conditional": (mixture, (3, 5, 4), 2),
    "mixture_coupling_attending": (attending_mixture, (3, 5, 4), 2),
    "mixture_coupling_paper": (lambda **k: mixture(form="paper", rescale=True, **k), (3, 3, 4), 0),
    "contractive_residual": (contractive, (3, 3, 2), 0),
    "contractive_residual_dot": (lambda **k: contractive_attention("dot", **k), (2, 3, 3), 0),
    "contractive_residual_concat": (
        lambda **k: contractive_attention("concat", **k),
        (3, 2, 3),
        0,
    ),
    "contractive_residual_dense": (lambda **k: contractive(kernels=(1, 1), **k), (1, 1, 9), 0),
    "imap": (imap(), (3, 5, 4), 0),
    "imap_spatial": (imap(mask="spatial"), (3, 3, 3), 0),
    "imap_channel": (imap(mask="channel", bias="channel"), (3, 3, 3), 0),
    "imap_random": (imap(mask="random", seed=3), (3, 3, 4), 0),
    "imap_conditional": (imap(bias="channel"), (3, 5, 4), 2),
    "imap_channel_alternating": (imap(mask="channel_alternating"), (3, 3, 4), 0),
    "imap_space": (imap(pool="space", mask="random"), (3, 3, 4), 0),
    "imap_none": (imap(pool="none", mask="channel"), (3, 3, 4), 0),
    "imap_none_conditional": (imap(pool="none", bias="channel"), (3, 4, 4), 2),
    "imap_space_conditional": (imap(pool="space", bias="channel"), (3, 4, 4), 2),
    "imap_paper": (imap(form="paper"), (3, 5, 4), 0),
    "imap_paper_space": (imap(form="paper", pool="space", mask="channel"), (3, 3, 4), 0),
    "itrans": (itrans(), (4, 4, 4), 0),
    "itrans_softmax": (itrans(activation="softmax", mask="channel"), (4, 4, 4), 0),
    "itrans_odd_cell": (itrans(heads=3, mask="random", seed=2), (6, 6, 2), 0),
    "itrans_spatial_heads": (itrans(heads=5, mask="spatial"), (6, 2, 3), 0),
    "itrans_rows": (itrans(heads=2, grid=(7, 1)), (7, 3, 2), 0),
    "itrans_16_cells": (itrans(grid=(4, 4)), (4, 4, 4), 0),
    "itrans_conditional": (itrans(heads=3, activation="softmax"), (4, 6, 2), 2),
    "itrans_mean": (itrans(heads=3, combine="mean", activation="softmax"), (4, 4, 4), 0),
    "itrans_expansion": (itrans(heads=5, expansion=2, mask="channel_alternating"), (6, 6, 4), 0),
    "itrans_paper": (itrans(form="paper", heads=3), (4, 4, 4), 0),
    "itrans_paper_softmax": (
        itrans(form="paper", activation="softmax", combine="mean", heads=2, mask="channel"),
        (4, 4, 4),
        0,
    ),
    "itrans_paper_16_cells": (itrans(form="paper", grid=(4, 4)), (8, 4, 2), 0),
    "split_columns": (layers.SplitColumns, (3, 6, 2), 0),
    "split_columns_merge": (lambda **k: layers.SplitColumns(merge=True, **k), (3, 2, 4), 0),
    "transformer_coupling": (transformer_coupling(), (4, 6, 1), 0),
    "transformer_coupling_mixture": (
        transformer_coupling(kind="pixels", transform="mixture", bins=(0, 255), spread=0.5),
        (6, 4, 1),
        0,
    ),
    "transformer_coupling_refinement": (
        transformer_coupling(
            kind="refinement", stage=1, transform="mixture", bins=(0,), spread=0.5, context="around"
        ),
        (4, 6, 1),
        0,
    ),
    "transformer_coupling_refinement_condition": (
        transformer_coupling(kind="refinement", stage=4, see_levels=True, spread=0.5),
        (4, 4, 2),
        3,
    ),
    "transformer_coupling_condition": (
        transformer_coupling(kind="checkerboard", swap=True, condition_scale=2),
        (6, 6, 2),
        3,
    ),
    "causal": (causal(), (4, 4, 1), 0),
    "causal_levels": (
        causal(bins=(0, 120, 255), see_levels=True, order="columns"),
        (2, 4, 1),
        0,
    ),
    "causal_colour": (causal(layers=2, order="reversed", condition_scale=2), (2, 4, 2), 3),
    "causal_odd": (causal(patch=3, components=1, context="previous"), (3, 6, 1), 2),
    "causal_tarflow": (
        causal(transform="affine", group=0, context="previous"),
        (2, 6, 2),
        0,
    ),
    "causal_affine": (causal(transform="affine", condition_scale=None), (2, 4, 1), 3),
    "causal_loop": (causal(patch=1, group=0, condition_scale=3), (3, 6, 1), 2),
    "causal_linear": (causal(linear=True, bins=(0, 255), order="columns"), (4, 4, 1), 0),
    "causal_linear_condition": (causal(linear=True, condition_scale=2), (2, 4, 1), 3),
    "causal_linear_class": (causal(linear=True, condition_scale=None), (2, 4, 1), 3),
    "autoregressive_prior": (autoregressive(), (3, 4, 3), 0),
    "autoregressive_prior_dilated": (autoregressive(kernel_size=5, dilation=2), (5, 6, 3), 2),
    "autoregressive_prior_loop": (autoregressive(depth=1), (3, 1, 18), 1),
    "gaussian_prior": (priors.GaussianPrior, (3, 5, 3), 0),
    "gaussian_split_prior": (priors.GaussianPrior, (3, 5, 3), 2),
    "gaussian_zero_conv_prior": (
        lambda **k: priors.GaussianPrior("zero_conv", **k),
        (3, 5, 3),
        2,
    ),
    "gaussian_one_padded_prior": (
        lambda **k: priors.GaussianPrior("one_padded", **k),
        (3, 5, 3),
        0,
    ),
    "gaussian_one_padded_split_prior": (
        lambda **k: priors.GaussianPrior("one_padded", **k),
        (3, 5, 3),
        2,
    ),
    "gaussian_tanh_split_prior": (lambda **k: priors.GaussianPrior("tanh", **k), (3, 5, 3), 2),
    "gaussian_element_prior": (lambda **k: priors.GaussianPrior("element", **k), (3, 5, 3), 0),
    "learned_top_prior": (priors.LearnedTopPrior, (3, 5, 3), 0),
    "linked_prior": (priors.LinkedPrior, (3, 5, 3), 3),
    "linked_top_prior": (lambda **k: priors.LinkedPrior(top=True, **k), (3, 5, 3), 2),
    "standard_prior": (priors.StandardPrior, (3, 5, 3), 0),
    "chain": (chain, (4, 4, 1), 0),
    "conditional_chain": (conditional_chain, (3, 3, 4), 2),
}


# Their inverse goes from value to value and carries errors on, so weights that are wild make it
# chaotic in float32; trained ones are not.
SEQUENTIAL = {name for name in LAYERS if name.startswith("causal")}

# As printed in the paper: invertible for ordinary inputs only, and singular for some.
PAPER_FORMS = {name for name in LAYERS if "paper" in name}


def build(name, dtype="float64"):
    """The built layer, its input shape and its condition channels."""
    constructor, shape, channels = LAYERS[name]
    options = {"condition_channels": channels} if channels else {}
    layer = constructor(dtype=dtype, **options)
    with backend.start_values():
        layer.build((None, *shape))
    return layer, shape, channels
