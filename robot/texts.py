"""What codes mean, in English and Chinese, for people: the page shows these, events carry the codes.

The robot estimates temperatures; it finds no illness. The words here never say that it does.
"""

from __future__ import annotations

from typing import NamedTuple

from robot.types import Reason


class Text(NamedTuple):
    en: str
    zh: str


ADVICE = Text(
    "Elevated body-temperature estimate — measure again with a clinical thermometer",
    "体温估计值偏高——请用医用体温计复测",
)

UNAVAILABLE: dict[str, Text] = {
    "starting": Text("The robot is starting", "机器人正在启动"),
    "pipeline_stalled": Text("The image processing has stopped turning", "图像处理已停止运行"),
    "thermal_lost": Text("The thermal sensor sends nothing", "热成像传感器无数据"),
    "thermal_invalid": Text("The thermal sensor's picture is not usable", "热成像画面不可用"),
    "reference_lost": Text("The temperature reference is not valid", "温度参考源无效"),
    "warming_up": Text("The thermal sensor is warming up", "热成像传感器正在预热"),
    "no_camera": Text("No camera that shares the thermal view is working", "没有与热成像视野重合的可用摄像头"),
    "calibration_missing": Text("No accepted calibration", "没有可用的标定"),
    "out_of_ambient_window": Text("Surroundings are outside the range the method allows", "环境条件超出方法允许范围"),
    "no_baseline": Text(
        "Too few people measured lately to compare with: nobody can be called elevated yet",
        "近期测量人数不足，尚无法比较：暂不能判定体温偏高",
    ),
}
"""Why screening is unavailable: robot/health.py's codes, in its order."""

