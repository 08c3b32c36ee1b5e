"""What KEDA does with our ScaledObjects, as its `redis-streams` scaler and the autoscaler behind it compute it.

The query depends on what the trigger names: without a group the length of the stream; with a group and `lagCount` the
group's lag, where unknown becomes -1, a stream that is missing counts 0, and a group that is missing the length.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from ruamel.yaml import YAML

K8S = Path(__file__).resolve().parents[3] / "deploy/k8s"
UNKNOWN = -1


def scaled_object(file: str) -> dict[str, Any]:
    """The specification in a file below deploy/k8s."""
    loaded = YAML(typ="safe", pure=True).load(K8S / file)
    assert loaded["kind"] == "ScaledObject"
    return dict(loaded["spec"])


async def query(redis: Redis, metadata: Mapping[str, str]) -> int:
    stream, group = metadata["stream"], metadata.get("consumerGroup")
    if group is None:
        return int(await redis.xlen(stream))
    assert "lagCount" in metadata, "pending entries are not modelled"
    if not await redis.exists(stream):
        return 0
    groups = await redis.xinfo_groups(stream)
    for one in groups:
        if one["name"] == group.encode():
            return UNKNOWN if one["lag"] is None else int(one["lag"])
    return int(await redis.xlen(stream))


async def replicas(redis: Redis, spec: Mapping[str, Any]) -> int:
    """How many replicas there are once the windows and cool-downs have passed."""
    counts = {
        each.get("name", str(number)): await query(redis, each["metadata"])
        for number, each in enumerate(spec["triggers"])
    }
    modifiers = spec.get("advanced", {}).get("scalingModifiers")
    if modifiers:
        wanted = [math.ceil(added_up(modifiers["formula"], counts) / float(modifiers["target"]))]
        active = added_up(modifiers["formula"], counts) > 0
    else:
        targets = [float(each["metadata"]["streamLength"]) for each in spec["triggers"]]
        wanted = [math.ceil(n / target) for n, target in zip(counts.values(), targets, strict=True)]
        active = any(count > 0 for count in counts.values())
    if not active:
        return int(spec["minReplicaCount"])
    least = max(1, spec["minReplicaCount"])
    return int(min(max(*wanted, least), spec["maxReplicaCount"]))


def added_up(formula: str, counts: Mapping[str, int]) -> int:
    """The value of a formula that adds names; anything else in it is refused."""
    node = ast.parse(formula, mode="eval").body
    total = 0
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        assert isinstance(node.right, ast.Name)
        total += counts[node.right.id]
        node = node.left
    assert isinstance(node, ast.Name), formula
    return total + counts[node.id]
