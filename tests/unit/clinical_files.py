"""Synthetic clinical data in both forms of CSV; nobody real is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NAMES = ("canthiMax", "T_FH_Max", "T_Max")


def people(count: int, seed: int = 0, rounds: int = 4) -> list[dict[str, object]]:
    """Returns subjects with oral and ambient temperature and `rounds` of skin (dicts by NAMES), whose skin follows the body
    one for one: canthi 1.25 below it, full face 0.95, forehead 1.6; the room adds 0.06 °C per °C above 24."""
    rng = np.random.default_rng(seed)
    found: list[dict[str, object]] = []
    for number in range(count):
        oral_c = float(rng.normal(38.2, 0.5) if number % 6 == 0 else rng.normal(36.8, 0.3))
        ambient_c = float(rng.uniform(20, 29))
        own_c = float(rng.normal(0, 0.2)) + 0.06 * (ambient_c - 24)
        skins = [
            {
                name: round(oral_c - below_c + own_c + float(rng.normal(0, 0.08)), 2)
                for name, below_c in zip(NAMES, (1.25, 1.6, 0.95), strict=True)
            }
            for _ in range(rounds)
        ]
        found.append(
            {"subject": f"s{number}", "aveOralM": round(oral_c, 2), "T_atm": round(ambient_c, 1), "skins": skins}
        )
    return found


def tidy(path: Path, count: int = 60, seed: int = 0) -> Path:
    """Writes one row for each subject and round, with columns that nobody reads."""
    lines = ["subject,round,T_offset,canthiMax,T_FH_Max,T_Max,aveOralF,aveOralM,Gender,T_atm"]
    for one in people(count, seed):
        for number, skin in enumerate(one["skins"], 1):  # type: ignore[arg-type, var-annotated]
            skins = ",".join(str(skin[name]) for name in NAMES)
            lines.append(f"{one['subject']},{number},0.5,{skins},,{one['aveOralM']},Female,{one['T_atm']}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def physionet(path: Path, count: int = 60, seed: int = 0) -> Path:
    """Writes one row for each subject below two rows of titles, rounds side by side with empty columns between."""
    header = ["SubjectID", ""]
    for number in range(1, 5):
        header += [f"T_offset{number}", f"Max1R13_{number}", *(f"{name}{number}" for name in NAMES), ""]
    header += ["aveOralF", "aveOralM", "Gender", "T_atm"]
    lines = [",,Round 1:" + "," * (len(header) - 3), ",,offset,canthus" + "," * (len(header) - 4), ",".join(header)]
    for one in people(count, seed):
        cells = [str(one["subject"]), ""]
        for skin in one["skins"]:  # type: ignore[attr-defined]
            cells += ["0.5", "35.1", *(str(skin[name]) for name in NAMES), ""]
        lines.append(",".join([*cells, "", str(one["aveOralM"]), "Female", str(one["T_atm"])]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
