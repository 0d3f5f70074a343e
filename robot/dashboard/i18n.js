// The pages' own words. What codes mean comes from the robot (/texts.json), so that there is one table of them.
const WORDS = {
  en: {
    other: "中文", otherLang: "zh-CN", yourName: "Your name", soundOff: "Sound is off", soundOn: "Sound is on",
    available: "Screening available", unavailable: "SCREENING UNAVAILABLE", waiting: "Connecting to the robot…",
    lost: "NO CONNECTION TO THE ROBOT", lostDetail: "What you see is old and may be wrong.",
    nobodyMeasured: "Nobody is being measured now. No alarm does not mean that nobody has a high temperature.",
    age: "as of {age} ago", alarms: "Alarms", noAlarms: "No alarm.", moreAlarms: "and {count} older ones: acknowledge these first", noAlarmsUnmeasured: "No alarm — and nobody is being measured.", alarmsUnknown: "Not known while there is no connection.", acknowledge: "Acknowledge", waits: "unanswered for {age}", enlarge: "Enlarge {name}", sending: "Sending…",
    acknowledgedBy: "Acknowledged by {by}", needName: "Please enter your name first.", notConfirmed: "Not confirmed by the robot. Please try again.",
    mayNot: "Your token does not allow acknowledging alarms.", alarmSpoken: "Alarm. Person {person}, {figure}.",
    toAlarms: "Skip to alarms", live: "Live", history: "History", pages: "Pages", alarmTitle: "ALARM",
    people: "People around the robot", person: "Person", distance: "Distance", estimate: "Body estimate", result: "Result",
    normal: "not elevated", elevated: "elevated", not_measured: "not measured", pending: "measuring…", nobody: "Nobody is near.",
    views: "Live views", thermal: "Thermal", counts: "Counts since the start", seen: "Seen", measured: "Measured", inView: "In view now",
    notMeasured: "Not measurable", unmatchedWarm: "Warm, no face found", devices: "Devices", events: "Recent events", old: "{age} old",
    device: "Device", condition: "Condition", rate: "Rate / nominal", detail: "Detail", noPicture: "No picture yet",
    alive: "working", dead: "no data", slow: "too slow", invalid: "not usable", hidden: "not visible now",
    token: "Access token", signIn: "Sign in", badToken: "The robot does not know this token.", displayToken: "This token is for the passers-by's screen only.",
    footer: "Body-temperature estimates from thermal images; ± is two standard uncertainties (95 %). Not a diagnosis.",
    mapLabel: "People around the robot from above, robot in the middle, ahead is up; the table below says the same", thermalField: "thermal",
    evidence: "Evidence", close: "Close", noEvidence: "No pictures were kept of this alarm.", evidenceOf: "Evidence: person {person}, {time}", evidenceZip: "Save everything (zip)",
    thermalCrop: "Thermal picture of the face", faceCrop: "Camera picture of the face", loading: "Loading…", notRead: "The robot did not answer ({status}).",
    raw_c: "Read by the sensor", reference_correction_c: "Reference plate", emissivity_correction_c: "Emissivity of skin", atmosphere_correction_c: "Air in between",
    size_of_source_correction_c: "Size of the face", skin_c: "Skin", site_offset_c: "Skin to body", body_c: "Body estimate",
    "region.canthi": "inner corners of the eyes", "region.upper_face": "upper face", "region.forehead": "forehead", "region.full_face": "face",
    threshold: "Threshold", readings: "Readings", calibration: "Calibration", place: "Read at", robotPlace: "Place of the robot",
    from: "From", to: "To", kind: "Kind", anyKind: "Everything", text: "Text", search: "Search", csv: "Save as CSV", older: "Older events",
    comma: ", ", colon: ": ", time: "Time", what: "What", found: "{count} events", foundMore: "{count} events, there are more", nothingFound: "Nothing was found.",
    day: "Day", chart: "Temperatures of the day", chartNone: "Nobody was measured on this day.", baseline: "usual here (median of the last {people})", baselineNone: "usual here: too few people lately (needs {people})",
    chartSummary: "{count} people measured, {elevated} elevated; median {median} °C, from {low} to {high} °C.", chartMore: "Only the newest are shown.",
    "kind.screening": "Screenings", "kind.alarm": "Alarms", "kind.health": "Health", "kind.coverage": "Counts", "kind.system": "Robot and calibration",
    "screening.completed": "Person {person}: {verdict}", "alarm.raised": "ALARM: person {person}, {figure}",
    "alarm.acknowledged": "Alarm acknowledged by {by}", "alarm.cleared": "Alarm over", "health.changed": "{screening}",
    "coverage.summary": "{seen} seen, {measured} measured", "calibration.loaded": "Calibration {calibration_id}",
    "system.started": "Robot started", "system.stopping": "Robot stopping",
  },
  zh: {
    other: "English", otherLang: "en", yourName: "您的姓名", soundOff: "声音已关闭", soundOn: "声音已打开",
    available: "测温筛查可用", unavailable: "测温筛查不可用", waiting: "正在连接机器人…",
    lost: "与机器人的连接已断开", lostDetail: "当前画面已过时，可能不准确。",
    nobodyMeasured: "当前未对任何人测温。没有警报不代表没有人体温偏高。",
    age: "{age} 前的数据", alarms: "警报", noAlarms: "没有警报。", moreAlarms: "另有 {count} 个更早的警报：请先确认以上警报", noAlarmsUnmeasured: "没有警报——但当前未对任何人测温。", alarmsUnknown: "连接断开，情况不明。", acknowledge: "确认", waits: "已等待 {age}", enlarge: "放大 {name}", sending: "正在发送…",
    acknowledgedBy: "已由 {by} 确认", needName: "请先填写您的姓名。", notConfirmed: "机器人未确认，请重试。",
    mayNot: "您的令牌无权确认警报。", alarmSpoken: "警报。人员 {person}，{figure}。",
    toAlarms: "跳到警报", live: "实时", history: "历史", pages: "页面", alarmTitle: "警报",
    people: "机器人周围的人员", person: "人员", distance: "距离", estimate: "体温估计", result: "结果",
    normal: "未偏高", elevated: "偏高", not_measured: "未测得", pending: "测量中…", nobody: "附近无人。",
    views: "实时画面", thermal: "热成像", counts: "启动以来的统计", seen: "出现", measured: "已测", inView: "当前可见",
    notMeasured: "无法测量", unmatchedWarm: "有体温但未见人脸", devices: "设备", events: "最近事件", old: "{age} 前",
    device: "设备", condition: "状态", rate: "速率 / 标称", detail: "说明", noPicture: "尚无画面",
    alive: "正常", dead: "无数据", slow: "速率过低", invalid: "不可用", hidden: "暂时不可见",
    token: "访问令牌", signIn: "登录", badToken: "机器人不认识此令牌。", displayToken: "此令牌仅用于行人提示屏。",
    footer: "根据热成像画面得出的体温估计值；± 为两倍标准不确定度（95 %）。不是诊断结果。",
    mapLabel: "机器人周围人员的俯视图，机器人居中，上方为前方；下表内容相同", thermalField: "热成像",
    evidence: "证据", close: "关闭", noEvidence: "此警报没有保存图像。", evidenceOf: "证据：人员 {person}，{time}", evidenceZip: "全部保存（zip）",
    thermalCrop: "面部热成像", faceCrop: "面部摄像画面", loading: "正在加载…", notRead: "机器人没有应答（{status}）。",
    raw_c: "传感器读数", reference_correction_c: "参考源修正", emissivity_correction_c: "皮肤发射率修正", atmosphere_correction_c: "空气修正",
    size_of_source_correction_c: "面部大小修正", skin_c: "皮肤温度", site_offset_c: "皮肤到体温", body_c: "体温估计",
    "region.canthi": "内眼角", "region.upper_face": "上半脸", "region.forehead": "前额", "region.full_face": "面部",
    threshold: "阈值", readings: "读数次数", calibration: "标定", place: "读取部位", robotPlace: "机器人位置",
    from: "从", to: "到", kind: "类别", anyKind: "全部", text: "文字", search: "搜索", csv: "保存为 CSV", older: "更早的事件",
    comma: "，", colon: "：", time: "时间", what: "内容", found: "{count} 条事件", foundMore: "{count} 条事件，还有更多", nothingFound: "没有找到。",
    day: "日期", chart: "当日体温", chartNone: "当天没有测量任何人。", baseline: "本地常态（最近 {people} 人的中位数）", baselineNone: "本地常态：近期人数不足（需 {people} 人）",
    chartSummary: "已测 {count} 人，偏高 {elevated} 人；中位数 {median} °C，范围 {low} 至 {high} °C。", chartMore: "仅显示最新部分。",
    "kind.screening": "筛查", "kind.alarm": "警报", "kind.health": "状态", "kind.coverage": "统计", "kind.system": "机器人与标定",
    "screening.completed": "人员 {person}：{verdict}", "alarm.raised": "警报：人员 {person}，{figure}",
    "alarm.acknowledged": "警报已由 {by} 确认", "alarm.cleared": "警报结束", "health.changed": "{screening}",
    "coverage.summary": "出现 {seen} 人，已测 {measured} 人", "calibration.loaded": "标定 {calibration_id}",
    "system.started": "机器人已启动", "system.stopping": "机器人正在停止",
  },
};