WARNINGS: dict[str, Text] = {
    "calibration_expired": Text("CALIBRATION EXPIRED: temperatures may be wrong", "标定已过期：温度可能不准确"),
    "calibration_nominal": Text(
        "NOT CALIBRATED ON THIS ROBOT: parts are datasheet values", "未在本机完成标定：部分参数为标称值"
    ),
    "certificate_expired": Text(
        "A TLS CERTIFICATE HAS EXPIRED: browsers, receivers or the broker refuse it; lamp and siren work",
        "TLS 证书已过期：浏览器、接收端或代理将拒绝连接；灯与警报器正常工作",
    ),
    "certificate_expiring": Text(
        "A TLS certificate expires within two weeks: renew it, and restart the robot",
        "TLS 证书将在两周内过期：请更新证书并重启机器人",
    ),
    "plate_lost": Text(
        "The reference plate is lost: people are read without it, and may be read a degree off",
        "温度参考源失效：现无参考源测温，读数可能偏差约一度",
    ),
    "view_narrowed": Text(
        "A FRONT CAMERA IS LOST: people in its part of the thermal view are not measured",
        "一台前方摄像头失效：其视野内的人员未能测温",
    ),
    "lens_blurred": Text(
        "A FRONT CAMERA IS BLURRED: people are missed or found late; wipe and dry its lens, or focus it",
        "一台前方摄像头画面模糊：人员可能漏检或发现过晚；请擦净、擦干镜头或重新对焦",
    ),
    "nobody_read": Text(
        "NOBODY IN RANGE COULD BE MEASURED LATELY: look at the thermal sensor's window and the front camera",
        "最近进入测温范围的人员均未能测温：请检查热像仪窗口与前方摄像头",
    ),
    "baseline_low": Text(
        "PEOPLE READ TOO COLD, ALL TOGETHER: elevated ones may be missed; look at air temperature, plate and sensor, and whether people come in from the cold",
        "受测人员读数普遍偏低：体温偏高者可能漏检；请检查环境温度设置、温度参考源与热像仪，以及人员是否刚从寒冷处进入",
    ),
    "baseline_high": Text(
        "PEOPLE READ TOO WARM, ALL TOGETHER: look at air temperature, plate and sensor; policy cohort finds only who is warmer than the others",
        "受测人员读数普遍偏高：请检查环境温度设置、温度参考源与热像仪；群体策略只能发现比他人更热者",
    ),
    "page_unreachable": Text(
        "PAGE AND EVENTS CANNOT BE REACHED: the address to listen at is not there (network?); lamp and siren work",
        "页面与事件流无法访问：监听地址不存在（网络？）；灯与警报器正常工作",
    ),
    "no_faces": Text(
        "WARM PEOPLE PASS, AND NO CAMERA SHOWS A FACE: look at the front camera (turned away, knocked, out of focus)",
        "有人体热源经过，但摄像头未发现任何人脸：请检查前方摄像头（朝向、位置、对焦）",
    ),
    "evidence_stopped": Text(
        "Evidence of alarms cannot be kept: its folder cannot be written, or the disk is full or fails",
        "无法保存警报证据：文件夹不可写，或磁盘已满、故障",
    ),
    "events_not_saved": Text(
        "Events cannot be saved: the disk is full, read-only or fails; alarms go on",
        "无法保存事件：磁盘已满、只读或故障；报警照常进行",
    ),
    "events_lost": Text("Events were lost: the disk failed for too long", "部分事件已丢失：磁盘故障时间过长"),
    "disk_slow": Text(
        "The disk is very slow: a power cut may lose the latest events; alarms go on",
        "磁盘响应过慢：此时断电可能丢失最新事件；报警照常进行",
    ),
    "computer_hot": Text(
        "The computer is too hot: less is looked at, alarms go on", "计算机过热：减少细看，报警照常进行"
    ),
    "computer_slowed": Text(
        "The computer slows itself down: less is looked at, alarms go on", "计算机已自动降速：减少细看，报警照常进行"
    ),
    "under_voltage": Text("The computer's supply is too weak", "计算机供电电压不足"),
    "recording_stopped": Text(
        "Recording has stopped: its folder cannot be written, or the disk is full or fails",
        "录制已停止：文件夹不可写，或磁盘已满、故障",
    ),
    "recording_gaps": Text("The disk is too slow: the recording has gaps", "磁盘过慢：录制不完整"),
    "power_cycled_in_vain": Text(
        "A device stays lost although its power was cut: look at it", "设备断电重启后仍无法恢复：请检查"
    ),
    "provider_fallback": Text("The accelerator for the face detector is not used", "人脸检测未使用加速器"),
    "power_switch_lost": Text("The power of a device cannot be switched", "无法控制设备电源"),
    "no_indicator": Text(
        "No lamp and no siren are configured: alarms show on the pages alone", "未配置灯光与警笛：警报仅在页面上显示"
    ),
    "indicator_lost": Text(
        "Lamp and siren cannot be set: watch a page, alarms show there",
        "灯光与警笛无法控制：请留意页面，警报仍在页面上显示",
    ),
    "siren_quiet": Text(
        "Night: alarms are shown by the lamp, the siren is off or quiet", "夜间模式：警笛关闭或减弱，报警以灯光显示"
    ),
    "detail_shed_far_faces": Text(
        "Overload: distant people are looked at less closely", "负载过高：减少对远处人员的细看"
    ),
    "detail_shed_side_crops": Text("Overload: the side cameras look nowhere closer", "负载过高：侧方摄像头不再细看"),
    "detail_shed_side_resolution": Text(
        "Overload: the side cameras see nearby people only", "负载过高：侧方摄像头只能看清近处人员"
    ),
    "detail_shed_front_crops": Text("Overload: the front camera looks nowhere closer", "负载过高：前方摄像头不再细看"),
    "detail_shed_side_rate": Text("Overload: the side cameras look rarely", "负载过高：侧方摄像头查看次数减少"),
}
"""What must be said although screening goes on: of robot/calibrated.py, disk, supplies and siren, then of robot/attention.py."""

NOT_MEASURED: dict[Reason, Text] = {
    Reason.TOO_FAR: Text("Too far away", "距离过远"),
    Reason.TOO_FEW_PIXELS: Text("Face too small in the thermal image", "热图中人脸过小"),
    Reason.MOVING_BLUR: Text("Moving too fast", "移动过快"),
    Reason.EXTREME_POSE: Text("Face turned away", "面部朝向偏离"),
    Reason.OCCLUDED: Text("Face hidden by somebody or something", "面部被遮挡"),
    Reason.GLASSES: Text("Glasses over the eyes", "眼镜遮挡"),
    Reason.OUT_OF_VIEW: Text("Outside the thermal view", "不在热成像视野内"),
    Reason.OUT_OF_AMBIENT_WINDOW: Text("Surroundings outside the allowed range", "环境条件超出允许范围"),
    Reason.REFERENCE_LOST: Text("Temperature reference not valid", "温度参考源无效"),
    Reason.CALIBRATION_EXPIRED: Text("Calibration expired", "标定已过期"),
    Reason.WARMING_UP: Text("Thermal sensor warming up", "热成像传感器预热中"),
    Reason.NO_BASELINE: Text("Too few people to compare with yet", "可比较人数不足"),
    Reason.IMPLAUSIBLE: Text("Reading not plausible", "读数不合理"),
    Reason.COLD_SKIN: Text("Face too cold to tell the body temperature", "面部温度过低，无法推算体温"),
    Reason.PICTURE: Text(
        "As warm all over as no living face: a lit picture or screen", "面部温度处处相同：应为灯箱或屏幕画面"
    ),
    Reason.TOO_BRIEF: Text("Seen too briefly", "出现时间过短"),
    Reason.NO_THERMAL: Text("No thermal image", "无热成像画面"),
}
"""Why a person who was seen has no temperature."""

