"""The robot's settings: a TOML file becomes one frozen object, or the list of everything that is wrong with it.

Every key has its unit in its name and is explained here; configs/ holds commented examples.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from robot.config_rules import UPLINK_FILES, contradictions, file_address, unusable_paths
from robot.errors import ConfigError
from robot.strict_toml import convert, read_table, salvaged

NAME_IN_WORDS = 'a name of up to 64 letters, digits, ".", "_" and "-" that begins with a letter or digit'
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z", description=NAME_IN_WORDS)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0, le=1e6)]
NotNegative = Annotated[float, Meta(ge=0, le=1e6)]
"""Seconds, hours, degrees and pixels alike: nothing sensible is larger, and a million hours still fit a clock of 64 bits."""
ScoreLimit = Annotated[float, Meta(ge=0, le=0.8)]
"""Of a face; hardly any scores higher than that, and no picture of a robot that asks for it shows anybody."""
FilePath = Annotated[str, Meta(min_length=1)]
WindowEdge = Annotated[float, Meta(ge=0, le=33)]
"""In colder air skin tells nothing of the body, in warmer air it does not stand out: of five simulated people all were read at 33 °C, and at 34 only the one with a fever."""
ClockTime = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z", description='a time of day as "22:00"')]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^(null|[a-z][a-z0-9+.-]*://[^/\s?#@A-Z]+)\Z",
        description='an origin as browsers send it, "https://control.example", in small letters and with nothing after host and port',
    ),
]
NetworkSide = Annotated[int, Meta(ge=96, le=1920, multiple_of=32)]
"""In a picture smaller than that nobody's face is found."""


def is_name(text: str) -> bool:
    """Returns whether robots, sites and cameras may be called so."""
    try:
        msgspec.convert(text, Name)
    except msgspec.ValidationError:
        return False
    return True


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: frozen, and closed to unknown keys."""


class RobotSettings(Section, frozen=True):
    name: Name
    site: Name = "site"
    place: Annotated[str, Meta(max_length=200)] = ""
    """Where the robot is, in words; part of every event. With a [place] source it is the station or building around the position."""
    place_zh: Annotated[str, Meta(max_length=200)] = ""
    """The same in Chinese; empty: as `place`."""


class CameraSettings(Section, frozen=True):
    name: Name
    address: str
    """A path after file: is relative to this file's folder, as every path here."""
    rate_hz: Annotated[float, Meta(ge=0.5, le=120)] = 10.0
    """What it is to deliver. A slower one than these shows nobody twice while they pass."""
    network_px: tuple[NetworkSide, NetworkSide] = (640, 384)
    """Width and height of the detector's input for this camera: multiples of 32."""
    power: str = ""
    """Pin that cuts this camera's supply, for example gpiozero:?pin=25; empty: none (see [power])."""


class ThermalSettings(Section, frozen=True):
    address: str
    rate_hz: Annotated[float, Meta(ge=0.1, le=60)] = 9.0
    warm_up_s: NotNegative = 1800.0
    """No verdict before the sensor has run this long (thermometry needs 30 minutes after a cold start)."""
    latency_ms: Annotated[float, Meta(ge=-300, le=400)] = 0.0
    """How much older what a frame shows is than its first byte, before people who walk past have told it (robot/latency.py)."""
    power: str = ""
    """Pin that cuts the sensor's supply, for example gpiozero:?pin=24; empty: none (see [power])."""


class ReferenceSettings(Section, frozen=True):
    required: bool = True
    """Under policy `absolute`, screening is unavailable while the reference is not valid."""
    smoothing_s: Annotated[float, Meta(gt=0, le=30)] = 2.0
    tolerance_c: Annotated[float, Meta(gt=0, le=3)] = 2.0
    """Largest plausible correction; beyond it the plate or the sensor is at fault. A plate that has gone cold by less is believed."""
    spread_c: Annotated[float, Meta(gt=0, le=2)] = 0.6
    """Largest standard deviation of the pixels on the plate; more means that it is covered in part."""
    readback: str = ""
    """Address of the plate's own controller, for example plate:/dev/ttyUSB1: what it reads takes the place of the set point, and
    its silence makes the reference invalid. Empty: the plate is taken to be at its set point."""


class DetectionSettings(Section, frozen=True):
    score_min: ScoreLimit = 0.4
    """Lowest score that the tracker gets to see."""
    nms_iou: Annotated[float, Meta(ge=0.1, le=0.7)] = 0.3
    """Boxes that overlap by more are one face; without bounds one face would be many, or two neighbours one."""
    threads: Annotated[int, Meta(ge=1, le=4)] = 1
    providers: tuple[str, ...] = ()
    """ONNX Runtime's, best first; empty: the best that there is and that is proven."""


