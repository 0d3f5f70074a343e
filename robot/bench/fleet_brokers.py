"""Real brokers for `patrol bench fleet` and for tests, which can be killed: mosquitto, and a NATS cluster of three nodes."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robot.errors import ConfigError
from robot.tied import tied

if TYPE_CHECKING:
    import aiomqtt

HOST = "127.0.0.1"
_START_S = 10.0
_CLUSTER_START_S = 60.0
"""Three nodes elect leaders of cluster, streams and sessions one after the other."""


def program(name: str) -> str | None:
    """Returns where a broker's program is, also in the folders that only root has in its PATH; None if it is not installed."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _installed(name: str, package: str) -> str:
    found = program(name)
    if found is None:
        raise ConfigError(f"bench fleet needs a broker: apt-get install {package}")
    return found


def free_ports(count: int) -> list[int]:
    """Returns ports that nobody uses at the moment."""
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


async def subscribe(client: aiomqtt.Client, topic: str) -> None:
    """Subscribes at QoS 1; raises MqttError if that is refused. The library does not: a cluster without a leader refuses, and nothing would ever come."""
    import aiomqtt

    granted = await client.subscribe(topic, qos=1)
    if any(getattr(code, "value", code) >= 128 for code in granted):
        raise aiomqtt.MqttError(f"the broker refuses the subscription to {topic}: {granted}")


class Node:
    """One broker's process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, port: int) -> None:
        """Starts it and returns when the port is open; raises ConfigError if it does not open."""
        self._process = subprocess.Popen(tied(self._command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection((HOST, port), 0.2).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until_s:
                    raise ConfigError(f"{self._command[0]} does not start") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, unless it is gone already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def used(self) -> tuple[float, float]:
        """Returns seconds of CPU and resident megabytes."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        return (int(fields[11]) + int(fields[12])) / tick, int(fields[21]) * page / 2**20


class Mosquitto:
    """A broker that saves what it has to keep every second. `kill` and `start` are a power cut and its end."""

    def __init__(self, folder: Path) -> None:
        (self.centre_port,) = free_ports(1)
        self.address = f"mqtt://{HOST}:{self.centre_port}"
        folder.mkdir(parents=True)
        file = folder / "mosquitto.conf"
        self._node = Node([_installed("mosquitto", "mosquitto"), "-c", str(file)])
        file.write_text(
            f"listener {self.centre_port} {HOST}\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n"
            "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nuser root\n"
        )

    async def ready(self) -> None:
        """Nothing to wait for: it serves as soon as its port is open."""

    def start(self) -> None:
        self._node.start(self.centre_port)

    def kill(self) -> None:
        self._node.kill()

    def used(self) -> tuple[float, float]:
        """Returns seconds of CPU and resident megabytes."""
        return self._node.used()

    def close(self) -> None:
        self._node.kill()


class NatsCluster:
    """Three NATS servers with MQTT listeners; streams and sessions have three copies. `kill` is the end of the robots' first node.

    Robots know the first two nodes, the control centre listens at the third.
    """

    def __init__(self, folder: Path) -> None:
        found = _installed("nats-server", "nats-server")
        ports = free_ports(9)
        clients, self._mqtt, routes = ports[:3], ports[3:6], ports[6:]
        self.centre_port = self._mqtt[2]
        self.address = ", ".join(f"mqtt://{HOST}:{port}" for port in self._mqtt[:2])
        urls = ", ".join(f"nats://{HOST}:{port}" for port in routes)
        folder.mkdir(parents=True)
        self._nodes = []
        for number in range(3):
            file = folder / f"node-{number}.conf"
            # Acknowledgements of the centre die with a node; what they were for is delivered again after ack_wait (30 s unless told).
            file.write_text(
                f"server_name: node-{number}\nlisten: {HOST}:{clients[number]}\n"
                f"jetstream {{ store_dir: {folder}/node-{number} }}\n"
                f"cluster {{ name: control, listen: {HOST}:{routes[number]}, routes: [{urls}] }}\n"
                f"mqtt {{ listen: {HOST}:{self._mqtt[number]}, stream_replicas: 3, ack_wait: 2s, max_ack_pending: 10000 }}\n"
            )
            self._nodes.append(Node([found, "-c", str(file)]))
        self._started = False

    async def ready(self) -> None:
        """Waits until every node takes a session, which needs leaders and a majority of copies; raises ConfigError if that takes a minute."""
        import aiomqtt

        until_s = time.monotonic() + _CLUSTER_START_S
        for port in self._mqtt:
            while True:
                try:
                    async with aiomqtt.Client(HOST, port, identifier=f"probe-{port}", timeout=5) as client:
                        await client.publish("probe", b"", qos=1)
                    break
                except aiomqtt.MqttError:
                    if time.monotonic() > until_s:
                        raise ConfigError("the NATS cluster does not start") from None
                    await asyncio.sleep(0.2)

    def start(self) -> None:
        """Starts all nodes, afterwards the one that was killed."""
        for node, port in (
            zip(self._nodes, self._mqtt, strict=True) if not self._started else [(self._nodes[0], self._mqtt[0])]
        ):
            node.start(port)
        self._started = True

    def kill(self) -> None:
        self._nodes[0].kill()

    def used(self) -> tuple[float, float]:
        """Returns seconds of CPU and resident megabytes of the three nodes together."""
        each = [node.used() for node in self._nodes]
        return sum(cpu_s for cpu_s, _ in each), sum(rss_mb for _, rss_mb in each)

    def close(self) -> None:
        for node in self._nodes:
            node.kill()
