"""The receiver and the broker's settings in docs/fleet.md, as they stand there, before a real broker and a real uplink."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import ssl
import subprocess
import sys
from pathlib import Path

import aiomqtt
import pytest
from alarm_event import ALARM
from broker import Mosquitto
from certificates import Authority
from test_uplink import Sender, sending
from waiting import until_so

from robot.bench.fleet_brokers import Node, free_ports
from robot.events import encode
from robot.store import Store

pytestmark = pytest.mark.system

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")


def test_it_takes_every_event_once_also_after_it_was_away(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert 'PORT = "127.0.0.1", 1883' in code
    command = [sys.executable, "-c", code.replace("1883", str(broker.port))]

    def receiver() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    def line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def rows() -> int:
        with sqlite3.connect(tmp_path / "centre.sqlite3") as db:
            count = int(db.execute("SELECT count(*) FROM events").fetchone()[0])
        db.close()
        return count

    async def run(store: Store) -> None:
        sender = Sender(store, broker.port)
        centre = receiver()
        try:
            async with sending(sender):
                assert await asyncio.to_thread(line, centre) == "robot-1 online available"
                alarm = sender.make(ALARM, t_unix_ns=0, t_mono_ns=0)
                store.append(alarm)
                sender.uplink.wake()
                assert await asyncio.to_thread(line, centre) == "ALARM robot-1 38.2 °C"
                async with aiomqtt.Client("127.0.0.1", broker.port) as again:
                    await again.publish("patrol/station/robot-1/events/alarm/raised", encode(alarm), qos=1)
                sender.publish(10)
                await until_so(lambda: rows() == 11)
                centre.kill()
                centre.communicate()
                sender.publish(10)
                await until_so(lambda: not store.outbox_pending())
                centre = receiver()
                await until_so(lambda: rows() == 21)
            said = []
            while len(said) < 5 and "robot-1 GONE unavailable" not in said:
                said.append(await asyncio.to_thread(line, centre))
            assert set(said[:-1]) == {"robot-1 online available"} and "GONE" in said[-1]
        finally:
            centre.kill()
            centre.communicate()

    try:
        with Store(tmp_path / "events.sqlite3", outbox=True) as store:
            asyncio.run(run(store))
    finally:
        broker.kill()


def test_the_broker_of_one_site_lets_a_robot_write_its_own_topics_only(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("localhost")
    folder.mkdir()
    for source, name in ((authority.pem, "ca.pem"), (certificate, "server.pem"), (key, "server.key")):
        (folder / name).write_bytes(source.read_bytes())
    config, acl = (
        re.findall(rf"{start}.*?```\n(.*?)```", PAGE, re.DOTALL)[0] for start in ("patrol.conf`", "mosquitto/acl`")
    )
    (port,) = free_ports(1)
    (folder / "patrol.conf").write_text(
        config.replace("/etc/mosquitto", str(folder)).replace("listener 8883", f"listener {port}")
        + f"persistence_location {folder}/\nuser root\n"
    )
    (folder / "acl").write_text(
        acl.replace("hall-a-robot-7", "station-robot-1").replace("hall-a/robot-7", "station/robot-1")
    )
    for index, user in enumerate(("station-robot-1", "centre")):
        made = ["mosquitto_passwd", "-b", *([] if index else ["-c"]), str(folder / "passwords"), user, "open-sesame"]
        subprocess.run(made, check=True)
    secret = tmp_path / "uplink.toml"
    secret.write_text('username = "station-robot-1"\npassword = "open-sesame"\n')
    node = Node(["mosquitto", "-c", str(folder / "patrol.conf")])
    node.start(port)
    trust = ssl.create_default_context(cafile=str(authority.pem))

    def client(user: str) -> aiomqtt.Client:
        return aiomqtt.Client("localhost", port, username=user, password="open-sesame", tls_context=trust)

    async def run(store: Store) -> None:
        broker = {"broker": f"mqtts://localhost:{port}", "tls_ca": str(authority.pem), "credentials_file": str(secret)}
        async with client("centre") as centre, sending(Sender(store, 0, **broker)) as sender:
            await centre.subscribe("patrol/#", qos=1)
            async with client("station-robot-1") as liar:
                await liar.publish("patrol/station/robot-2/events/alarm/raised", b"{}", qos=1)
                # Mosquitto cuts its line. aiomqtt leaves that error in a future that asyncio complains of, unless somebody reads.
                with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                    async with asyncio.timeout(1):
                        await anext(liar.messages)
            sender.publish(3)
            topics = []
            async with asyncio.timeout(20):
                async for message in centre.messages:
                    topics.append(str(message.topic))
                    if topics.count("patrol/station/robot-1/events/system/stopping") == 3:
                        break
            assert all(topic.startswith("patrol/station/robot-1/") for topic in topics)

    try:
        with Store(tmp_path / "events.sqlite3", outbox=True) as store:
            asyncio.run(run(store))
    finally:
        node.kill()
