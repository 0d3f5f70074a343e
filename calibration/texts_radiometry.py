"""Sentences of the radiometry, reference, site and verify steps, in English and Chinese."""

from __future__ import annotations

from robot.texts import Text

TEXTS: dict[str, Text] = {
    # Radiometry: what to do
    "do.flat": Text(
        "Hold an even, matt plate at room temperature close before the thermal sensor, so that it hides everything: {percent} %",
        "将一块温度均匀的室温哑光平板贴近热像仪镜头，遮住整个视野：{percent} %",
    ),
    "do.sweep": Text(
        "Pass your hand slowly close before the thermal sensor, over the whole view: {percent} %",
        "用手贴近热像仪镜头缓慢扫过整个视野：{percent} %",
    ),
    "do.blackbody": Text(
        "Blackbody at {set_point} °C, about {range} m away ({need} pixels wide), on a stand",
        "黑体设为 {set_point} °C，置于约 {range} 米处（宽 {need} 像素），放在支架上",
    ),
    "do.wait": Text(
        "Blackbody {set_point} °C: leave it, {left} s more", "黑体 {set_point} °C：保持不动，还需 {left} 秒"
    ),
    # Radiometry: why not
    "no.thermal_size": Text(
        "the sensor sends {size} pixels, the calibration is for {calibrated}: another sensor",
        "传感器输出 {size} 像素，标定对应 {calibrated}：不是同一传感器",
    ),
    "no.warming_up": Text(
        "the sensor is still warming up: {rate} °C/min; wait", "传感器仍在预热：{rate} °C/分钟；请等待"
    ),
    "no.flat_plate": Text(
        "the plate does not hide the robot's reference plate: hold it nearer to the lens",
        "平板未遮住机器人的板载参考源：请更靠近镜头",
    ),
    "no.flat_uneven": Text(
        "the view is not even: {spread} °C from part to part, {limit} at most; hide the whole view with the plate",
        "视野温度不均匀：相差 {spread} °C，最多 {limit}；请用平板遮住整个视野",
    ),
    "no.blackbody": Text("no blackbody found: nothing warm stands out", "未找到黑体：没有明显的热目标"),
    "no.blackbody_edge": Text("the blackbody reaches out of the view: move it inwards", "黑体超出视野：请移向中央"),
    "no.near_plate": Text(
        "too close to the robot's reference plate: move the blackbody away from it", "离板载参考源太近：请将黑体移开"
    ),
    "no.plate_hidden": Text(
        "the reference plate reads {reads} °C instead of {expected}: something hides it, or it is not heated",
        "板载参考源读数 {reads} °C，应为 {expected}：被遮挡或未加热",
    ),
    "no.hand": Text(
        "not round: a hand or something else is in front of the blackbody", "目标不是圆形：手或其他物体挡在黑体前"
    ),
    "no.few_pixels": Text(
        "the blackbody fills too few pixels: {have} wide, {need} needed; come nearer",
        "黑体像素太少：宽 {have}，需要 {need}；请靠近",
    ),
    "no.too_far": Text(
        "too far: {have} pixels wide, {need} wanted; come nearer", "太远：宽 {have} 像素，需要 {need}；请靠近"
    ),
    "no.too_near": Text(
        "too near: {have} pixels wide, {need} wanted; go farther away", "太近：宽 {have} 像素，需要 {need}；请后退"
    ),
    "no.saturated": Text(
        "saturated: the sensor stands at {reads} °C; lower the set point",
        "饱和：传感器读数停在 {reads} °C；请降低设定温度",
    ),
    "no.set_point": Text(
        "the sensor reads {reads} °C, entered was {entered}: wait until the blackbody is there, or enter its set point",
        "传感器读数 {reads} °C，输入值为 {entered}：请等待黑体到温，或输入正确的设定温度",
    ),
    "no.moving": Text("the blackbody moves: put it on a stand", "黑体在移动：请放在支架上"),
    "no.unsteady": Text("blackbody not stable yet: {rate} °C/min", "黑体尚未稳定：{rate} °C/分钟"),
    "state.blackbody": Text("blackbody reads {reads} °C, {diameter} px", "黑体读数 {reads} °C，{diameter} 像素"),
    "state.blackbody_rate": Text(
        "blackbody reads {reads} °C, {diameter} px, {rate} °C/min",
        "黑体读数 {reads} °C，{diameter} 像素，{rate} °C/分钟",
    ),
    "col.flat": Text("flat plate", "平板"),
    "col.sweep": Text("hand", "手扫"),
    "col.blackbody": Text("blackbody", "黑体"),
    "col.tag_places": Text("places of the tag", "标签位置"),
    "col.kind": Text("kind", "类型"),
    "col.row": Text("row", "行"),
    "col.column": Text("column", "列"),
    "col.set_point": Text("set point, °C", "设定温度 °C"),
    "col.width": Text("width, px", "宽度（像素）"),
    "col.frames": Text("frames", "帧数"),
    "col.misfit": Text("misfit, °C", "拟合误差 °C"),
    "dead.no_number": Text("no number", "无读数"),
    "dead.stuck": Text("stuck", "固定值"),
    "dead.noisy": Text("noisy", "噪声大"),
    "dead.hot": Text("hot", "偏热"),
    "dead.cold": Text("cold", "偏冷"),
    "dead.slow": Text("slow", "响应慢"),
    "series.residual": Text("left over, bars ±2 u", "残差，误差棒 ±2u"),
    "series.with_plate": Text("as the robot reads, bars ±2 u", "机器人读数，误差棒 ±2u"),
    "series.without_plate": Text("without the reference plate", "不使用参考源"),
    "series.canthi": Text("canthi", "眼角"),
    "series.upper_face": Text("upper face", "上半脸"),
    "series.forehead": Text("forehead", "额头"),
    "fig.temperature_error": Text("Temperature error at the blackbody, with limits", "黑体处测温误差与限值"),
    "cov.radiometry": Text("Radiometry", "辐射测温"),
    "why.off_the_line": Text("more than {limit} °C off the line through the others", "偏离其余各点连线超过 {limit} °C"),
    "warn.noise_below_steps": Text(
        "noise ({netd} °C) is hidden by the sensor's steps of {quantum} °C: NETD is an upper bound",
        "噪声（{netd} °C）被传感器量化步长 {quantum} °C 掩盖：NETD 为上限",
    ),
    "warn.no_plate": Text(
        "no reference plate in the calibration: drift was followed by the scene alone",
        "标定中无板载参考源：仅依据场景跟踪漂移",
    ),
    "warn.plate_disagrees": Text(
        "held against the blackbody the reference plate is {off} °C off the expected {expected} °C: run the reference step",
        "与黑体相比，板载参考源偏离预期 {expected} °C 达 {off} °C：请执行参考源步骤",
    ),
    "fig.set_points": Text("Left at the set points", "设定点残差"),
    "fig.offsets": Text("Offsets of the pixels; circled ones are dead", "像素偏移图；圈出的为坏点"),
    "fig.size_of_source": Text("Recovered share of a face's contrast, by its width", "不同人脸宽度下恢复的对比度比例"),
    "table.dead": Text("Dead pixels", "坏点"),
    "table.blackbody": Text("Pictures of the blackbody", "黑体图像"),
    "name.ambient_c": Text("air temperature", "环境温度"),
    "name.humidity": Text("relative humidity", "相对湿度"),
    "name.blackbody_c": Text("blackbody's set point", "黑体设定温度"),
    "name.absolute_sd_c": Text("absolute reading without the plate (k=1)", "无参考源时绝对读数 (k=1)"),
    "name.site_offset_c": Text("from skin to body", "皮肤到体温偏移"),
    "name.roi_left_px": Text("plate's left edge", "参考源左边缘"),
    "name.roi_top_px": Text("plate's upper edge", "参考源上边缘"),
    "name.roi_width_px": Text("plate's width", "参考源宽度"),
    "name.roi_height_px": Text("plate's height", "参考源高度"),
    "name.gain": Text("gain", "增益"),
    "name.offset_c": Text("offset at 0 °C", "0 °C 处偏移"),
    "name.level_c": Text("level in the middle of the set points", "设定点中部电平"),
    "name.netd_c": Text("noise of a pixel (NETD)", "像素噪声（NETD）"),
    "name.quantum_c": Text("step", "量化步长"),
    "name.pattern_before_c": Text("fixed pattern before correction", "校正前固定图案噪声"),
    "name.fixed_pattern_sd_c": Text("fixed pattern after correction", "校正后固定图案噪声"),
    "name.drift_c_per_min": Text("drift", "漂移"),
    "name.dead_pixels": Text("dead pixels", "坏点数"),
    "name.dead_share": Text("share of dead pixels", "坏点比例"),
    "name.point_spread_px": Text("point spread (σ)", "点扩散（σ）"),
    "name.veil_share": Text("veiling glare", "杂散光比例"),
    "name.set_point_residual_c": Text("left at the set points", "设定点残差"),
    "name.blackbody_fit_c": Text("misfit of the blackbody's pictures", "黑体图像拟合误差"),
    # Reference plate
    "do.plate_find": Text(
        "Switch the robot's reference plate on ({set_point} °C) and keep its corner of the view free",
        "打开机器人板载参考源（{set_point} °C），保持其所在视野角落无遮挡",
    ),
    "do.plate_wait": Text("Reference plate found: keep it free and wait", "已找到板载参考源：保持无遮挡并等待"),
    "do.plate_blackbody": Text(
        "Leave the blackbody at {set_point} °C in view, away from the reference plate, and wait",
        "将 {set_point} °C 的黑体留在视野内，远离板载参考源，并等待",
    ),
    "no.plate": Text("no reference plate found near the border of the thermal image", "热图像边缘附近未找到板载参考源"),
    "no.plate_set_point": Text(
        "the plate reads {reads} °C, {expected} was expected from its set point: wait, or enter its set point",
        "参考源读数 {reads} °C，按设定温度应为 {expected}：请等待或输入正确的设定温度",
    ),
    "no.plate_unsteady": Text("plate not stable yet: {rate} °C/min", "参考源尚未稳定：{rate} °C/分钟"),
    "no.plate_hand": Text("something is in front of the plate, or it moved", "参考源前有物体遮挡，或其位置移动"),
    "state.plate": Text("plate {reads} °C, {rate} °C/min", "参考源 {reads} °C，{rate} °C/分钟"),
    "warn.plate_off": Text(
        "the plate reads {off} °C off the expected {expected} °C: more than the sensor itself is unsure of",
        "参考源读数偏离预期 {expected} °C 达 {off} °C：超出传感器自身不确定度",
    ),
    "warn.plate_emissivity_entered": Text(
        "the plate's emissivity was entered ({emissivity} ± {sd}), not measured: in this room the plate makes every reading unsure by {now} °C (k=1), "
        "everybody's alike and all day; held against a blackbody (--beside-blackbody-c) it would be {then} °C",
        "参考源发射率为输入值（{emissivity} ± {sd}），并非实测：在本室温下，参考源给每次读数带来 {now} °C 的标准不确定度 (k=1)，"
        "全天对所有人相同；若与黑体比对（--beside-blackbody-c），则为 {then} °C",
    ),
    "name.set_point_c": Text("set point", "设定温度"),
    "name.emissivity": Text("emissivity", "发射率"),
    "name.plate_shows_c": Text("what the plate shows in this room", "参考源在本室温下的视在温度"),
    "name.plate_off_c": Text("plate off its entered values", "参考源与输入值之差"),
    "name.plate_rate_c_per_min": Text("change of the plate", "参考源变化率"),
    "name.plate_spread_c": Text("unevenness of the plate", "参考源不均匀度"),
    "name.plate_px": Text("pixels of the plate", "参考源像素数"),
    # Acceptance
    "do.verify_blackbody": Text(
        "Blackbody at {set_point} °C, about {range} m away, on a stand",
        "黑体设为 {set_point} °C，置于约 {range} 米处的支架上",
    ),
    "do.verify_tag": Text(
        "Hold the tag still at {left} more places that the thermal sensor sees",
        "在热像仪可见的另外 {left} 个位置静止举起标签",
    ),
    "cov.verify": Text("Acceptance", "验收"),
    "fig.verify_places": Text("Tag's warm spot from where the camera has it", "标签热点与相机定位之差"),
    "name.blackbody_error_c": Text("error at the blackbody", "黑体处误差"),
    "name.without_plate_error_c": Text("error without the reference plate", "不使用参考源时的误差"),
    "name.netd_ratio": Text("noise, times the calibrated", "噪声与标定值之比"),
    # Site offset
    "site.stray": Text("{off} °C off what the others say", "与其他人相差 {off} °C"),
}
