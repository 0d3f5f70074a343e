"""The uplink before a cluster of three NATS servers (MQTT listeners, JetStream with three copies), one of which is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_uplink import Sender, listening, sending, until

from robot.bench_fleet_brokers import NatsCluster, program
from robot.store import Store

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(program("nats-server") is None, reason="needs nats-server (apt-get install nats-server)"),
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    one = NatsCluster(tmp_path / "cluster")
    one.start()
    yield one
    one.close()


def test_nothing_is_lost_when_a_node_is_killed(cluster: NatsCluster, tmp_path: Path) -> None:
    # The robot knows two nodes, the centre listens at the third; the robot's first one dies at once with what it confirmed.
    total, step = 300, 30

    async def run(store: Store) -> None:
        await cluster.ready()
        sender = Sender(store, 0, broker=cluster.address, hold_s="2")
        async with listening(cluster.centre_port, "patrol/station/robot-1/events/#") as got, sending(sender):
            await until(lambda: sender.uplink.problem == "")
            for number in range(total // step):
                sender.publish(step)
                await asyncio.sleep(0.1)
                if number == 4:
                    await until(lambda: sender.uplink.sent > 0)
                    cluster.kill()
            await until(lambda: {event["seq"] for event in got} == set(range(1, total + 1)), 60)
            await until(lambda: not store.outbox_pending(), 30)

    with Store(tmp_path / "events.sqlite3", outbox=True) as store:
        asyncio.run(run(store))
