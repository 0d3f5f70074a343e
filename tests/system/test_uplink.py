"""The uplink against a real broker: nothing lost over killed brokers and killed robots, and a status that tells the truth."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiomqtt
import pytest
from broker import Mosquitto
from certificates import Authority
from waiting import until_so

from robot import event_data
from robot.backoff import Backoff
from robot.bench.fleet_brokers import subscribe
from robot.config import UplinkSettings
from robot.errors import ConfigError
from robot.events import EventFactory
from robot.store import Store
from robot.uplink import BATCH, Status, Uplink

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="needs mosquitto (apt-get install mosquitto)"),
]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "events.sqlite3", outbox=True) as opened:
        yield opened


class Sender:
    """A store with an uplink, as the robot joins them: what was confirmed leaves the outbox on the writer's side."""

    def __init__(self, store: Store, port: int, **settings: str) -> None:
        self.store = store
        self.make = EventFactory("robot-1", "square", store.last_seq() + 1, lambda: uuid.uuid4().hex).make
        self.status = Status(online=True, robot="robot-1", site="station", screening="available")
        address = settings.pop("broker", f"mqtt://127.0.0.1:{port}")
        hold_s = float(settings.pop("hold_s", "0"))
        self.uplink = Uplink(
            UplinkSettings(broker=address, hold_s=hold_s, **settings),
            "station",
            "robot-1",
            store.path,
            get_status=lambda: self.status,
            on_confirmed=store.outbox_done,
            backoff=Backoff(0.05, 0.2, 0.5, random.Random(1)),
        )

    def publish(self, count: int) -> None:
        batch = [
            self.make(event_data.SystemStoppingData(reason=f"r{n}"), t_unix_ns=0, t_mono_ns=0) for n in range(count)
        ]
        self.store.append(batch)
        self.uplink.wake()


@contextlib.asynccontextmanager
async def sending(sender: Sender) -> AsyncIterator[Sender]:
    task = asyncio.create_task(sender.uplink.run())
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def listen(port: int, got: list[dict[str, object]], topic: str, listens: asyncio.Event) -> None:
    """A control centre with a lasting session: what the broker has confirmed reaches it, over cuts of its own."""
    while True:
        try:
            async with aiomqtt.Client("127.0.0.1", port, identifier="centre", clean_session=False) as centre:
                await subscribe(centre, topic)
                listens.set()
                async for message in centre.messages:
                    assert isinstance(message.payload, bytes)
                    got.append({"topic": str(message.topic), **json.loads(message.payload)})
        except aiomqtt.MqttError:
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def listening(port: int, topic: str = "patrol/#") -> AsyncIterator[list[dict[str, object]]]:
    got: list[dict[str, object]] = []
    listens = asyncio.Event()
    task = asyncio.create_task(listen(port, got, topic, listens))
    try:
        # What is confirmed before nobody need ever get.
        await asyncio.wait_for(listens.wait(), 60)
        yield got
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_events_arrive_in_order_and_leave_the_outbox(mosquitto: Mosquitto, store: Store) -> None:
    async def run() -> None:
        sender = Sender(store, mosquitto.port)
        sender.publish(2 * BATCH + 5)
        async with listening(mosquitto.port, "patrol/station/robot-1/events/#") as got, sending(sender):
            sender.publish(3)
            await until_so(lambda: not store.outbox_pending())
            await until_so(lambda: len(got) >= 2 * BATCH + 8)
            assert [event["seq"] for event in got] == list(range(1, 2 * BATCH + 9))
            assert got[0]["topic"] == "patrol/station/robot-1/events/system/stopping"
            assert sender.uplink.problem == ""

    asyncio.run(run())


def test_an_uplink_that_ends_with_a_bug_is_not_said_to_be_up(mosquitto: Mosquitto, store: Store) -> None:
    async def run() -> None:
        sender = Sender(store, mosquitto.port)
        task = asyncio.create_task(sender.uplink.run())
        await until_so(lambda: not sender.uplink.problem)
        sender.uplink._get_status = lambda: 1 // 0  # type: ignore[assignment]
        with pytest.raises(ZeroDivisionError):
            await task
        assert sender.uplink.problem

    asyncio.run(run())