let language = localStorage.getItem("language") || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
let codes = {};

export async function loadCodes() {
  codes = await (await fetch("/texts.json")).json();
}

export function t(key, values = {}) {
  return (WORDS[language][key] ?? WORDS.en[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** What people call a device; one that has no word here keeps the name that it has in the settings. */
export function deviceName(name) {
  return codes[language]?.device?.[name] ?? name.replaceAll("_", " ");
}

/** Why a device is not usable, as robot/texts.py has it; figures in brackets at its end read alike in both languages. */
export function detailOf(said) {
  const known = codes[language]?.detail ?? {};
  const [, words, figures] = /^(.*?)( \([^()]*\))?$/s.exec(said);
  return known[said] ?? (known[words] ?? words) + (figures ?? "");
}

export function code(group, name) {
  return codes[language]?.[group]?.[name] ?? name;
}

/** What a person can do about a reason; empty where they can do nothing. */
export function help(reason) {
  return codes[language]?.help?.[reason] ?? "";
}

export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  localStorage.setItem("language", language);
  applyLanguage();
}

export function applyLanguage() {
  document.documentElement.lang = locale();
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  const button = document.getElementById("language");
  button.textContent = t("other");
  button.lang = t("otherLang");
}

export function locale() {
  return language === "zh" ? "zh-CN" : "en";
}

export function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

/** A place in the reader's language, as far as it is known in it. */
export function placeOf(place, placeZh) {
  return (language === "zh" && placeZh) || place || "";
}

export function clock(tUtc) {
  return new Date(tUtc).toLocaleTimeString(locale(), { hourCycle: "h23" });
}

// The same in both languages, and never in doubt which is the day and which the month.
const STAMP = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
export const stamp = (tUtc) => STAMP.format(new Date(tUtc));

// Twice the standard uncertainty: about 95 % of true values lie within it.
export function figure(body, uncertainty) {
  return body == null ? "–" : `${body.toFixed(1)} ± ${(2 * (uncertainty ?? 0)).toFixed(1)} °C`;
}
