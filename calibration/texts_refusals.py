"""Why samples are refused when a step is solved or taken up again, and what is wrong with devices, in English and Chinese."""

from __future__ import annotations

from robot.texts import Text
from robot.unwritable import ADVICE

_HALVES = (("left", "左"), ("right", "右"), ("upper", "上"), ("lower", "下"))

TEXTS: dict[str, Text] = {
    # Lenses
    "refused.views": Text(
        "{have} views of the board, at least {need} are needed: hold it at more places",
        "标定板视图仅 {have} 个，至少需要 {need} 个：请在更多位置举起",
    ),
    "refused.one_range": Text(
        "all views are at about {range} m: hold the board nearer and further away too",
        "所有视图距离均约 {range} 米：请在更近和更远处也举起标定板",
    ),
    "refused.few_tilted": Text(
        "the board was tilted in {tilted} views only: tilt it by 20 to 40° to every side, or focal length and distance cannot be told apart",
        "仅 {tilted} 个视图中标定板有倾斜：请向各方向倾斜 20–40°，否则焦距与距离无法区分",
    ),
    "refused.views_contradict": Text(
        "{wrong} of {all} views contradict the others: is the board flat, stiff and held still? Take the views again",
        "{all} 个视图中有 {wrong} 个与其他矛盾：标定板是否平整、坚硬、静止？请重新采集",
    ),
    "refused.focal_uncertain": Text(
        "the focal length is uncertain by {percent} %: tilt the board more, and show it nearer",
        "焦距不确定度达 {percent} %：请加大标定板倾角，并靠近一些",
    ),
    "refused.no_lens": Text(
        "no lens explains these views; take them again with our board", "没有镜头参数能解释这些视图；请用本机标定板重新采集"
    ),
    # Registration
    "refused.places": Text(
        "the warm spot was seen at {have} places, at least {need} are needed: hold the tag at more places",
        "仅在 {have} 个位置看到热斑，至少需要 {need} 个：请在更多位置举起标签",
    ),
    "refused.ranges": Text(
        "too few places at {ranges}: hold the tag at near, middle and far range",
        "{ranges} 处位置过少：请在近、中、远距离举起标签",
    ),
    "refused.no_camera": Text(
        "no camera saw the tag while the thermal sensor saw its warm spot", "热成像看到热斑时，没有摄像头看到标签"
    ),
    "refused.places_contradict": Text(
        "{wrong} of {all} places contradict the others: was another warm thing near the tag, or did a camera move? Do the walk again",
        "{all} 个位置中有 {wrong} 个与其他矛盾：标签旁是否有其他热源，或摄像头是否移动？请重新走一遍",
    ),
    "refused.places_fix_nothing": Text(
        "the places do not fix a solution; hold the tag at more places, spread over view and range",
        "这些位置无法确定解；请在更多位置举起标签，分布于整个视野和各距离",
    ),
    "refused.mount": Text("against the present calibration, {camera} is turned by {turned}° and moved by {moved} cm", "与现有标定相比，{camera} 转动了 {turned}°、移动了 {moved} 厘米"),
    "refused.lenses": Text(
        "the lens of {cameras} has not been measured, which alone may be why: do its intrinsics first",
        "{cameras} 的镜头尚未测量，仅此即可造成上述结果：请先做内参标定 (intrinsics)",
    ),
    "refused.mounts": Text(
        "check that no cameras are swapped, that the tag was printed to scale (--tag-ruler-mm), and that the calibration is this robot's",
        "请检查摄像头是否接反、标签打印比例是否正确（--tag-ruler-mm），以及标定是否属于本机器人",
    ),
    # Temperatures
    "refused.points_close": Text(
        "set points {points} °C lie too close together: give two or more, {span} °C or more between the lowest and the highest (--set-points 32,38)",
        "设定点 {points} °C 相距过近：请给出两个或更多，最低与最高相差至少 {span} °C（--set-points 32,38）",
    ),
    "refused.points_measured": Text(
        "set points measured: {points} °C; two or more are needed, {span} °C apart or more",
        "已测设定点：{points} °C；需要两个或更多，相差至少 {span} °C",
    ),
    "refused.points_disagree": Text(
        "the set points disagree by {off} °C and three cannot tell which is wrong: measure again, each when the blackbody is stable",
        "各设定点相差 {off} °C，仅三点无法判断哪一点有误：请待黑体稳定后逐点重测",
    ),
    "refused.gain": Text(
        "a gain of {gain} is none of a working sensor: were the set points entered as they were?",
        "增益 {gain} 不属于正常传感器：设定点是否按实际输入？",
    ),
    "refused.many_dead": Text(
        "{percent} % of the pixels seem dead: the flat field was disturbed, or the sensor is broken",
        "{percent} % 的像素疑似坏点：均匀面采集受到干扰，或传感器损坏",
    ),
    "refused.plate_not_steady": Text(
        "the plate was not steady long enough; watch it until it is", "参考板稳定时间不足；请观察至其稳定"
    ),
    "refused.plate_emissivity": Text(
        "held against the blackbody the plate is {off} °C off, which would be an emissivity of {emissivity}: check the plate's set point "
        "({set_point} °C was entered) and the blackbody's",
        "与黑体相比参考板偏差 {off} °C，相当于发射率 {emissivity}：请检查参考板设定点（输入为 {set_point} °C）和黑体设定点",
    ),
    "refused.blackbody_not_read": Text("the blackbody at {set_point} °C was not read", "未读取 {set_point} °C 的黑体"),
    "refused.tag_missing": Text("the tag is missing at {missing} of {all} places", "标签在 {all} 个位置中缺少 {missing} 个"),
    "refused.not_judged": Text("nothing was judged: the same command goes on", "未作判定：重新运行该命令即可继续"),
    # The tool around them
    "refused.repeat": Text("repeat the command: only this is measured again", "请重新运行该命令：仅重测此项"),
    "refused.then_repeat": Text("then repeat the command", "然后重新运行该命令"),
    "refused.stuck": Text(
        "{title}: no progress for {seconds} s at {percent} % ({why}); the samples are kept: repeat the command to go on",
        "{title}：在 {percent} % 处已 {seconds} 秒没有进展（{why}）；样本已保留：重新运行该命令即可继续",
    ),
    "refused.no_reason": Text("no reason known", "原因不明"),
    "refused.old": Text(
        "there are samples of {hours} h ago: use --resume to go on with them if nothing has been moved since, or --fresh to begin anew",
        "存在 {hours} 小时前的样本：若其后未移动任何部件，请用 --resume 继续，否则用 --fresh 重新开始",
    ),
    "refused.ahead": Text(
        "there are samples whose time is {hours} h from now, as the clock was set meanwhile: use --resume to go on with them if nothing has "
        "been moved since, or --fresh to begin anew",
        "存在时间比现在晚 {hours} 小时的样本（其间时钟被调整过）：若其后未移动任何部件，请用 --resume 继续，否则用 --fresh 重新开始",
    ),
    "refused.clock_unset": Text(
        "this computer's clock says {now}, it was never set: set it (sudo timedatectl set-time), the calibration's validity goes by it",
        "本机时钟显示 {now}，从未设置过：请先设置时钟（sudo timedatectl set-time），标定有效期以其为准",
    ),
    "refused.fresh": Text("use --fresh to begin anew", "请用 --fresh 重新开始"),
    "refused.kept_version": Text("the kept samples are of another version", "已保存的样本属于其他版本"),
    "refused.kept_camera": Text("the kept samples are of another camera", "已保存的样本属于其他摄像头"),
    "refused.kept_cameras": Text("the kept samples are of another set of cameras", "已保存的样本属于另一组摄像头"),
    "refused.kept_board": Text("the kept samples are of another board", "已保存的样本属于其他标定板"),
    "refused.kept_tag": Text("the kept samples are of another tag", "已保存的样本属于其他标签"),
    "refused.kept_size_px": Text("the kept samples are of another number of pixels", "已保存的样本像素数不同"),
    "refused.kept_damaged": Text("the kept samples are damaged ({why})", "已保存的样本已损坏（{why}）"),
    "refused.kept_points": Text(
        "the kept samples have set points {points} °C that were not given now", "已保存的样本含有本次未给出的设定点 {points} °C"
    ),
    "refused.kept_calibration": Text(
        "the kept samples are of another calibration or set point", "已保存的样本属于其他标定或设定点"
    ),
    "refused.kept_unwritten": Text(
        "{path}: cannot be written ({why}); the samples until now are safe", "{path}：无法写入（{why}）；此前的样本安全"
    ),
    "refused.install_unwritten": Text(
        "{path}: cannot be written ({why}); the old calibration is untouched", "{path}：无法写入（{why}）；原标定保持不变"
    ),
    "refused.lock_unwritten": Text("{path}: cannot be written ({why}); nothing was changed", "{path}：无法写入（{why}）；未作任何更改"),
    "refused.not_alone": Text(
        "another calibration of this robot is under way ({who}): let it end, or end it there with Ctrl-C; its samples are kept",
        "该机器人的另一次标定正在进行（{who}）：请等其结束，或在该处按 Ctrl-C 结束；其样本会保留",
    ),
    "refused.kept_unread": Text("{path}: cannot be read ({why})", "{path}：无法读取（{why}）"),
    "refused.kept_file_damaged": Text("{path}: is damaged ({why})", "{path}：已损坏（{why}）"),
    "refused.kept_schema": Text("{path}: holds samples of {schema}, step '{step}'", "{path}：其样本属于 {schema}，步骤 '{step}'"),
    "refused.kept_robot": Text("{path}: holds samples of robot {found}, not {wanted}", "{path}：其样本属于机器人 {found}，而非 {wanted}"),
    "refused.kept_serial": Text(
        "{path}: was begun with {name} serial {found}, but {here} is connected now; connect that one, or begin anew",
        "{path}：开始时 {name} 的序列号为 {found}，现连接的是 {here}；请接回原设备，或重新开始",
    ),
    # Devices
    "device.robot_runs": Text(
        "the robot is running (it answers at port {port}) and holds the devices: stop it first, sudo systemctl stop patrol-robot",
        "机器人正在运行（端口 {port} 有应答）并占用设备：请先停止，sudo systemctl stop patrol-robot",
    ),
    "device.silent": Text(
        "not every device delivers; check cables and addresses in the settings", "有设备没有数据；请检查线缆和设置中的地址"
    ),
    "device.nothing_yet": Text("has not sent anything yet", "尚未发送任何数据"),
    "device.other_serial": Text(
        "{name}: serial number {here} is connected, the calibration is for {wanted}: connect that one (were two swapped?), or measure "
        "everything anew with patrol-calibrate all",
        "{name}：现连接序列号 {here}，标定属于 {wanted}：请接回该设备（是否接反？），或用 patrol-calibrate all 全部重测",
    ),
    "device.other_sensor": Text(
        "{name}: sends {here} pixels, the calibration is for {wanted}: another sensor; begin with patrol-calibrate nominal",
        "{name}：分辨率为 {here}，标定为 {wanted}：传感器不同；请从 patrol-calibrate nominal 开始",
    ),
    "device.other_size": Text(
        "{name}: sends {here} pixels, the calibration is for {wanted}: calibrate its lens first",
        "{name}：分辨率为 {here}，标定为 {wanted}：请先标定其镜头",
    ),
    "device.same_serial": Text(
        "{names}: have the same serial number {serial}: correct their addresses in the settings",
        "{names}：序列号相同（{serial}）：请更正设置中的地址",
    ),
    "device.nothing_changed": Text("nothing was changed", "未作任何更改"),
}  # fmt: skip
TEXTS |= {f"advice.{kind}": text for kind, text in ADVICE.items()}
TEXTS |= {
    f"refused.half_{half}": Text(
        f"the {half} half of the picture is empty: hold the target there too", f"画面{zh}半部为空：请在该处也举起标定物"
    )
    for half, zh in _HALVES
}
