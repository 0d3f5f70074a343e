"""The uplink before a cluster of three NATS servers (MQTT listeners, JetStream with three copies), one of which is killed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from test_uplink import Sender, listening, sending, until

from robot.store import Store

SERVER = shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(SERVER is None, reason="needs nats-server (apt-get install nats-server)"),
]


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Cluster:
    """Three servers on one machine; `mqtt` are the ports of their MQTT listeners."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(9)
        clients, self.mqtt, routes = ports[:3], ports[3:6], ports[6:]
        urls = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
        self._processes = []
        for number in range(3):
            config = folder / f"node-{number}.conf"
            config.write_text(
                f"server_name: node-{number}\nlisten: 127.0.0.1:{clients[number]}\n"
                f"jetstream {{ store_dir: {folder}/node-{number} }}\n"
                f"cluster {{ name: control, listen: 127.0.0.1:{routes[number]}, routes: [{urls}] }}\n"
                f"mqtt {{ listen: 127.0.0.1:{self.mqtt[number]}, stream_replicas: 3, ack_wait: 2s, max_ack_pending: 10000 }}\n"
            )
            with (folder / f"node-{number}.log").open("wb") as out:
                self._processes.append(subprocess.Popen([str(SERVER), "-c", str(config)], stdout=out, stderr=out))

    async def ready(self) -> None:
        """Waits until every node takes a session, which needs a leader and a majority of copies."""
        end_s = time.monotonic() + 60
        for port in self.mqtt:
            while True:
                try:
                    async with aiomqtt.Client("127.0.0.1", port, identifier=f"probe-{port}", timeout=5) as client:
                        await client.publish("probe", b"", qos=1)
                    break
                except aiomqtt.MqttError:
                    assert time.monotonic() < end_s, "the cluster did not start"
                    await asyncio.sleep(0.2)

    def kill(self, number: int) -> None:
        self._processes[number].kill()
        self._processes[number].wait()

    def end(self) -> None:
        for number in range(3):
            self.kill(number)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    yield started
    started.end()


def test_nothing_is_lost_when_a_node_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    # The robot knows two nodes, the centre listens at the third; the robot's first one dies at once with what it confirmed.
    total, step = 300, 30
    both = ", ".join(f"mqtt://127.0.0.1:{port}" for port in cluster.mqtt[:2])

    async def run(store: Store) -> None:
        await cluster.ready()
        sender = Sender(store, 0, broker=both, hold_s="2")
        async with listening(cluster.mqtt[2], "patrol/station/robot-1/events/#") as got, sending(sender):
            await until(lambda: sender.uplink.problem == "")
            for number in range(total // step):
                sender.publish(step)
                await asyncio.sleep(0.1)
                if number == 4:
                    await until(lambda: sender.uplink.sent > 0)
                    cluster.kill(0)
            await until(lambda: {event["seq"] for event in got} == set(range(1, total + 1)), 60)
            await until(lambda: not store.outbox_pending(), 30)
            assert str(cluster.mqtt[0]) not in sender.uplink.problem

    with Store(tmp_path / "events.sqlite3", outbox=True) as store:
        asyncio.run(run(store))
