"""The uplink before a cluster of three NATS servers (MQTT listeners, JetStream with three copies), one of which is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from test_uplink import Sender, listening, sending
from waiting import until_so

from drivers.factory import open_position
from robot.bench.fleet_brokers import HOST, NatsCluster, Node, free_ports, program, subscribe
from robot.errors import DeviceError
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
            await until_so(lambda: sender.uplink.problem == "")
            for number in range(total // step):
                sender.publish(step)
                await asyncio.sleep(0.1)
                if number == 4:
                    await until_so(lambda: sender.uplink.sent > 0)
                    cluster.kill()
            await until_so(lambda: {event["seq"] for event in got} == set(range(1, total + 1)), 120)
            await until_so(lambda: not store.outbox_pending(), 60)

    with Store(tmp_path / "events.sqlite3", outbox=True) as store:
        asyncio.run(run(store))


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[int]:
    """The port of a server that is alone, and refuses a subscription as one without a leader does: by a code in its answer."""
    client, port = free_ports(2)
    file = tmp_path / "lone.conf"
    file.write_text(
        f"server_name: lone\nlisten: {HOST}:{client}\njetstream {{ store_dir: {tmp_path}/lone }}\n"
        f"mqtt {{ listen: {HOST}:{port} }}\n"
    )
    node = Node([str(program("nats-server")), "-c", str(file)])
    node.start(port)
    yield port
    node.kill()


def test_a_subscription_that_is_refused_is_not_taken_for_one(lone: int) -> None:
    async def run() -> None:
        async with aiomqtt.Client(HOST, lone) as client:
            await subscribe(client, "patrol/#")
            with pytest.raises(aiomqtt.MqttError, match="refuses the subscription to a b"):
                await subscribe(client, "a b")

    asyncio.run(run())


def test_poses_that_the_broker_will_not_give_are_told(lone: int) -> None:
    open_position(f"mqtt://{HOST}:{lone}/pose").close()
    with pytest.raises(DeviceError, match="refuses: the topic a b"):
        open_position(f"mqtt://{HOST}:{lone}/a%20b")
