"""Words of the week's report, in English and Chinese."""

from __future__ import annotations

from typing import Literal

from robot.texts import NOT_MEASURED, UNAVAILABLE, Text

Language = Literal["en", "zh"]

TEXTS: dict[str, Text] = {
    "title": Text("A simulated week of the station", "车站模拟运行一周报告"),
    "subtitle": Text(
        "{days} days, {people} people before the front camera, seed {seed}",
        "{days} 天，前方摄像头共见 {people} 人，随机种子 {seed}",
    ),
    "pass": Text(
        "Nobody was called normal while screening was unavailable; no event is missing",
        "筛查不可用期间，无人被判为正常；事件无缺失",
    ),
    "fail": Text(
        "{normal} called normal while screening was unavailable; {missing} events missing",
        "筛查不可用期间有 {normal} 人被判为正常；缺失事件 {missing} 条",
    ),
    "scope": Text(
        "Real: the robot's pipeline from faces and thermal frames to events, with health, reference plate and alarms. Simulated: thermal frames "
        "(rendered at 9 Hz) and faces (the truth, as wrong as the face detector was measured to be). Left out: pictures, the face detector, "
        "wires, threads, store and stream, and the time when nobody is near. It shows how the parts work together; it says nothing about "
        "sensitivity on real people. Far more people have a fever here than at a real station, so that there is something to count.",
        "真实部分：从人脸和热图帧到事件的机器人处理流程，包括健康监测、参考板和报警。模拟部分：热图帧（以 9 Hz 渲染）和人脸（真值加上实测的检测误差）。"
        "未包含：图像、人脸检测网络、线路、线程、存储与推送，以及无人靠近的时间。本报告说明各部分能协同工作，不代表对真实人群的灵敏度。"
        "为便于统计，此处发热者比例远高于真实车站。",
    ),
    "totals": Text("Totals", "总计"),
    "interval": Text("95 % interval", "95 % 区间"),
    "figure": Text("figure", "指标"),
    "value": Text("value", "数值"),
    "people": Text("people before the front camera", "前方摄像头所见人数"),
    "in_range": Text("in measuring range for a second or more", "在测量范围内一秒以上"),
    "measured": Text("of these measured", "其中已测温"),
    "coverage": Text("coverage", "覆盖率"),
    "coverage_while_available": Text("coverage while available", "可用期间覆盖率"),
    "febrile_in_range": Text("with a fever, in range", "范围内发热者"),
    "alarmed": Text("of these alarmed", "其中已报警"),
    "sensitivity": Text("sensitivity, all in range", "灵敏度（范围内全部）"),
    "sensitivity_while_available": Text("sensitivity while available", "可用期间灵敏度"),
    "sensitivity_of_measured": Text("sensitivity of those measured", "已测温者灵敏度"),
    "febrile_called_normal": Text("with a fever, called normal", "发热却判为正常"),
    "false_alarms": Text("false alarms (people without a fever)", "误报（无发热者）"),
    "specificity": Text("specificity", "特异度"),
    "alarms": Text("alarms", "警报"),
    "duplicate_alarms": Text("second alarms for the same person", "同一人的重复警报"),
    "alarms_for_nobody": Text("alarms at nobody's place", "无对应人员的警报"),
    "outages": Text("outages of devices", "设备故障次数"),
    "unavailable_share": Text("share of time unavailable", "不可用时间占比"),
    "unavailable_s": Text("unavailable, s", "不可用时间（秒）"),
    "normal_while_unavailable": Text("called normal while unavailable", "不可用期间判为正常"),
    "judged_after_loss": Text(
        "judged within 2.5 s after a loss, by readings from before it", "失效后 2.5 秒内依据此前读数作出的判定"
    ),
    "unmatched_warm": Text("warm places without a face", "无人脸的热源"),
    "body_bias_c": Text("body estimate, mean error, °C", "体温估计平均误差（°C）"),
    "body_rmse_c": Text("body estimate, RMSE, °C", "体温估计均方根误差（°C）"),
    "within_2u": Text("errors within twice the stated uncertainty", "误差在两倍标称不确定度内"),
    "events_missing": Text("events missing", "缺失事件"),
    "by_day": Text("By day", "按天"),
    "by_hour": Text("By hour", "按小时"),
    "day": Text("day", "天"),
    "hour": Text("hour", "时"),
    "air_off_c": Text("air: true less believed, °C", "气温：实际减设定（°C）"),
    "reasons": Text("In range and not measured, by reason", "在范围内但未测温的原因"),
    "out_of_range": Text("Never in measuring range, by what the robot said", "未进入测量范围者（机器人给出的原因）"),
    "reason": Text("reason", "原因"),
    "lost": Text("Unavailable, by what the robot said", "不可用的原因"),
    "seconds": Text("seconds", "秒"),
    "count": Text("people", "人数"),
    "measured_of": Text("measured / in range", "已测温 / 范围内"),
    "alarmed_of": Text("alarmed / with a fever", "已报警 / 发热"),
    "never_told": Text("nothing was said of them", "未作任何说明"),
    "fig.people": Text("People in range and measured, by hour", "各时段范围内人数与已测温人数"),
    "fig.coverage": Text(
        "Coverage and sensitivity by hour: 95 % intervals and their middles", "各时段覆盖率与灵敏度：95 % 区间及其中点"
    ),
    "fig.days": Text(
        "Sensitivity and specificity by day: 95 % intervals and their middles", "每日灵敏度与特异度：95 % 区间及其中点"
    ),
    "fig.error": Text(
        "Mean error of the body estimate, and how far the air was from the morning's setting, by hour",
        "各时段体温估计平均误差，以及气温与早晨设定值之差",
    ),
    "fig.lost": Text("Time unavailable by hour, minutes over all days", "各时段不可用时间（全部天数合计，分钟）"),
    "s.in_range": Text("in range", "范围内"),
    "s.measured": Text("measured", "已测温"),
    "s.coverage": Text("coverage", "覆盖率"),
    "s.sensitivity": Text("sensitivity", "灵敏度"),
    "s.specificity": Text("specificity", "特异度"),
    "s.error": Text("mean error", "平均误差"),
    "s.air": Text("air: true less believed", "气温：实际减设定"),
    "s.lost": Text("unavailable", "不可用"),
}


def say(key: str, language: Language, **values: object) -> str:
    """Returns the words of a key."""
    text = TEXTS[key]
    return (text.zh if language == "zh" else text.en).format(**values)


def reason(code: str, language: Language) -> str:
    """Returns what a reason of a screening or of health means; several are separated by commas. An unknown code stays as it is."""
    known: dict[str, Text] = {str(name): text for name, text in NOT_MEASURED.items()} | UNAVAILABLE
    known["never_told"] = TEXTS["never_told"]
    parts = [known.get(part, Text(part, part)) for part in code.split(", ")]
    return "; ".join(part.zh if language == "zh" else part.en for part in parts)
