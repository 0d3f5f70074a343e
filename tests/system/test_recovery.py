"""Devices that send but are stuck: said aloud, and back soon after they are well again. Robot and simulated station in one process
where pins must be moved by hand."""

from __future__ import annotations

import datetime as dt
import errno
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alarm_event import ALARM
from gpiozero import Device, OutputDevice
from gpiozero.pins.mock import MockFactory, MockPin
from waiting import until
from whole_station import Event, Listener, fault, held_ns, person, small_rig, station

from robot import calibrated, config, stream
from robot.app import App
from robot.certificates import Certificate
from robot.errors import StoreError
from robot.events import EventFactory
from robot.outcome import StepResult
from robot.pipeline import Pipeline
from robot.store import Store
from robot.store_reader import StoreReader
from simulators import robot_config
from simulators.devices import Station
from simulators.scenario import parse_scenario

pytestmark = pytest.mark.system

RETURN_S = 5.0
PINS = {"red": 17, "amber": 27, "green": 22, "siren": 23}
ACK, TEST, POWER = 5, 6, 24


def test_a_front_camera_that_freezes_is_lost_until_it_moves_again(tmp_path: Path) -> None:
    begin_s, lasts_s = 1.0, 9.0
    scenario = fault("freeze", "front", begin_s, lasts_s) + person((0.0, 1.4, 0.0), (60.0, 1.4, 0.0), eyes_height_m=1.6)
    with station(tmp_path, scenario, rig=small_rig(tmp_path, cameras=["front"])) as (simulators, robot):
        lost = robot.health("unavailable", "no_camera", after=robot.last_seq)
        back = robot.available(after=lost["seq"])
        times_s = [(event["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 for event in (lost, back)]
        assert begin_s < times_s[0] < begin_s + 6.0
        assert begin_s + lasts_s < times_s[1] < begin_s + lasts_s + RETURN_S
        assert "stuck" in robot.log_text


TROUBLES = (
    ("wrong_variant", 1.0, "reference_lost"),
    ("flooded", 11.0, "thermal_invalid"),
    ("stall", 21.0, "thermal_lost"),
)
LASTS_S = 3.0


def test_a_sensor_of_another_variant_flooded_or_silent(tmp_path: Path) -> None:
    """Nobody is called healthy meanwhile, and the robot screens again soon after the sensor is well."""
    scenario = person((0.0, 1.3, 0.0), (60.0, 1.3, 0.0), body_c=36.6, eyes_height_m=1.6)
    scenario += "".join(fault(kind, "thermal", at_s, LASTS_S) for kind, at_s, _ in TROUBLES)
    with station(tmp_path, scenario, rig=small_rig(tmp_path, cameras=["front"])) as (simulators, robot):
        seq = robot.last_seq
        for _, at_s, reason in TROUBLES:
            lost = robot.health("unavailable", reason, after=seq)
            back = robot.available(after=lost["seq"])
            lost_s, back_s = ((event["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 for event in (lost, back))
            assert at_s < lost_s < at_s + LASTS_S
            assert at_s + LASTS_S < back_s < at_s + LASTS_S + RETURN_S
            seq = back["seq"]
        assert not robot.of_type("alarm.raised")


class Hands:
    """Somebody at the robot: looks at lamps, pushes buttons, and a sensor whose supply hangs on a pin."""

    def __init__(self) -> None:
        self.on_supply: Callable[[bool], None] = lambda is_cut: None
        hands = self

        class Pin(MockPin):  # type: ignore[misc]
            def _set_state(self, value: bool) -> None:
                before = bool(self.state)
                super()._set_state(value)
                if self.info.name == f"GPIO{POWER}" and bool(value) is not before:
                    hands.on_supply(bool(value))

        self.factory = MockFactory(pin_class=Pin)

    def lit(self) -> set[str]:
        return {name for name, number in PINS.items() if self.factory.pin(number).state}

    def push(self, number: int) -> None:
        self.factory.pin(number).drive_low()
        time.sleep(0.3)
        self.factory.pin(number).drive_high()
        time.sleep(0.1)


@pytest.fixture
def hands() -> Iterator[Hands]:
    previous, one = Device.pin_factory, Hands()
    Device.pin_factory = one.factory
    yield one
    one.factory.reset()
    Device.pin_factory = previous


def settings_of(folder: Path, simulated: Station) -> Path:
    """What a technician would write for this station at this time of the night."""
    now = dt.datetime.now().astimezone()
    night = [(now + dt.timedelta(hours=hours)).strftime("%H:%M") for hours in (-1, 1)]
    addresses, scenario = simulated.addresses(), simulated.scene.scenario
    path = robot_config.write(
        folder,
        simulated.rig,
        addresses["cameras"],  # type: ignore[arg-type]
        str(addresses["thermal"]),
        scenario.ambient_c,
        scenario.humidity,
        0,
        scenario.physiology.sd_c,
    )
    text = path.read_text(encoding="utf-8")
    text = text.replace("&siren=23", f"&siren=23&ack={ACK}&test={TEST}").replace(
        "[indicator]", f"[indicator]\nnight = {night}".replace("'", '"')
    )
    text = text.replace("[reference]", f'power = "gpiozero:?pin={POWER}"\n[reference]')
    path.write_text(text + "\n[power]\nfailures = 2\nafter_s = 2.0\noff_s = 0.5\n", encoding="utf-8")
    return path


@contextmanager
def before_nobody(folder: Path) -> Iterator[App]:
    """A robot before a station where nobody comes."""
    scenario = parse_scenario('description = "empty"\nseed = 3')
    rig = small_rig(folder, cameras=["front"])
    with Station(scenario, thermal_link=folder / "thermal", rig_name=rig) as simulated:
        yield App(config.load(settings_of(folder, simulated)))


@contextmanager
def running(app: App) -> Iterator[None]:
    """The robot at work on a thread of its own; at the end it must stop in time."""
    thread = threading.Thread(target=app.run, name="robot")
    thread.start()
    try:
        yield
    finally:
        app.supervisor.stop("test")
        thread.join(20.0)
    assert not thread.is_alive()


def hang(simulated: Station, hands: Hands) -> list[int]:
    """The sensor says nothing and hears nothing until its supply has been off; returns where the times of its return will be."""
    back_ns: list[int] = []
    device = simulated._pty
    assert device is not None
    frames, answers = device._frame_source, device.firmware.on_bytes

    def supply(is_cut: bool) -> None:
        if is_cut:
            device.unplug()
        else:
            device._frame_source, device.firmware.on_bytes = frames, answers  # type: ignore[method-assign]
            device.replug()
            back_ns.append(time.monotonic_ns())

    hands.on_supply = supply
    device._frame_source = lambda: None
    device.firmware.on_bytes = lambda data: b""  # type: ignore[method-assign]
    return back_ns


def of(kind: str) -> Callable[[Event], bool]:
    return lambda event: bool(event["type"] == kind)


def test_buttons_night_and_a_supply_on_the_whole_robot(tmp_path: Path, hands: Hands) -> None:
    stands = person((0.0, 1.3, 0.0), (600.0, 1.3, 0.0), body_c=39.5, eyes_height_m=1.6, face_seed=1)
    scenario = parse_scenario(f'description = "night"\nseed = 3\n{stands}')
    rig = small_rig(tmp_path, cameras=["front"])
    with Station(scenario, thermal_link=tmp_path / "thermal", rig_name=rig, start_at_ns=held_ns()) as simulated:
        app = App(config.load(settings_of(tmp_path, simulated)))
        with running(app):
            until(lambda: hands.lit() == {"green"}, what="screening")
            simulated.begin()
            listener = Listener(app.stream.url, since=0)
            raised = listener.wait(of("alarm.raised"))
            until(lambda: "red" in hands.lit(), what="the alarm")
            assert "siren" not in hands.lit(), "it is night"
            hands.push(TEST)
            assert hands.lit() == {"red"}, "no test hides an alarm"
            hands.push(ACK)
            acknowledged = listener.wait(of("alarm.acknowledged"))
            assert acknowledged["data"] == {"alarm": raised["data"]["alarm"], "by": "button"}
            until(lambda: hands.lit() == {"green"}, what="an answer to the button")
            hands.push(ACK)
            back_ns = hang(simulated, hands)
            lost = listener.wait(
                lambda e: of("health.changed")(e) and "thermal_lost" in e["data"]["reasons"], after=acknowledged["seq"]
            )
            assert "siren_quiet" in lost["data"]["warnings"]
            again = listener.wait(
                lambda e: of("health.changed")(e) and e["data"]["screening"] == "available", after=lost["seq"]
            )
            assert 0 < again["t_mono_ns"] - back_ns[0] < RETURN_S * 1e9
            assert app._capture.statuses()["thermal"].power_cycles == 1
            until(lambda: hands.lit() == {"green"}, what="screening again")
            hands.push(TEST)
            until(lambda: hands.lit() == {"amber"}, what="the second step of the test")
        listener.close()
    assert not any(hands.factory.pin(number).state for number in (*PINS.values(), POWER)), "dark, and powered"
    store = Store(tmp_path / "events.sqlite3")
    try:
        audit = [(entry.who, entry.action) for entry in store.audit_log()]
    finally:
        store.close()
    assert [action for who, action in reversed(audit) if who == "button"] == [
        "test_refused",
        f"acknowledge {raised['data']['alarm']}",
        "acknowledge nothing",
        "test",
    ]


def test_lamp_pins_that_another_program_has_hold_no_screening_back(tmp_path: Path, hands: Hands) -> None:
    other = OutputDevice(PINS["red"])
    with before_nobody(tmp_path) as app:
        with running(app):
            until(lambda: hasattr(app, "_capture") and app._capture.statuses()["thermal"].frames, what="the robot")
            listener = Listener(app.stream.url, since=0)
            lost = listener.wait(lambda e: of("health.changed")(e) and e["data"]["screening"] == "available")
            assert "indicator_lost" in lost["data"]["warnings"] and not hands.lit()
            other.close()
            until(lambda: hands.lit() == {"green"}, what="the lamp")
            found = listener.wait(of("health.changed"), after=lost["seq"])
            assert "indicator_lost" not in found["data"]["warnings"] and found["data"]["screening"] == "available"
        listener.close()


def test_an_address_that_is_not_there_yet_holds_no_screening_back(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A robot that is switched on where the network is not: alarms need none."""
    up = threading.Event()
    real = stream.serve

    def serve(*arguments: Any, **more: Any) -> Any:
        if not up.is_set():
            raise OSError(errno.EADDRNOTAVAIL, "cannot assign requested address")
        return real(*arguments, **more)

    monkeypatch.setattr(stream, "serve", serve)
    monkeypatch.setattr(stream, "_AWAIT_S", 0.2)
    with before_nobody(tmp_path) as app:
        with running(app):
            until(lambda: "green" in hands.lit(), what="the lamp")
            assert app.stream.codes == (stream.NOT_OPEN,)
            reader = StoreReader(Path(app.settings.store.path))
            until(lambda: any(b'"page_unreachable"' in e.json for e in reader.since(0)), what="health's word of it")
            reader.close()
            up.set()
            until(lambda: not app.stream.codes, what="the port")
            listener = Listener(app.stream.url, since=0)
            told = listener.wait(lambda e: of("health.changed")(e) and stream.NOT_OPEN in e["data"]["warnings"])
            said = listener.wait(
                lambda e: of("health.changed")(e) and stream.NOT_OPEN not in e["data"]["warnings"], after=told["seq"]
            )
            assert said["data"]["screening"] == "available"
        listener.close()


def test_a_calibration_that_expires_under_the_robot_ends_screening(tmp_path: Path, hands: Hands) -> None:
    with before_nobody(tmp_path) as app:
        with running(app):
            until(lambda: hands.lit() == {"green"}, what="screening")
            until_utc = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
            soon = msgspec.structs.replace(app.calibration, valid_until_utc=until_utc.isoformat())
            app._loop.standing = calibrated.Standing(soon, app.settings.calibration.expired == "refuse")
            listener = Listener(app.stream.url, since=0)
            lost = listener.wait(lambda e: of("health.changed")(e) and "calibration_missing" in e["data"]["reasons"])
            assert 0 < (dt.datetime.fromisoformat(lost["t_utc"]) - until_utc).total_seconds() < 2.0
            assert lost["data"]["screening"] == "unavailable"
            assert "calibration_expired" in lost["data"]["warnings"]
            until(lambda: "green" not in hands.lit(), what="the lamp")
        listener.close()


def test_a_certificate_that_runs_out_is_told_and_ends_nothing(tmp_path: Path, hands: Hands) -> None:
    with before_nobody(tmp_path) as app:
        with running(app):
            until(lambda: hands.lit() == {"green"}, what="screening")
            app._certificates = (Certificate("stream.tls_cert", dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)),)
            listener = Listener(app.stream.url, since=0)
            for code in ("certificate_expiring", "certificate_expired"):
                told = listener.wait(lambda e, code=code: of("health.changed")(e) and code in e["data"]["warnings"])
                assert told["data"]["screening"] == "available"
        listener.close()


@pytest.mark.parametrize(
    ("before", "lit"),
    [("nothing", {"amber"}), ("an alarm", {"amber", "red"}), ("damage", {"amber"})],
)
def test_the_lamp_says_what_is_so_while_the_event_database_is_looked_through(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch, before: str, lit: set[str]
) -> None:
    """Not screening; and red for an alarm that nobody has answered, where that can be read."""
    with before_nobody(tmp_path) as app:
        pass  # the devices are gone by now
    path = Path(app.settings.store.path)
    if before != "nothing":
        with Store(path) as store:
            events = EventFactory("robot-1", "", 1, lambda: "a")
            store.append(events.make(ALARM, t_unix_ns=time.time_ns(), t_mono_ns=0))
    if before == "damage":
        path.write_bytes(bytes(100) + path.read_bytes()[100:])
    seen: list[set[str]] = []

    def opened(*arguments: Any, **more: Any) -> Store:
        seen.append(hands.lit())
        raise StoreError("of another version")

    monkeypatch.setattr("robot.app.Store", opened)
    with pytest.raises(StoreError):
        app.run()
    assert seen == [lit]
    assert not hands.lit(), "dark, whatever ended it"


def test_a_bug_leaves_everything_dark_and_powered(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    with before_nobody(tmp_path) as app:
        pass  # the devices are gone by now
    supplies: list[bool] = []
    hands.on_supply = supplies.append
    seen: list[set[str]] = []
    step = Pipeline.step

    def failing(*arguments: Any) -> StepResult:  # nothing is there any more: the reader of the sensor cuts its supply
        seen.append(hands.lit())
        if supplies:
            raise RuntimeError("a bug")
        return step(*arguments)

    monkeypatch.setattr(Pipeline, "step", failing)
    assert app.run() == 70
    assert {"amber"} in seen, "screening was unavailable, and said so"
    assert supplies == [True, False], "cut when the bug struck, and given back"
    assert not any(hands.factory.pin(number).state for number in (*PINS.values(), POWER))


def test_steps_of_the_clock_and_a_hot_computer_disturb_no_alarm(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_s = 5.5  # each at the place of the one before, which was empty for a moment
    fevers = "".join(
        person((at_s, 1.3, 0.0), (at_s + 2.2, 1.3, 0.0), body_c=39.5, eyes_height_m=1.6, face_seed=seed)
        for seed, at_s in enumerate((0.5, every_s, 2 * every_s), 1)
    )
    scenario = parse_scenario(f'description = "steps"\nseed = 3\n{fevers}')
    rig = small_rig(tmp_path, cameras=["front"])
    zone = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    zone.parent.mkdir(parents=True)
    zone.write_text("55000")
    step_ns, real_ns = [0], time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + step_ns[0])
    with Station(scenario, thermal_link=tmp_path / "thermal", rig_name=rig, start_at_ns=held_ns()) as simulated:
        path = settings_of(tmp_path, simulated)
        with path.open("a", encoding="utf-8") as file:
            file.write(f'\n[computer]\nroot = "{tmp_path}"\n')
        app = App(config.load(path))
        with running(app):
            until(lambda: hands.lit() == {"green"}, what="screening")
            start_ns = simulated.begin()
            listener = Listener(app.stream.url, since=0)
            seq, raised = 0, []
            for number, (step_h, temp_c) in enumerate(((0, 55), (1, 91), (-2, 60))):
                until(lambda due=number * every_s - 1.0: time.monotonic_ns() - start_ns > due * 1e9, what="its time")  # type: ignore[misc]
                step_ns[0] += step_h * 3_600_000_000_000
                zone.write_text(f"{temp_c}000")
                changed_ns = time.monotonic_ns()
                if step_h:
                    hot = listener.wait(
                        lambda e, hot=temp_c > 80: (
                            of("health.changed")(e) and ("computer_hot" in e["data"]["warnings"]) == hot
                        ),
                        after=seq,
                    )
                    assert 0 < hot["t_mono_ns"] - changed_ns < RETURN_S * 1e9
                found = listener.wait(of("alarm.raised"), after=seq)
                since_s = (found["t_mono_ns"] - start_ns) / 1e9 - number * every_s
                assert 0 < since_s < 4.0, listener.story()
                raised.append(found)
                seq = found["seq"]
        listener.close()
    times = [dt.datetime.fromisoformat(event["t_utc"]) for event in raised]
    hours = [(later - earlier) / dt.timedelta(hours=1) for earlier, later in itertools.pairwise(times)]
    assert hours == [pytest.approx(1.0, abs=0.02), pytest.approx(-2.0, abs=0.02)], "the steps are in the events"
    told = listener.events
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert [event["t_mono_ns"] for event in told] == sorted(event["t_mono_ns"] for event in told)
    after = [event for event in told if of("health.changed")(event) and event["seq"] > raised[0]["seq"]]
    assert all(event["data"]["screening"] == "available" for event in after), "no step looks like a loss"