class AttentionSettings(Section, frozen=True):
    enabled: bool = True
    """false: every picture of every camera is looked at whole."""
    cpu_share: Annotated[float, Meta(ge=0.02, le=4)] = 0.4
    """Of one core, for decoding and looking; under overload detail is left out, in the order of docs/attention.md."""
    full_look_s: Annotated[float, Meta(ge=0.1, le=10)] = 0.5
    """Every part of every picture is looked at at least this often."""
    front_look_s: Annotated[float, Meta(ge=0.1, le=10)] = 0.3
    """The same for cameras that overlap the thermal view."""
    unmatched_s: Annotated[float, Meta(gt=0, le=10)] = 1.0
    """A warm place without a face is counted as a person who cannot be measured after this time."""


class TrackingSettings(Section, frozen=True):
    score_new: ScoreLimit = 0.6
    """Score from which a face may begin a new track; lower ones only continue tracks."""
    confirm_hits: Annotated[int, Meta(ge=1, le=20)] = 2
    lost_s: Annotated[float, Meta(ge=0.5, le=30)] = 3.0
    """How long a person with an alarm who is not seen keeps their identity; judged normal 4/3 of it, without a verdict 5/3, hidden up to 6 s."""
    colours: bool = True
    """Whether the mean colours of head and clothes tell neighbours apart while their tracks last (docs/tracking.md); false: place alone."""
    ego_motion: bool = True
    """Whether poses of the base with a heading, four or more a second, tell how the robot itself turns and drives (docs/tracking.md)."""


class MeasurementSettings(Section, frozen=True):
    face_px_min: Positive | None = None
    """Smallest width of a face in thermal pixels; unset: by the sensor's width (10 at 160, 8 at 80 and below)."""
    yaw_max_deg: Annotated[float, Meta(ge=10, le=90)] = 40.0
    ambient_c: Annotated[float, Meta(ge=-30, le=60)] = 23.0
    reflected_c: Annotated[float, Meta(ge=-40, le=80)] | None = None
    """Temperature of what skin and plate reflect; unset: the ambient temperature."""
    reflected_sd_c: Annotated[float, Meta(ge=0, le=20)] = 2.0
    """Standard uncertainty of that; a hall's walls, lamps and people are within 2 °C of its air, a sky is not."""
    humidity: Share = 0.5
    skin_emissivity: Annotated[float, Meta(ge=0.95, le=1)] = 0.98
    """Of living skin 0.98 ± 0.01 has been measured; at 0.8 everybody would be febrile."""


class ScreeningSettings(Section, frozen=True):
    policy: Literal["absolute", "cohort", "both"] = "absolute"
    """Which rule raises alarms; both rules are always computed and reported."""
    threshold_c: Annotated[float, Meta(ge=34.0, le=39.0)] = 37.3
    cohort_delta_c: Annotated[float, Meta(ge=0.2, le=2.0)] = 0.6
    cohort_people: Annotated[int, Meta(ge=5, le=200)] = 30
    cohort_age_s: Positive = 3600.0
    readings_min: Annotated[int, Meta(ge=3, le=20)] = 3
    decide_s: Annotated[float, Meta(gt=0, le=10)] = 1.5
    """An estimate close to the threshold is given this long to become surer."""
    ambient_window_c: tuple[WindowEdge, WindowEdge] = (16.0, 32.0)


class AlarmSettings(Section, frozen=True):
    hold_s: Annotated[float, Meta(ge=0, le=10)] = 0.2
    """How long an elevated estimate must persist before the alarm; whoever has one is gone after some seconds."""
    hysteresis_c: Annotated[float, Meta(ge=0, le=2)] = 0.2
    """An estimate must fall this far below the threshold to end a pre-alarm; the verdict "normal" ends it, too."""
    siren_s: NotNegative = 5.0
    clear_s: Positive = 30.0
    """An acknowledged alarm is cleared this long after; one nobody acknowledges stays."""


class IndicatorSettings(Section, frozen=True):
    address: str = ""
    """For example gpiozero:?red=17&amber=27&green=22&siren=23&ack=5&test=6; empty: no lamp (said in health)."""
    siren: Literal["steady", "pulses", "urgent"] = "steady"
    siren_duty: Annotated[float, Meta(ge=0.02, le=1)] = 0.5
    """Largest share of any siren_window_s during which the siren sounds, however many alarms there are; 1: no limit."""
    siren_window_s: Annotated[float, Meta(ge=5, le=600)] = 60.0
    night: tuple[ClockTime, ...] = ()
    """Two local times, as ["22:00", "06:00"]: between them the siren has night_siren in place of its pattern, the lamp is as ever.
    Empty: no night."""
    night_siren: Literal["off", "chirp"] = "off"