HELP: dict[Reason, Text] = {
    Reason.TOO_FAR: Text("Please come closer", "请靠近一些"),
    Reason.TOO_FEW_PIXELS: Text("Please come closer", "请靠近一些"),
    Reason.MOVING_BLUR: Text("Please stand still for a moment", "请稍作停留"),
    Reason.EXTREME_POSE: Text("Please look at the robot", "请面向机器人"),
    Reason.OCCLUDED: Text("Please show your forehead and eyes", "请露出额头和眼睛"),
    Reason.GLASSES: Text("Please take off your glasses for a moment", "请暂时摘下眼镜"),
    Reason.OUT_OF_VIEW: Text("Please step in front of the robot", "请站到机器人正前方"),
    Reason.IMPLAUSIBLE: Text("Please put hot drinks aside and look again", "请放下热饮后重新测量"),
    Reason.COLD_SKIN: Text(
        "Please take off glasses; after coming in from the cold, wait a minute",
        "请摘下眼镜；如刚从寒冷处进入，请稍候再测",
    ),
    Reason.TOO_BRIEF: Text("Please stand still for a moment", "请稍作停留"),
}
"""What the person can do about it; reasons that are the robot's own have no entry."""


DEVICES: dict[str, Text] = {
    "thermal": Text("thermal", "热成像"),
    "pipeline": Text("image processing", "图像处理"),
    "plate": Text("reference plate", "参考源"),
    "position": Text("position", "位置"),
    "front": Text("front", "前方"),
    "left": Text("left", "左侧"),
    "right": Text("right", "右侧"),
    "rear": Text("rear", "后方"),
    "rear_left": Text("rear left", "左后方"),
    "rear_right": Text("rear right", "右后方"),
}
"""What people call the devices; cameras are named in the settings, these by most of them."""

DETAILS: dict[str, Text] = {
    "undecodable": Text("pictures cannot be decoded", "画面无法解码"),
    "blind": Text("pictures show nothing: lens covered, fogged, or no light", "画面无内容：镜头被遮挡、起雾或无光照"),
    "blurred": Text("pictures are blurred: lens out of focus, wet or greasy", "画面模糊：镜头失焦、有水或有油污"),
    "late": Text("pictures come more than 1 s late", "画面延迟超过 1 秒"),
    "other_sensor": Text("another sensor than was calibrated", "与标定时的传感器不同"),
    "flooded": Text("no temperature in its picture is possible", "画面中的温度均不可能"),
    "silent": Text("opened, but it sends nothing", "已打开，但无数据"),
    "no_position": Text("no position", "无位置数据"),
    "no_fix": Text("no fix", "未定位"),
    "bad_fix": Text("satellites stand too badly (dilution above 20)", "卫星分布过差（精度因子大于 20）"),
    "base_lost": Text("the base does not know where it is", "底盘不知道自身位置"),
}
"""What health or the doctor says of a device whose data are not usable, by its English words; figures may follow in brackets."""
_BY_WORDS = {text.en: text for text in DETAILS.values()}


def device(name: str) -> Text:
    """Returns what people call a device; one that has no word here keeps the name that it has in the settings."""
    plain = name.replace("_", " ")
    return DEVICES.get(name, Text(plain, plain))


def detail(said: str) -> Text:
    """Returns a detail of health in every language; one that is not known here stays as it is."""
    if said in _BY_WORDS:
        return _BY_WORDS[said]
    words, _, figures = said.rpartition(" (")
    known = _BY_WORDS.get(words)
    return Text(said, said) if known is None else Text(said, f"{known.zh} ({figures}")


def table() -> dict[str, dict[str, dict[str, str]]]:
    """Returns every text as {language: {group: {code: text}}}, as the page fetches it."""
    groups: dict[str, dict[str, Text]] = {
        "unavailable": UNAVAILABLE,
        "warning": WARNINGS,
        "not_measured": {str(reason): text for reason, text in NOT_MEASURED.items()},
        "help": {str(reason): text for reason, text in HELP.items()},
        "advice": {"elevated": ADVICE},
        "device": DEVICES,
        "detail": _BY_WORDS,
    }
    return {
        language: {
            name: {code: getattr(text, language) for code, text in group.items()} for name, group in groups.items()
        }
        for language in Text._fields
    }
