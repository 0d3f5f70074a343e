"""The tool's own sentences, in English and Chinese."""

from __future__ import annotations

from robot.texts import Text

TEXTS: dict[str, Text] = {
    "step.intrinsics": Text("Lenses", "镜头内参"),
    "step.registration": Text("Registration of cameras and thermal sensor", "可见光与热成像配准"),
    "step.radiometry": Text("Radiometry", "辐射测温标定"),
    "step.reference": Text("Reference plate", "板载参考源"),
    "step.site": Text("Site offset", "现场偏移"),
    "site.people": Text("{people} people", "{people} 人"),
    "site.left_out": Text("left out: {count} {what}", "剔除：{count} {what}"),
    "site.offset": Text(
        "before {before} °C, {people} people say {data}, now {now} °C at {ambient} °C",
        "原值 {before} °C，{people} 人的数据为 {data}，新值 {now} °C（环境 {ambient} °C）",
    ),
    "site.slope": Text(
        "per °C of ambient {before} before, now {now}; people differ by {apart} °C; one person is known to ± {known}",
        "环境温度每 °C：原值 {before}，新值 {now}；人与人相差 {apart} °C；单人不确定度 ± {known}",
    ),
    "site.not_counted": Text(
        "does not count: {person} (row {rows}), {off} °C off the others",
        "不计入：{person}（第 {rows} 行），与其他人相差 {off} °C",
    ),
    "site.more": Text(
        "± {target} °C of the offset: {more} more people like these", "偏移达到 ± {target} °C：还需 {more} 人"
    ),
    "site.reached": Text("± {target} °C of the offset: reached", "偏移达到 ± {target} °C：已达到"),
    "site.not_written": Text(
        "people differ too much for a site offset: nothing was written",
        "人与人差异过大，无法确定现场偏移：未写入任何内容",
    ),
    "step.verify": Text("Verification", "验收"),
    "step.board": Text("Board", "标定板"),
    # Live view
    "live.next": Text("next", "下一步"),
    "do.await": Text(
        "waiting for the first data of {devices} (up to {seconds} s yet)",
        "正在等待 {devices} 的首批数据（最多还需 {seconds} 秒）",
    ),
    "live.refused": Text("not taken", "未采用"),
    "live.samples": Text("samples", "样本"),
    "live.residual": Text("residual", "残差"),
    "live.device": Text("device", "设备"),
    "live.resumed": Text("going on with samples of {minutes} min ago", "继续使用 {minutes} 分钟前的样本"),
    "live.picture": Text("live picture: {url}", "实时画面：{url}"),
    "live.interrupted": Text(
        "Interrupted. The samples taken so far are kept: repeat the command to go on.",
        "已中断。已采集的样本均已保存：重新运行该命令即可继续。",
    ),
    "live.stop": Text("Ctrl-C: stop; samples that were taken are kept", "Ctrl-C：停止；已采集的样本不会丢失"),
    "live.passed": Text("passed", "通过"),
    "live.failed": Text("NOT PASSED", "未通过"),
    "live.rejected": Text("left out", "剔除"),
    "live.warning": Text("note", "注意"),
    "live.limit": Text("limit", "限值"),
    "live.ask": Text(
        "Install this calibration on robot {robot}? [Enter = yes, n = no] ",
        "将此标定安装到机器人 {robot}？[回车 = 是，n = 否] ",
    ),
    "live.clock_behind": Text(
        "This computer's clock says {now}, but the present calibration was made {made}: set the clock first, or the new one may count as expired.",
        "本机时钟显示 {now}，但当前标定制作于 {made}：请先校正时钟，否则新标定可能被视为已过期。",
    ),
    "live.declined": Text("Not installed; the samples are kept.", "未安装；样本已保留。"),
    "live.installed": Text("{path}: {id}, valid until {until}", "{path}：{id}，有效期至 {until}"),
    "live.rolled_back": Text("{path}: {id} again, valid until {until}", "{path}：已恢复 {id}，有效期至 {until}"),
    "live.rolled_back_late": Text(
        "{path}: {id} again, valid until {until} — EXPIRED: the robot may refuse it",
        "{path}：已恢复 {id}，有效期至 {until}——已过期：机器人可能拒绝使用",
    ),
    "live.not_installed": Text(
        "Not installed: {what} did not pass. The old calibration is untouched; repeat the command: only this is measured again.",
        "未安装：{what} 未通过。原标定保持不变；重新运行该命令，仅重测未通过项。",
    ),
    "live.not_verified": Text(
        "Not passed: {what}. The calibration is as it was, and the record says that it failed: put right what stood in the way and "
        "verify again; else do registration again (places) or radiometry (temperatures).",
        "未通过：{what}。标定未改变，记录中已注明验收失败：请排除干扰后重新验收；否则重做配准（位置）或辐射测温标定（温度）。",
    ),
    "live.report": Text("report: {path}", "报告：{path}"),
    "live.took": Text("whole job {minutes:.1f} min", "总用时 {minutes:.1f} 分钟"),
    "state.about": Text("now: {what}", "当前：{what}"),
    "cov.each": Text("done of each, in %", "各项完成度（%）"),
    # Report
    "report.title": Text("Calibration report", "标定报告"),
    "report.verdict.pass": Text("PASSED — fit for duty", "合格 — 可投入使用"),
    "report.verdict.fail": Text("NOT PASSED — not fit for duty", "不合格 — 不可投入使用"),
    "report.verdict.nominal": Text("INCOMPLETE — parts are datasheet values", "不完整 — 部分为标称值"),
    "report.verdict.expired": Text("EXPIRED — calibrate again", "已过期 — 请重新标定"),
    "report.verdict.unverified": Text("CALIBRATED — not verified yet", "已标定 — 尚未验收"),
    "report.robot": Text("Robot", "机器人"),
    "report.place": Text("Place", "地点"),
    "report.id": Text("Calibration", "标定编号"),
    "report.made": Text("Made", "标定时间"),
    "report.by": Text("By", "标定人"),
    "report.until": Text("Next due", "下次标定日期"),
    "report.software": Text("Software", "软件版本"),
    "report.supersedes": Text("Replaces", "替代"),
    "report.conditions": Text("Surroundings", "环境条件"),
    "report.ambient": Text(
        "{ambient:.1f} °C, relative humidity {humidity:.0f} %", "{ambient:.1f} °C，相对湿度 {humidity:.0f} %"
    ),
    "report.digest": Text("Seal (sha256)", "校验值 (sha256)"),
    "report.nominal": Text("Not measured", "未实测项目"),
    "report.summary": Text("Steps", "标定步骤"),
    "report.step": Text("Step", "步骤"),
    "report.samples": Text("Samples", "样本数"),
    "report.rejected": Text("Left out", "剔除数"),
    "report.result": Text("Result", "结果"),
    "report.figure": Text("Figure", "项目"),
    "report.value": Text("Value", "数值"),
    "report.uncertainty": Text("Uncertainty (k=2)", "不确定度 (k=2)"),
    "report.limit": Text("Limit", "限值"),
    "report.before": Text("Before", "标定前"),
    "report.after": Text("After", "标定后"),
    "report.change": Text("Change", "变化"),
    "report.before_after": Text("Before and after", "标定前后对比"),
    "report.equipment": Text("Equipment", "设备"),
    "report.device": Text("Device", "设备"),
    "report.serial": Text("Serial number", "序列号"),
    "report.unknown": Text("not reported by the device", "设备未提供"),
    "report.pixels": Text("Pixels", "像素"),
    "report.used": Text("Held before the robot", "所用标定器具"),
    "equip.board": Text(
        "ChArUco board, squares of {edge_mm} mm; its printed ruler of 100 mm measured {ruler_mm} mm",
        "ChArUco 标定板，方格 {edge_mm} mm；100 mm 标尺实测 {ruler_mm} mm",
    ),
    "equip.board_unmeasured": Text(
        "ChArUco board, squares of {edge_mm} mm; its printed ruler was NOT measured",
        "ChArUco 标定板，方格 {edge_mm} mm；打印标尺未测量",
    ),
    "equip.tag": Text(
        "ArUco tag of {edge_mm} mm with a warm spot; its printed ruler of 100 mm measured {ruler_mm} mm",
        "ArUco 标签 {edge_mm} mm，带热斑；100 mm 标尺实测 {ruler_mm} mm",
    ),
    "equip.tag_unmeasured": Text(
        "ArUco tag of {edge_mm} mm with a warm spot; its printed ruler was NOT measured",
        "ArUco 标签 {edge_mm} mm，带热斑；打印标尺未测量",
    ),
    "equip.blackbody": Text(
        "blackbody, opening {aperture_mm} mm, emissivity {emissivity}, standard uncertainty {sd} °C",
        "黑体，开口 {aperture_mm} mm，发射率 {emissivity}，标准不确定度 {sd} °C",
    ),
    "report.parameters": Text("Parameters", "参数"),
    "report.checks": Text("Acceptance", "验收项目"),
    "report.left_out": Text("Samples left out", "剔除的样本"),
    "report.why": Text("Why", "原因"),
    "report.notes": Text("Notes", "备注"),
    "report.coverage": Text("Coverage", "覆盖情况"),
    "report.signature": Text("Technician, date, signature", "标定人员、日期、签字"),
    "report.approved": Text("Approved by, date, signature", "批准人、日期、签字"),
    "report.page": Text("page {page}", "第 {page} 页"),
    "report.arrows": Text("arrows enlarged {factor} times", "箭头放大 {factor} 倍"),
    "report.scope": Text(
        "The robot estimates body temperature for screening; it makes no diagnosis. Limits are those of this software's calibration procedure.",
        "机器人仅用于体温筛查估计，不作诊断。限值为本软件标定规程所定。",
    ),
    "report.no_results": Text("Nothing was measured for this calibration.", "此标定没有实测数据。"),
}
