"""Joins the network's parallel heads: for each stride one pointwise and one depthwise convolution instead of four of each.

YuNet ends, for each stride, in four heads over the same features: a pointwise convolution to 1, 1, 4 and 10 channels, a depthwise
3×3 one, then a transpose, a reshape and, for the scores, a sigmoid. Sixteen channels in all are exactly one block of the layout
that convolutions have in vector registers of 512 bits, which each head filled for itself and mostly with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robot.errors import ModelError

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_TAIL = ("Sigmoid", "Reshape", "Transpose")
"""What stands behind a head's convolutions and changes no number but by the sigmoid."""


def join_heads(graph: GraphProto, names: Sequence[str], strides: Sequence[int], output: str) -> None:
    """Replaces the outputs `<name>_<stride>` by one per stride, `output.format(stride=…)`: batch × channels × rows × columns.

    Channels are those of `names`, in that order; sigmoids, transposes and reshapes of the heads are gone. The list of the graph's outputs
    is left to the caller. Raises ModelError if the heads are not two convolutions each, over the same features.
    """
    made_by = {node.output[0]: node for node in graph.node}
    for stride in strides:
        pairs = [_convolutions(f"{name}_{stride}", made_by) for name in names]
        pointwise, depthwise = ([pair[part] for pair in pairs] for part in (0, 1))
        middle = f"heads_{stride}"
        _join(graph, pointwise, pointwise[0].input[0], middle)
        _join(graph, depthwise, middle, output.format(stride=stride))
    _drop_unused(graph, {output.format(stride=stride) for stride in strides})


def _convolutions(name: str, made_by: Mapping[str, NodeProto]) -> tuple[NodeProto, NodeProto]:
    """Returns the pointwise and the depthwise convolution that end in the output of this name."""
    value = name
    while value in made_by and made_by[value].op_type in _TAIL:
        value = made_by[value].input[0]
    depthwise = made_by.get(value)
    pointwise = made_by.get(depthwise.input[0]) if depthwise is not None else None
    if depthwise is None or pointwise is None or {depthwise.op_type, pointwise.op_type} != {"Conv"}:
        raise ModelError(f"output {name}: not made by two convolutions, these heads cannot be joined")
    return pointwise, depthwise


def _join(graph: GraphProto, nodes: Sequence[NodeProto], source: str, result: str) -> None:
    """Appends one convolution from `source` to `result` that does what these do side by side."""
    from onnx import helper, numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    settings = [_settings(node) for node in nodes]
    groups = [int(setting.pop("group")) for setting in settings]
    if any(setting != settings[0] for setting in settings) or any(len(node.input) != 3 for node in nodes):
        raise ModelError(f"{result}: the convolutions of the heads differ, they cannot be joined")
    arrays = [[numpy_helper.to_array(weights[node.input[i]]) for node in nodes] for i in (1, 2)]
    # side by side: one group over the same features, or every channel on its own
    whole = all(group == 1 for group in groups) and len({node.input[0] for node in nodes}) == 1
    apart = all(group == len(kernel) and kernel.shape[1] == 1 for group, kernel in zip(groups, arrays[0], strict=True))
    if not whole and not apart:
        raise ModelError(f"{result}: the convolutions of the heads are neither over all channels nor over single ones")
    names = [f"{result}_{part}" for part in ("weight", "bias")]
    for name, parts in zip(names, arrays, strict=True):
        graph.initializer.append(numpy_helper.from_array(np.concatenate(parts), name))
    group = 1 if whole else sum(groups)
    graph.node.append(helper.make_node("Conv", [source, *names], [result], name=result, group=group, **settings[0]))


def _settings(node: NodeProto) -> dict[str, Any]:
    from onnx import helper

    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {"group": 1} | found


def _drop_unused(graph: GraphProto, wanted: set[str]) -> None:
    """Removes nodes and constants that no wanted output needs any more."""
    kept = []
    needed = set(wanted)
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    nodes, constants = kept[::-1], [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