class PowerSettings(Section, frozen=True):
    """When the supply of a device with a `power` pin is cut: it does not come back, or is stuck or flooded. A device that works never."""

    failures: Annotated[int, Meta(ge=1, le=100)] = 3
    """Attempts to open it that failed since its last usable frame …"""
    after_s: Annotated[float, Meta(ge=1, le=3600)] = 15.0
    """… which is at least this long ago; also the time a device gets to start."""
    off_s: Annotated[float, Meta(ge=0.2, le=30)] = 1.5
    every_s: Annotated[float, Meta(ge=60, le=86400)] = 60.0
    """Least time from one cut to the next, doubled with each that did not help, up to an hour."""


class CalibrationSettings(Section, frozen=True):
    file: FilePath
    expired: Literal["refuse", "warn"] = "refuse"


class StoreSettings(Section, frozen=True):
    path: FilePath = "state/events.sqlite3"
    retention_hours: Annotated[float, Meta(ge=1, le=1e6)] = 720.0


class StreamSettings(Section, frozen=True):
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8765
    tokens_file: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    origins: tuple[Origin, ...] = ()
    max_clients: Annotated[int, Meta(ge=1, le=10000)] = 200


class EvidenceSettings(Section, frozen=True):
    """What an alarm leaves behind beside its numbers; off by default."""

    folder: str = ""
    """Empty: `evidence` beside the event database; never empty in settings that were read."""
    thermal: bool = False
    """The thermal picture around the face."""
    face: bool = False
    """A thumbnail of the person with the face made unrecognisable."""
    retention_hours: Positive = 72.0


class RecordSettings(Section, frozen=True):
    """Recordings for engineers; needs the extra `record`. They hold faces: off unless somebody has a reason and the right."""

    mode: Literal["off", "ring", "continuous"] = "off"
    """ring: the last minutes, kept when an alarm is raised; continuous: everything, the oldest files go first."""
    folder: str = ""
    """Empty: `recordings` beside the event database."""
    minutes: Annotated[float, Meta(ge=1, le=1440)] = 5.0
    """Of a ring."""
    limit_gb: Annotated[float, Meta(ge=0.1, le=100_000)] = 20.0
    """Of the whole folder; five cameras fill 20 GB in about an hour."""
    live_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """Where Foxglove or Lichtblick may watch live, on loopback only; 0: nowhere."""

    @property
    def wanted(self) -> bool:
        return self.mode != "off" or self.live_port != 0


class UplinkSettings(Section, frozen=True):
    """To a control centre; needs the extra `fleet`."""

    broker: str = ""
    """mqtt://HOST:1883 or mqtts://HOST:8883, several separated by commas (a cluster's nodes); empty: no uplink."""
    prefix: Name = "patrol"
    """First level of every topic."""
    credentials_file: str = ""
    """A TOML file with username and password."""
    tls_ca: str = ""
    """Authority that signed the broker's certificate (PEM); empty: the system's own."""
    tls_cert: str = ""
    tls_key: str = ""
    keepalive_s: Annotated[float, Meta(ge=5, le=3600)] = 30.0
    hold_s: NotNegative = 10.0
    """What the broker has confirmed is kept so long, and sent again if the line is cut meanwhile: a broker needs time to save."""
    outbox_events: Annotated[int, Meta(ge=1000, le=100_000_000)] = 1_000_000
    """Beyond so many unsent events the least important go first: coverage, then health and screenings; alarms never."""


Corner = tuple[float, float]
Corners = Annotated[tuple[Corner, ...], Meta(max_length=200)]


class ZoneSettings(Section, frozen=True):
    """A part of the station with a name that officers use; corners in one of the two ways."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    name_zh: Annotated[str, Meta(max_length=100)] = ""
    """Empty: as `name`."""
    corners_deg: Corners = ()
    """Latitude and longitude (WGS 84) of each corner, in order."""
    corners_m: Corners = ()
    """x and y of each corner on the base's map, in order."""
    map: Annotated[str, Meta(max_length=100)] = ""
    """The map that corners_m are of; empty: any."""


class PlaceSettings(Section, frozen=True):
    """Where a robot that moves gets its position from; without a source robot.place says it all."""

    source: str = ""
    """nmea:PORT?baud=9600 (a receiver), pose:PORT?baud=115200 or mqtt://HOST:1883/TOPIC (poses of the robot's base on a line, or over
    MQTT with the extra `fleet`); empty: none."""
    rate_hz: Annotated[float, Meta(ge=0.1, le=50)] = 1.0
    stale_s: Annotated[float, Meta(ge=0.5, le=600)] = 3.0
    """A position older than this is told with its age …"""
    lost_s: Annotated[float, Meta(ge=1, le=86400)] = 120.0
    """… and one older than this not at all."""
    credentials_file: str = ""
    """A TOML file with username and password for the base's broker."""
    zones: Annotated[tuple[ZoneSettings, ...], Meta(max_length=500)] = ()
    """The first one that holds the position names it: small ones before those around them."""