def test_the_status_is_kept_told_anew_and_turned_by_the_last_will(mosquitto: Mosquitto, store: Store) -> None:
    async def run() -> None:
        sender = Sender(store, mosquitto.port)
        async with sending(sender), listening(mosquitto.port, "patrol/+/+/status") as got:
            await until_so(lambda: bool(got) and got[-1]["screening"] == "available")
            sender.status = Status(
                online=True, robot="robot-1", site="station", screening="unavailable", reasons=("thermal_lost",)
            )
            sender.uplink.wake()
            await until_so(lambda: got[-1]["reasons"] == ["thermal_lost"])
        async with listening(mosquitto.port, "patrol/+/+/status") as late:
            await until_so(lambda: bool(late))
            assert (late[-1]["online"], late[-1]["reasons"]) == (False, ["stopped"])
            assert late[-1]["screening"] == "unavailable"

    asyncio.run(run())


def _robot(database: Path, port: int, total: int) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("uplink_robot.py")
    return subprocess.Popen([sys.executable, str(script), str(database), str(port), str(total)])


def test_a_robot_that_dies_is_reported_by_the_broker(mosquitto: Mosquitto, tmp_path: Path) -> None:
    async def run() -> None:
        async with listening(mosquitto.port, "patrol/+/+/status") as got:
            process = _robot(tmp_path / "events.sqlite3", mosquitto.port, 10**9)
            try:
                await until_so(lambda: bool(got) and got[-1]["online"] is True)
            finally:
                process.kill()
                process.wait()
            await until_so(lambda: got[-1]["online"] is False)
            assert (got[-1]["reasons"], got[-1]["screening"]) == (["disconnected"], "unavailable")

    asyncio.run(run())


def test_nothing_is_lost_over_killed_robots(mosquitto: Mosquitto, tmp_path: Path) -> None:
    database, total = tmp_path / "events.sqlite3", 1500

    async def run() -> None:
        rng = random.Random(5)
        async with listening(mosquitto.port, "patrol/station/robot-1/events/#") as got:
            for _ in range(6):
                process = _robot(database, mosquitto.port, total)
                await asyncio.sleep(rng.uniform(0.4, 1.0))
                process.kill()
                process.wait()
            process = _robot(database, mosquitto.port, total)
            await until_so(lambda: process.poll() is not None, 60)
            assert process.returncode == 0
            await until_so(lambda: {event["seq"] for event in got} == set(range(1, total + 1)), 30)
            assert len({event["id"] for event in got}) == total

    asyncio.run(run())


