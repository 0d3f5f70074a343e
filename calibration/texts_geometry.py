"""Sentences of the board, lens and registration steps, in English and Chinese."""

from __future__ import annotations

from robot.texts import Text

TEXTS: dict[str, Text] = {
    # Why what is in view is not taken
    "no.other_tag": Text("tag {found} is not ours: tag {wanted} is wanted", "标签编号为 {found}，需要编号 {wanted} 的标签"),
    "no.two_tags": Text("two of our tags are in view: put one away", "画面中有两个标签：请移走一个"),
    "no.tag_too_far": Text(
        "tag too small ({edge_px} px, at least {least_px}): come nearer",
        "标签过小（{edge_px} 像素，至少 {least_px}）：请靠近",
    ),
    "no.tag_blurred": Text("tag blurred in {camera}: hold still; is the lens clean?", "{camera} 中标签模糊：请保持静止，并检查镜头是否清洁"),
    "no.tag_moves": Text("tag moves: hold it still for a second", "标签在移动：请保持静止一秒"),
    "no.same_place": Text("taken: move on to another place", "已采集：请移到另一位置"),
    "no.one_camera_only": Text(
        "one camera alone sees the tag here: that ties nothing together", "此处只有一个摄像头看到标签，无法用于配准"
    ),
    "no.cameras_disagree": Text(
        "{one} and {other} see the tag in different places: are cameras swapped, or is the tag's size wrong?",
        "{one} 与 {other} 看到的标签位置不一致：摄像头是否接反，或标签尺寸有误？",
    ),
    "no.swapped": Text(
        "{camera} shows what {other} should show: are the two swapped?", "{camera} 的画面应属于 {other}：两者是否接反？"
    ),
    "no.spot_elsewhere": Text(
        "the warm spot is not where the tag is: is something else warm in view, or is the tag's own spot cold?",
        "热斑与标签位置不符：视野中是否有其他热源，或标签热斑未加热？",
    ),
    "no.spot_not_seen": Text(
        "no warm spot at the tag: heat it, and keep hands off its middle", "标签处没有热斑：请加热，并避免手遮挡中心"
    ),
    "no.two_spots": Text("something beside the tag is as warm: hold it away from faces and heaters", "标签旁有同样热的物体：请远离面部和热源"),
    "no.spot_at_edge": Text(
        "the warm spot is cut by the edge of the thermal view or by the plate: move it inwards", "热斑被热图边缘或参考板遮挡：请向内移动"
    ),
    "no.no_thermal": Text("no thermal frames of this moment: check the thermal sensor", "此刻没有热图数据：请检查热成像传感器"),
    "no.mirrored": Text(
        "mirror image: the picture or the print is reversed left to right", "镜像：画面或打印件左右颠倒"
    ),
    "no.other_dictionary": Text(
        "another board: its markers are {found}, ours are {wanted}", "标定板不符：其标记为 {found}，应为 {wanted}"
    ),
    "no.two_boards": Text("two boards are in view: put one away", "画面中有两块标定板：请移走一块"),
    "no.wrong_board": Text(
        "another board: ours has {columns} × {rows} squares; print it with patrol-calibrate board",
        "标定板不符：应为 {columns} × {rows} 格；请用 patrol-calibrate board 打印",
    ),
    "no.board_hidden": Text(
        "only {corners} corners of the board are seen, {least} are needed: uncover it or come nearer",
        "仅看到 {corners} 个角点，至少需要 {least} 个：请勿遮挡或靠近",
    ),
    "no.board_moves": Text("board moves: hold it still", "标定板在移动：请保持静止"),
    "no.board_blurred": Text("board blurred: hold still; is the lens clean and in focus?", "标定板模糊：请保持静止，并检查镜头清洁与对焦"),
    "no.same_view": Text("taken: move, tilt or turn the board", "已采集：请移动、倾斜或转动标定板"),
    "no.other_size": Text(
        "{camera} sends {width} × {height} pixels, not what its calibration says: is it another camera?",
        "{camera} 的分辨率为 {width} × {height}，与标定不符：是否换了摄像头？",
    ),
    # What to do next
    "do.tag_upper_left": Text("tag to the upper left of the thermal view, {low_m}–{high_m} m away, and still", "标签移到热图左上，距离 {low_m}–{high_m} 米，保持静止"),
    "do.tag_upper": Text("tag to the upper middle of the thermal view, {low_m}–{high_m} m away, and still", "标签移到热图上方中间，距离 {low_m}–{high_m} 米，保持静止"),
    "do.tag_upper_right": Text("tag to the upper right of the thermal view, {low_m}–{high_m} m away, and still", "标签移到热图右上，距离 {low_m}–{high_m} 米，保持静止"),
    "do.tag_lower_left": Text("tag to the lower left of the thermal view, {low_m}–{high_m} m away, and still", "标签移到热图左下，距离 {low_m}–{high_m} 米，保持静止"),
    "do.tag_lower": Text("tag to the lower middle of the thermal view, {low_m}–{high_m} m away, and still", "标签移到热图下方中间，距离 {low_m}–{high_m} 米，保持静止"),
    "do.tag_lower_right": Text("tag to the lower right of the thermal view, {low_m}–{high_m} m away, and still", "标签移到热图右下，距离 {low_m}–{high_m} 米，保持静止"),
    "do.tag_more": Text("tag to more places of the thermal view, at all ranges", "在热图更多位置、各个距离举起标签"),
    "do.tag_between": Text(
        "tag between {one} and {other}, where both see it: about 1.5 m away, head height or higher",
        "标签举到 {one} 与 {other} 都能看到的位置：约 1.5 米远，与头同高或更高",
    ),
    "do.board_cell": Text("board to field {cell} of the picture", "标定板移到画面 {cell} 格"),
    "do.board_range": Text("board at {low_m} to {high_m} m", "标定板距离 {low_m}–{high_m} 米"),
    "do.board_tilt_none": Text("board straight to the camera", "标定板正对摄像头"),
    "do.board_tilt_left": Text("turn the board's left edge towards the camera, 20–40°", "标定板左边转向摄像头 20–40°"),
    "do.board_tilt_right": Text("turn the board's right edge towards the camera, 20–40°", "标定板右边转向摄像头 20–40°"),
    "do.board_tilt_up": Text("tip the board's upper edge towards the camera, 20–40°", "标定板上边倾向摄像头 20–40°"),
    "do.board_tilt_down": Text("tip the board's lower edge towards the camera, 20–40°", "标定板下边倾向摄像头 20–40°"),
    "do.board_more": Text("board to more places, another tilt at each", "在更多位置、以不同倾角举起标定板"),
    "state.places": Text("{places} places", "{places} 个位置"),
    "state.lenses": Text(
        "lenses not measured yet, intrinsics come first: {cameras}", "镜头尚未测量，应先做内参标定 (intrinsics)：{cameras}"
    ),
    "state.views": Text("{views} views", "{views} 个视图"),
    # Results
    "warn.camera_unlinked": Text(
        "{camera} SHARES NO VIEW with the others: its place is the drawing's, nothing was measured",
        "{camera} 与其他镜头没有重合视野：其位姿沿用图纸值，未经测量",
    ),
    "warn.ruler_unmeasured": Text(
        "the printed ruler was not measured: a printer that scales spoils the ranges (--tag-ruler-mm)",
        "未测量打印标尺：若打印有缩放，距离会有误差（--tag-ruler-mm）",
    ),
    "warn.focal_far": Text(
        "{camera}: the focal length is {percent} % from the calibration before: is it another camera or lens?",
        "{camera}：焦距与原标定相差 {percent} %：是否更换了摄像头或镜头？",
    ),
    "rejected.off": Text("{lens} is {off_px} px off", "{lens} 偏差 {off_px} 像素"),
    "rejected.corners": Text("{corners} corners left out, the worst {worst_px} px off", "剔除 {corners} 个角点，最大偏差 {worst_px} 像素"),
    "fig.board_photo": Text(
        "The board as the camera saw it: corners found (green circles), where the solution has them (orange crosses), left out (red)",
        "摄像头所见标定板：检测到的角点（绿圈）、解算位置（橙色十字）、剔除的角点（红圈）",
    ),
    "fig.spot_photo": Text(
        "The tag's warm spot as the thermal sensor saw it: found (green circle), and where the camera has it (orange cross)",
        "热传感器所见标签热斑：检测位置（绿圈）与摄像头推算位置（橙色十字）",
    ),
    "fig.spot_residuals": Text("Warm spot: seen against solved", "热斑：观测与解算之差"),
    "fig.spot_by_range": Text("Residual of the warm spot by range", "热斑残差随距离的变化"),
    "fig.corner_residuals": Text("Corners: seen against solved", "角点：观测与解算之差"),
    "table.mounts": Text("Cameras against the calibration before", "各摄像头相对原标定的变化"),
    "cov.tag_view": Text("Tag over the thermal view", "热图覆盖情况"),
    "cov.tag_pairs": Text("Tag seen by two cameras at once", "两个摄像头同时看到标签的次数"),
    "cov.board_view": Text("Board over the picture", "画面覆盖情况"),
    "cov.board_range": Text("Range", "距离"),
    "cov.board_tilt": Text("Tilt: the edge nearer to the camera", "倾斜：靠近摄像头的一边"),
    "name.f_px": Text("focal length", "焦距"),
    "name.fx_px": Text("focal length, x", "焦距 x"),
    "name.fy_px": Text("focal length, y", "焦距 y"),
    "name.cx_px": Text("principal point, x", "主点 x"),
    "name.cy_px": Text("principal point, y", "主点 y"),
    "name.k1": Text("distortion k1", "畸变 k1"),
    "name.k2": Text("distortion k2", "畸变 k2"),
    "name.p1": Text("distortion p1", "畸变 p1"),
    "name.p2": Text("distortion p2", "畸变 p2"),
    "name.k3": Text("distortion k3", "畸变 k3"),
    "name.yaw_deg": Text("turned to the left", "左转角"),
    "name.pitch_deg": Text("looks up", "仰角"),
    "name.roll_deg": Text("tilted", "横滚角"),
    "name.x_mm": Text("place, forward", "位置：向前"),
    "name.y_mm": Text("place, to the left", "位置：向左"),
    "name.z_mm": Text("place, height", "位置：高度"),
    "name.registration_px": Text("Expected error of a place in the thermal image", "热图定位期望误差"),
    "name.left_out_px": Text("Error at places left out of the solution", "留出位置的误差"),
    "name.corner_rms_px": Text("Residual of the tag's corners", "标签角点残差"),
    "name.reprojection_px": Text("Reprojection error", "重投影误差"),
    "name.focal_sd_percent": Text("Uncertainty of the focal length", "焦距不确定度"),
    "name.spot_x_mm": Text("Warm spot beside the tag's middle", "热斑水平偏心"),
    "name.spot_y_mm": Text("Warm spot below the tag's middle", "热斑垂直偏心"),
}  # fmt: skip