class ComputerSettings(Section, frozen=True):
    hot_c: Annotated[float, Meta(ge=40, le=120)] = 80.0
    """From here on it is too hot: health says so, and less is looked at until it is 5 °C cooler (a Pi slows down at 80 to 85 °C)."""
    root: str = "/"
    """Folder that holds sys/, where the kernel shows heat and supply; another one in containers that have it elsewhere."""


class CoverageSettings(Section, frozen=True):
    summary_s: Annotated[float, Meta(ge=0.1, le=86400)] = 60.0


class Settings(Section, frozen=True):
    """The whole file."""

    robot: RobotSettings
    cameras: Annotated[tuple[CameraSettings, ...], Meta(min_length=1, max_length=8)]
    thermal: ThermalSettings
    calibration: CalibrationSettings
    reference: ReferenceSettings = ReferenceSettings()
    detection: DetectionSettings = DetectionSettings()
    attention: AttentionSettings = AttentionSettings()
    tracking: TrackingSettings = TrackingSettings()
    measurement: MeasurementSettings = MeasurementSettings()
    screening: ScreeningSettings = ScreeningSettings()
    alarm: AlarmSettings = AlarmSettings()
    indicator: IndicatorSettings = IndicatorSettings()
    power: PowerSettings = PowerSettings()
    store: StoreSettings = StoreSettings()
    stream: StreamSettings = StreamSettings()
    coverage: CoverageSettings = CoverageSettings()
    uplink: UplinkSettings = UplinkSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    record: RecordSettings = RecordSettings()
    place: PlaceSettings = PlaceSettings()
    computer: ComputerSettings = ComputerSettings()


def parse(table: dict[str, Any], base: Path) -> Settings:
    """Returns the settings in `table`, relative paths taken from `base`; raises ConfigError with every problem."""
    return _anchored(convert(table, Settings, also=contradictions), base)


def load(path: Path) -> Settings:
    """Returns the settings in a TOML file; raises ConfigError with every problem."""
    return parse(read_table(path), path.resolve().parent)


class Examined(NamedTuple):
    """What may be wrong: as far as it is right it can be looked at further."""

    settings: Settings
    problems: list[str]
    wrong: frozenset[str]
    """Paths of keys whose values in `settings` are not those asked for: they are wrong or missing there."""


def examine(table: dict[str, Any], base: Path) -> Examined:
    """Returns the settings in `table` as `parse` does, but with every problem and without what is wrong."""
    try:
        return Examined(parse(table, base), [], frozenset())
    except ConfigError as error:
        settings, wrong = salvaged(table, Settings, unusable_paths(table))
        return Examined(_anchored(settings, base), error.problems, wrong)


def sha256(settings: Settings) -> str:
    """Returns the digest that names this configuration in events."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()


def _anchored(settings: Settings, base: Path) -> Settings:
    def anchor(path: str) -> str:
        return str(base / Path(path).expanduser()) if path else ""

    def anchored_address(camera: CameraSettings) -> CameraSettings:
        found = file_address(camera.address)
        if found is None or not found[0]:
            return camera
        return msgspec.structs.replace(camera, address=f"file:{anchor(found[0])}{found[1]}")

    stream, uplink = settings.stream, settings.uplink
    store = Path(anchor(settings.store.path))
    return msgspec.structs.replace(
        settings,
        cameras=tuple(anchored_address(camera) for camera in settings.cameras),
        calibration=msgspec.structs.replace(settings.calibration, file=anchor(settings.calibration.file)),
        store=msgspec.structs.replace(settings.store, path=str(store)),
        evidence=msgspec.structs.replace(
            settings.evidence, folder=anchor(settings.evidence.folder) or str(store.parent / "evidence")
        ),
        record=msgspec.structs.replace(
            settings.record, folder=anchor(settings.record.folder) or str(store.parent / "recordings")
        ),
        place=msgspec.structs.replace(settings.place, credentials_file=anchor(settings.place.credentials_file)),
        uplink=msgspec.structs.replace(uplink, **{key: anchor(getattr(uplink, key)) for key in UPLINK_FILES}),
        stream=msgspec.structs.replace(
            stream,
            tokens_file=anchor(stream.tokens_file),
            tls_cert=anchor(stream.tls_cert),
            tls_key=anchor(stream.tls_key),
        ),
    )