def test_nothing_is_lost_over_killed_brokers(mosquitto: Mosquitto, store: Store) -> None:
    total, step = 2000, 100

    async def run() -> None:
        sender = Sender(store, mosquitto.port, hold_s="3")
        rng = random.Random(3)
        async with listening(mosquitto.port, "patrol/station/robot-1/events/#") as got, sending(sender):
            for number in range(total // step):
                sender.publish(step)
                await asyncio.sleep(rng.uniform(0.0, 0.05))
                if number % 5 == 2:
                    # At once: what it has confirmed it may not have saved.
                    mosquitto.kill()
                    await asyncio.sleep(rng.uniform(0.0, 0.3))
                    mosquitto.start()
            await until_so(lambda: not store.outbox_pending(), 60)
            expected = set(range(1, store.last_seq() + 1))
            await until_so(lambda: {event["seq"] for event in got} >= expected, 30)
            by_id = {event["id"]: event["seq"] for event in got}
            assert len(by_id) == len(expected), "repeats carry the id that they had"

    asyncio.run(run())


def test_what_a_dying_broker_confirmed_is_sent_again_to_the_next(
    mosquitto: Mosquitto, tmp_path: Path, store: Store
) -> None:
    first = Mosquitto(tmp_path / "first")
    first.start()
    both = f"mqtt://127.0.0.1:{first.port}, mqtt://127.0.0.1:{mosquitto.port}"

    async def run() -> None:
        async with (
            listening(mosquitto.port, "patrol/station/robot-1/events/#") as got,
            sending(Sender(store, 0, broker=both, hold_s="2")) as sender,
        ):
            sender.publish(40)
            await until_so(lambda: sender.uplink.sent == 40)
            assert len(store.outbox_pending()) == 40, "confirmed is not yet safe"
            first.kill()
            await until_so(lambda: {event["seq"] for event in got} == set(range(1, 41)))
            await until_so(lambda: not store.outbox_pending())

    try:
        asyncio.run(run())
    finally:
        first.kill()


# The TLS library under the client leaves the socket of a refused handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_over_tls_only_the_right_authority_is_believed(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    ours, strange = Authority(folder / "ours"), Authority(folder / "strange")
    certificate, key = ours.issue("localhost")
    broker = Mosquitto(folder / "broker", f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n")
    broker.start()
    address = f"mqtts://localhost:{broker.port}"

    async def run() -> None:
        async with sending(Sender(store, 0, broker=address, tls_ca=str(strange.pem))) as wrong:
            wrong.publish(1)
            await until_so(lambda: "certificate verify failed" in wrong.uplink.problem)
            assert len(store.outbox_pending()) == 1
        async with sending(Sender(store, 0, broker=address, tls_ca=str(ours.pem))) as right:
            right.publish(1)
            await until_so(lambda: not store.outbox_pending())

    try:
        asyncio.run(run())
    finally:
        broker.kill()


def test_a_broker_that_is_away_costs_nothing_but_time(tmp_path: Path, store: Store) -> None:
    broker = Mosquitto(tmp_path / "late")

    async def run() -> None:
        sender = Sender(store, broker.port)
        async with sending(sender):
            sender.publish(30)
            await until_so(lambda: "refused" in sender.uplink.problem)
            assert len(store.outbox_pending()) == 30
            broker.start()
            async with listening(broker.port, "patrol/station/robot-1/events/#"):
                await until_so(lambda: not store.outbox_pending())

    try:
        asyncio.run(run())
    finally:
        broker.kill()


def test_passwords_come_from_a_file_and_are_shown_nowhere(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "guarded"
    folder.mkdir()
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "robot-1", "open-sesame"], check=True)
    broker = Mosquitto(folder, f"allow_anonymous false\npassword_file {passwords}\n")
    broker.start()
    secret = tmp_path / "uplink.toml"
    caplog.set_level("DEBUG")

    async def run() -> None:
        secret.write_text('username = "robot-1"\npassword = "wrong-guess"\n')
        async with sending(Sender(store, broker.port, credentials_file=str(secret))) as refused:
            await until_so(lambda: "not authori" in refused.uplink.problem.lower())
        secret.write_text('username = "robot-1"\npassword = "open-sesame"\n')
        async with sending(Sender(store, broker.port, credentials_file=str(secret))) as accepted:
            accepted.publish(2)
            await until_so(lambda: not store.outbox_pending())

    try:
        asyncio.run(run())
    finally:
        broker.kill()
    assert "wrong-guess" not in caplog.text and "open-sesame" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"broker": "http://centre"}, "is no broker"),
        ({"broker": "mqtt://me:secret@centre"}, "credentials do not belong"),
        ({"broker": "mqtt://centre:99999"}, "no number from 1 to 65535"),
        ({"broker": "mqtt://centre", "credentials_file": "/nowhere.toml"}, "uplink.credentials_file: /nowhere.toml"),
        ({"broker": "mqtts://centre", "tls_ca": "/nowhere.pem"}, "uplink.tls_ca"),
        ({"broker": "mqtt://centre", "tls_ca": "ca.pem"}, "uplink.tls_ca: without use"),
    ],
)
def test_wrong_settings_are_told(store: Store, settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Sender(store, 1, **settings)
    assert "secret" not in "\n".join(caught.value.problems) or "me:secret" in settings["broker"]
