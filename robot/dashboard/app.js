// The duty officer's page: is the robot screening, is there an alarm, and how old is what I see.
import { applyLanguage, code, duration, figure, help, loadCodes, switchLanguage, t } from "/i18n.js";
import { Connection } from "/connection.js";
import { drawMap, show, tellAges } from "/views.js";

const LOST_MS = 3000;
const KEPT_EVENTS = 60;
const at = (id) => document.getElementById(id);
let state = null;
let heard = 0;
let lastSeq = null;
let eventLink = null;
let recent = [];
let sound = null;
let forbidden = false;

function element(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

function onState(message) {
  if (message.kind !== "state") return;
  state = message;
  heard = performance.now();
  at("login").hidden = true;
  if (eventLink === null) {
    lastSeq = state.last_seq > 0 ? Math.max(0, state.last_seq - KEPT_EVENTS) : null;
    eventLink = new Connection({
      path: () => (lastSeq === null ? "/events" : `/events?since=${lastSeq}`), onText: onEvent, onUnauthenticated: askToken, onClosed,
    });
  }
  render();
}

function onEvent(event) {
  if (lastSeq !== null && event.seq <= lastSeq) return;
  lastSeq = event.seq;
  recent = [event, ...recent].slice(0, KEPT_EVENTS);
  renderEvents();
}

function onClosed({ code: why }) {
  if (why === 4400) lastSeq = null;  // the robot has begun a new numbering: go on from now
  if (why === 4403) forbidden = true;
}

function askToken() {
  at("login-problem").textContent = sessionStorage.getItem("token") ? t("badToken") : "";
  at("login").hidden = false;
  at("token").focus();
}

function render() {
  at("robot").textContent = state.robot;
  at("place").textContent = state.place;
  renderAlarms();
  renderPeople();
  renderCounts();
  renderDevices();
  renderBanner();
}

function setText(node, text) {  // a live region speaks at every write: write only what has changed
  if (node.textContent !== text) node.textContent = text;
}

function renderBanner() {
  const silence = performance.now() - heard;
  const lost = state !== null && silence > LOST_MS;
  const kind = state === null ? "waiting" : lost ? "lost" : state.screening;
  const warnings = state === null ? [] : (state.warnings ?? []).map((one) => code("warning", one));
  at("banner").className = `banner ${kind}${warnings.length ? " warned" : ""}`;
  document.body.classList.toggle("lost", lost);
  setText(at("banner-title"), t(kind));
  const reasons = kind === "unavailable" ? state.reasons.map((one) => code("unavailable", one)).join(" · ") : "";
  const words = [reasons, ...warnings].filter(Boolean).join(" · ");
  setText(at("banner-reasons"), lost ? t("lostDetail", { age: duration(Math.floor(silence / 1000)) }) : words);
  at("age").textContent = state === null ? "" : t("age", { age: duration(silence / 1000) });
  document.title = `${kind === "available" ? "" : "⚠ "}${state?.robot ?? "Patrol"}`;
}

function renderAlarms() {
  const nodes = state.alarms.map((alarm) => {
    const node = element("div", `alarm ${alarm.state}`);
    node.append(
      element("span", "figure", figure(alarm.body_c, alarm.uncertainty_c)),
      element("span", "advice", code("advice", "elevated")),
      element("span", "", `${t("person")} ${alarm.person} · ${new Date(alarm.t_utc).toLocaleTimeString()}`),
    );
    if (alarm.state === "raised") {
      const button = element("button", "", t("acknowledge"));
      button.type = "button";
      button.dataset.alarm = alarm.alarm;
      node.append(button);
    } else node.append(element("span", "", t("acknowledgedBy", { by: alarm.by ?? "" })));
    return node;
  });
  if (nodes.length === 0) nodes.push(element("p", "quiet", t("noAlarms")));
  if (forbidden) nodes.push(element("p", "fault", t("mayNot")));
  const key = JSON.stringify([state.alarms, forbidden, document.documentElement.lang]);
  if (at("alarms").dataset.key === key) return;  // a button must not vanish under the finger
  at("alarms").dataset.key = key;
  at("alarms").replaceChildren(...nodes);
}

function acknowledge(alarm) {
  const by = at("name").value.trim();
  if (!by) {
    at("name").focus();
    at("name").setCustomValidity(t("needName"));
    at("name").reportValidity();
    return;
  }
  eventLink?.send({ op: "ack", alarm, by });
}

function renderPeople() {
  const rows = [...state.people].sort((a, b) => a.person - b.person).map((one) => {
    const please = one.reason && !one.verdict ? help(one.reason) : "";
    const reason = one.reason ? ` (${code("not_measured", one.reason)})${please && ` — ${please}`}` : "";
    return element("tr", "",
      element("td", "", `#${one.person}`),
      element("td", "", `${Math.hypot(one.position_m[0], one.position_m[1]).toFixed(1)} m`),
      element("td", "", figure(one.body_c, one.uncertainty_c)),
      element("td", one.verdict ?? "", (one.verdict ? t(one.verdict) : t("pending")) + reason));
  });
  at("people").replaceChildren(...rows);
  at("map").setAttribute("aria-label", t("mapLabel"));
  drawMap(at("map"), state.people);
}

function renderCounts() {
  const coverage = state.coverage;
  if (!coverage) return;
  const missed = Object.entries(coverage.not_measured).filter(([, count]) => count > 0);
  const total = missed.reduce((sum, [, count]) => sum + count, 0);
  const figures = [["seen", coverage.seen], ["measured", coverage.measured], ["elevated", coverage.elevated],
    ["notMeasured", total],
    ["unmatchedWarm", coverage.unmatched_warm ?? 0], ["inView", coverage.in_view_now]];
  at("counts").replaceChildren(...figures.map(([key, count]) =>
    element("div", "", element("dt", "", t(key)), element("dd", "", String(count)))));
  at("unmeasured").replaceChildren(...missed.sort((a, b) => b[1] - a[1]).map(([reason, count]) =>
    element("li", "", `${code("not_measured", reason)}: ${count}`)));
}

function renderDevices() {
  at("devices").replaceChildren(...Object.entries(state.devices).map(([name, device]) => {
    const problem = !device.alive ? "dead" : !device.valid ? "invalid" : !device.rate_ok ? "slow" : null;
    return element("tr", "",
      element("td", "", name),
      element("td", problem ? "fault" : "ok", `${problem ? "✕" : "✓"} ${t(problem ?? "alive")}`),
      element("td", "", `${device.rate_hz.toFixed(1)} / ${device.declared_hz.toFixed(0)} Hz`),
      element("td", "", device.detail));
  }));
}

function renderEvents() {
  at("events").replaceChildren(...recent.map((event) => {
    const data = { ...event.data };
    if (data.verdict) data.verdict = t(data.verdict) + (data.reading ? `, ${figure(data.reading.body_c, data.reading.uncertainty_c)}` : "");
    if (data.reading) data.figure = figure(data.reading.body_c, data.reading.uncertainty_c);
    if (data.screening) data.screening = t(data.screening);
    return element("li", event.type.replace(".", "-"),
      element("time", "", new Date(event.t_utc).toLocaleTimeString()), element("span", "", t(event.type, data)));
  }));
}

function beep() {
  if (!sound || !state?.alarms.some((alarm) => alarm.state === "raised")) return;
  for (const [start, pitch] of [[0, 880], [0.22, 660]]) {
    const tone = sound.createOscillator();
    const volume = sound.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.25, sound.currentTime + start);
    volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + start + 0.2);
    tone.connect(volume).connect(sound.destination);
    tone.start(sound.currentTime + start);
    tone.stop(sound.currentTime + start + 0.2);
  }
}

