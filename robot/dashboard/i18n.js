// The page's own words. What codes mean comes from the robot (/texts.json), so that there is one table of them.
const WORDS = {
  en: {
    other: "中文", yourName: "Your name", soundOff: "🔇 Turn sound on", soundOn: "🔔 Sound is on",
    available: "Screening available", unavailable: "SCREENING UNAVAILABLE", waiting: "Connecting to the robot…",
    lost: "NO CONNECTION TO THE ROBOT", lostDetail: "What you see is {age} old and may be wrong.",
    age: "As of {age} ago", alarms: "Alarms", noAlarms: "No alarm.", acknowledge: "Acknowledge",
    acknowledgedBy: "Acknowledged by {by}", needName: "Please enter your name first (top right).",
    mayNot: "Your token does not allow acknowledging alarms.",
    people: "People around the robot", person: "Person", distance: "Distance", estimate: "Body estimate", result: "Result",
    normal: "not elevated", elevated: "elevated", not_measured: "not measured", pending: "measuring…",
    views: "Live views", thermal: "Thermal", counts: "Counts", seen: "Seen", measured: "Measured", inView: "In view now",
    notMeasured: "Not measurable", unmatchedWarm: "Warm, no face found", devices: "Devices", events: "Recent events", old: "{age} old",
    alive: "working", dead: "silent", slow: "too slow", invalid: "not usable",
    token: "Access token", signIn: "Sign in", badToken: "This token is not known to the robot.",
    footer: "Estimates of body temperature from a thermal image; ± is twice the standard uncertainty (95 %). They are no diagnosis.",
    mapLabel: "People around the robot, seen from above", ahead: "ahead",
    "screening.completed": "Person {person}: {verdict}", "alarm.raised": "Alarm: person {person}, {figure}",
    "alarm.acknowledged": "Alarm acknowledged by {by}", "alarm.cleared": "Alarm ended", "health.changed": "{screening}",
    "coverage.summary": "{seen} seen, {measured} measured", "calibration.loaded": "Calibration {calibration_id}",
    "system.started": "Robot started", "system.stopping": "Robot stopping",
  },
  zh: {
    other: "English", yourName: "您的姓名", soundOff: "🔇 打开声音", soundOn: "🔔 声音已打开",
    available: "测温筛查可用", unavailable: "测温筛查不可用", waiting: "正在连接机器人…",
    lost: "与机器人的连接已断开", lostDetail: "当前画面是 {age} 前的,可能已不准确。",
    age: "{age} 前的数据", alarms: "警报", noAlarms: "没有警报。", acknowledge: "确认",
    acknowledgedBy: "已由 {by} 确认", needName: "请先在右上角填写您的姓名。", mayNot: "您的令牌无权确认警报。",
    people: "机器人周围的人员", person: "人员", distance: "距离", estimate: "体温估计", result: "结果",
    normal: "未偏高", elevated: "偏高", not_measured: "未测得", pending: "测量中…",
    views: "实时画面", thermal: "热成像", counts: "统计", seen: "出现", measured: "已测", inView: "当前可见",
    notMeasured: "无法测量", unmatchedWarm: "有体温但未见人脸", devices: "设备", events: "最近事件", old: "{age} 前",
    alive: "正常", dead: "无数据", slow: "速率过低", invalid: "不可用",
    token: "访问令牌", signIn: "登录", badToken: "机器人不认识此令牌。",
    footer: "根据热成像画面得出的体温估计值;± 为两倍标准不确定度(95 %)。不是诊断结果。",
    mapLabel: "机器人周围人员的俯视图", ahead: "前方",
    "screening.completed": "人员 {person}:{verdict}", "alarm.raised": "警报:人员 {person},{figure}",
    "alarm.acknowledged": "警报已由 {by} 确认", "alarm.cleared": "警报结束", "health.changed": "{screening}",
    "coverage.summary": "出现 {seen} 人,已测 {measured} 人", "calibration.loaded": "校准 {calibration_id}",
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
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  document.getElementById("language").textContent = t("other");
}

export function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

// Twice the standard uncertainty: about 95 % of true values lie within it.
export function figure(body, uncertainty) {
  return body == null ? "–" : `${body.toFixed(1)} ± ${(2 * (uncertainty ?? 0)).toFixed(1)} °C`;
}
