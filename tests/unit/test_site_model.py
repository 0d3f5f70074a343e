"""Skin to body: the model that robot and evaluation share, and its fit."""

from __future__ import annotations

from pathlib import Path

import clinical_files
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_station import calibration

from calibration import files, site_fit
from calibration.clinical_csv import Sighting, load
from calibration.files import SiteBlend, SiteOffset
from robot import site
from robot.errors import CalibrationError, ConfigError

SITE = {
    "canthi": SiteOffset(1.25, -0.08, 24.0, 0.35),
    "forehead": SiteOffset(1.6, -0.1, 24.0, 0.45),
    "full_face": SiteOffset(0.95, -0.05, 24.0, 0.4),
}
BLEND = SiteBlend(
    weights={"full_face": 0.7, "canthi": 0.3},
    offset_c=0.9,
    slope_per_c=-0.05,
    ambient_ref_c=24.0,
    sd_c=0.3,
    febrile_gain=0.1,
    open_mouth_per_c=1.0,
    peaks=["canthi"],
    lone_sighting_c=0.1,
)


def body_c(*sightings: dict[str, float], ambient_c: float = 24.0, blend: SiteBlend = BLEND) -> float:
    found = site.estimate(SITE, [blend], sightings, ambient_c)
    assert found is not None
    return found.body_c


def test_a_region_alone_has_its_own_offset_and_slope() -> None:
    found = site.estimate(SITE, [BLEND], [{"canthi": 35.5, "forehead": 35.0}], 26.0)
    assert found is not None and found.roi == "canthi" and found.sd_c == 0.35
    assert found.body_c == pytest.approx(35.5 + 1.25 - 2 * 0.08)
    assert site.estimate(SITE, [BLEND], [{"upper_face": 35.5}], 24.0) is None
    assert site.estimate(SITE, [BLEND], [], 24.0) is None


def test_a_blend_is_used_where_all_of_its_regions_were_read() -> None:
    assert body_c({"full_face": 35.9, "canthi": 35.5}) == pytest.approx(0.7 * 35.9 + 0.3 * 35.5 + 0.9 + 0.1)
    assert body_c({"full_face": 35.9}) == pytest.approx(36.85)


@given(st.floats(0, 3), st.floats(34, 36), st.floats(0, 0.6))
def test_one_degree_more_skin_is_at_least_one_degree_more_body(more_c: float, canthi_c: float, over_c: float) -> None:
    """Nothing is pulled towards a mean, least of all a fever."""
    cool = {"canthi": canthi_c, "full_face": canthi_c + over_c}
    warm = {name: skin_c + more_c for name, skin_c in cool.items()}
    assert body_c(warm) - body_c(cool) >= more_c - 1e-9


def test_the_febrile_gain_begins_where_it_says() -> None:
    plain = msgspec.structs.replace(BLEND, febrile_gain=0.0)
    for skin_c, gained_c in ((36.0, 0.0), (37.9, 0.1 * (37.9 + 1.0 - 37.5))):
        skin = {"canthi": skin_c, "full_face": skin_c}
        assert body_c(skin) - body_c(skin, blend=plain) == pytest.approx(gained_c, abs=1e-9)


def test_several_sightings_the_warmest_canthi_count_and_an_open_mouth_weighs_more() -> None:
    shut, opened = {"full_face": 35.5, "canthi": 35.5}, {"full_face": 36.5, "canthi": 35.3}
    bodies = [0.7 * skin_c + 0.3 * 35.5 + 0.9 + 0.1 / 2 for skin_c in (35.5, 36.5)]
    weights = [1.0, np.exp(36.5 - 35.3)]
    assert body_c(shut, opened) == pytest.approx(np.average(bodies, weights=weights))
    assert body_c(shut, opened) == pytest.approx(body_c(opened, shut))
    found = site.estimate(SITE, [BLEND], [shut] * 9, 24.0)
    assert found is not None and found.sd_c == pytest.approx(0.3), "what is personal is not averaged away"


def test_hot_tea_does_not_own_the_estimate() -> None:
    assert site.open_mouth_c({"full_face": 45.0, "canthi": 35.0}) == 2.0
    assert site.open_mouth_c({"full_face": 45.0}) == 0.0
    assert site.open_mouth_c({"full_face": 34.0, "canthi": 35.0}) == 0.0


@pytest.mark.parametrize(
    "change",
    [{"weights": {"canthi": 0.5}}, {"weights": {}}, {"weights": {"nose": 1.0}}, {"peaks": ["forehead"]}],
)
def test_a_calibration_with_a_blend_that_cannot_work_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    good = calibration(site_blends=[BLEND])
    files.save(good, tmp_path / "c.json")
    assert files.load(tmp_path / "c.json").site_blends == [BLEND]
    with pytest.raises(CalibrationError, match="blend 1"):
        files.save(calibration(site_blends=[msgspec.structs.replace(BLEND, **change)]), tmp_path / "c.json")


def test_the_fit_finds_what_made_the_data(tmp_path: Path) -> None:
    model = site_fit.fit(load(clinical_files.tidy(tmp_path / "t.csv", 300)).sightings)
    for name, offset_c in (("canthi", 1.25), ("forehead", 1.6), ("full_face", 0.95)):
        found = model.site[name]
        assert found.offset_c == pytest.approx(offset_c, abs=0.04) and found.slope_per_c == pytest.approx(
            -0.06, abs=0.015
        )
        assert found.sd_c == pytest.approx(np.hypot(0.2, 0.08), abs=0.04)
    (blend,) = model.blends
    assert sum(blend.weights.values()) == pytest.approx(1.0) and set(blend.weights) == {"full_face", "canthi"}
    assert blend.febrile_gain < 0.06, "these febrile people follow one for one"


def test_bad_thermometers_move_the_fit_little(tmp_path: Path) -> None:
    sightings = load(clinical_files.tidy(tmp_path / "t.csv", 200)).sightings
    wrong = {"s1", "s2", "s3", "s4", "s5", "s7", "s8"}
    spoilt = [
        Sighting(s.subject, s.round, s.skin_by_roi_c, s.ambient_c, s.oral_c + 3.0 * (s.subject in wrong))
        for s in sightings
    ]
    good, bad = site_fit.fit(sightings), site_fit.fit(spoilt)
    assert bad.site["canthi"].offset_c == pytest.approx(good.site["canthi"].offset_c, abs=0.03)


def test_one_room_leaves_the_slope_where_it_was_known(tmp_path: Path) -> None:
    sightings = load(clinical_files.tidy(tmp_path / "t.csv", 60)).sightings
    room = [Sighting(s.subject, s.round, s.skin_by_roi_c, 24.0, s.oral_c) for s in sightings]
    assert site_fit.fit(room).site["canthi"].slope_per_c == pytest.approx(-0.06, abs=1e-3)


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few"):
        site_fit.fit(load(clinical_files.tidy(tmp_path / "t.csv", 19)).sightings)