function renderSound() {
  at("sound").textContent = t(sound ? "soundOn" : "soundOff");
  at("sound").setAttribute("aria-pressed", String(sound !== null));
}

at("sound").addEventListener("click", () => {
  if (sound) {
    sound.close();
    sound = null;
  } else {
    sound = new AudioContext();  // browsers allow sound only after somebody has touched the page
    beep();
  }
  renderSound();
});
at("language").addEventListener("click", () => {
  switchLanguage();
  renderSound();
  renderBanner();
  if (state) render();
  renderEvents();
});
at("alarms").addEventListener("click", ({ target }) => {
  if (target.dataset.alarm) acknowledge(target.dataset.alarm);
});
at("name").value = localStorage.getItem("name") ?? "";
at("name").addEventListener("input", () => {
  at("name").setCustomValidity("");
  localStorage.setItem("name", at("name").value);
});
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value);
  at("token").value = "";
  forbidden = false;
  live.reopen();
  eventLink?.reopen();
});

applyLanguage();
renderSound();
renderBanner();
loadCodes().then(() => state && render()).catch(() => {});
const live = new Connection({ path: () => "/live", onText: onState, onBinary: show, onUnauthenticated: askToken, watched: true });
setInterval(() => {
  renderBanner();
  tellAges();
}, 500);
setInterval(beep, 2000);
