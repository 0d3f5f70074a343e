"""Lets the network's first convolution read pictures as they are: blue, green and red of a pixel side by side, row by row.

A convolution over three planes is the same sum as one over a single plane that is three times as wide, with a kernel three times as wide
that goes three times as far with each step. So no picture has to be taken apart into planes, by the graph or before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robot.errors import ModelError

if TYPE_CHECKING:
    from onnx import GraphProto

COLOURS = 3


def take_interleaved(graph: GraphProto) -> None:
    """Changes the one node that reads the graph's input: it expects batch × 1 × height × (3 · width) instead of batch × 3 × height × width.

    The input's declaration is left to the caller. Raises ModelError if that node is not a plain convolution of three planes.
    """
    from onnx import helper, numpy_helper

    readers = [node for node in graph.node if graph.input[0].name in node.input]
    weights = {tensor.name: tensor for tensor in graph.initializer}
    node = readers[0] if len(readers) == 1 and readers[0].op_type == "Conv" else None
    if node is None or node.input[1] not in weights:
        raise ModelError("the network does not begin with a convolution, it cannot take pictures as they are")
    settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    kernel = numpy_helper.to_array(weights[node.input[1]])
    plain = settings.get("group", 1) == 1 and set(settings.get("dilations", [1])) == {1} and kernel.shape[1] == COLOURS
    if not plain or len(settings.get("pads", [])) != 4 or "strides" not in settings:
        raise ModelError(
            "the network's first convolution is not a plain one of three planes, it cannot take pictures as they are"
        )
    filters, _, rows, columns = kernel.shape
    name = f"{node.input[1]}_interleaved"
    wide = kernel.transpose(0, 2, 3, 1).reshape(filters, 1, rows, COLOURS * columns)
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(wide), name))
    graph.initializer.remove(weights[node.input[1]])
    node.input[1] = name
    down, across = settings["strides"]
    top, left, bottom, right = settings["pads"]
    settings["kernel_shape"] = [rows, COLOURS * columns]
    settings["strides"] = [down, COLOURS * across]
    settings["pads"] = [top, COLOURS * left, bottom, COLOURS * right]
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(key, value) for key, value in settings.items())
