// The duty officer's page: is the robot screening, is there an alarm, and how old is what I see.
import { Alarms } from "/alarms.js";
import { Connection } from "/connection.js";
import { at, setText } from "/dom.js";
import { applyLanguage, code, duration, loadCodes, placeOf, switchLanguage, t } from "/i18n.js";
import { History } from "/history.js";
import { renderCounts, renderDevices, renderEvents, renderPeople } from "/lists.js";
import { drawMap } from "/map.js";
import { show, tellAges, tellNames } from "/views.js";

const LOST_MS = 3000;
const KEPT_EVENTS = 60;
let state = null;
let heard = 0;
let last = null;  // number and id of the newest event here; the id is empty until one has come
let eventLink = null;
let recent = [];
let changed = false;

const alarms = new Alarms((message) => eventLink?.send(message) ?? false);
const robotNow = () => (state ? Date.parse(state.t_utc) + performance.now() - heard : Date.now());
const history = new History(robotNow);

function onState(message) {
  if (message.kind !== "state") return;
  const first = state === null;
  if (!first && performance.now() - heard > LOST_MS) loadCodes().then(renderAll).catch(() => {});  // it may have come back with newer software
  state = message;
  heard = performance.now();
  if (first && !at("page-history").hidden) history.chart();  // its days are known only now
  at("login").hidden = true;
  if (eventLink === null) {
    beginEvents();
    eventLink = new Connection({
      path: () => `/events?since=${last.seq}&id=${last.id}`, onText: onEvent, onUnauthenticated: askToken, onClosed,
    });
  }
  alarms.take(state);
  changed = true;
  renderBanner();
}

function beginEvents() {
  last = { seq: Math.max(0, state.last_seq - KEPT_EVENTS), id: "" };
  recent = [];
}

function onEvent(event) {
  if (event.seq <= last.seq) return;
  last = event;
  recent = [event, ...recent].slice(0, KEPT_EVENTS);
  if (state && event.seq > state.last_seq) alarms.hear(event);  // an alarm does not wait for the next state
  renderEvents(recent);
}

function onClosed({ code: why }) {
  if (why === 4400) beginEvents();  // the robot has begun a new numbering
  if (why === 4403) alarms.forbid();
}

function askToken(why) {
  at("login-problem").textContent = why === 4403 ? t("displayToken") : sessionStorage.getItem("token") ? t("badToken") : "";
  at("login").hidden = false;
  at("token").focus();
}

function render() {
  setText(at("robot"), state.robot);
  setText(at("place"), placeOf(state.place, state.where?.place_zh));
  at("place").className = state.where?.state ?? "";
  alarms.render();
  if (at("page-live").hidden) return;
  renderPeople(state.people);
  drawMap(at("map"), state.people, state.fields ?? {});
  renderCounts(state.coverage);
  renderDevices(state.devices);
}

function renderBanner() {
  const silence = performance.now() - heard;
  const lost = state !== null && silence > LOST_MS;
  const kind = state === null ? "waiting" : lost ? "lost" : state.screening;
  const warnings = state === null ? [] : (state.warnings ?? []).map((one) => code("warning", one));
  const banner = `banner ${kind}${warnings.length ? " warned" : ""}`;
  if (at("banner").className !== banner) at("banner").className = banner;
  document.body.classList.toggle("lost", lost);
  setText(at("banner-title"), t(kind));
  const reasons = kind === "unavailable" ? [state.reasons.map((one) => code("unavailable", one)).join(" · "), t("nobodyMeasured")] : [];
  setText(at("banner-reasons"), lost ? t("lostDetail") : [...reasons, ...warnings].filter(Boolean).join(" — "));
  const age = state === null ? "" : t("age", { age: duration(silence / 1000) });
  setText(at("age"), age);
  setText(at("banner-age"), lost ? age : "");
  const raised = alarms.raised;
  const mark = raised ? `▲ ${t("alarmTitle")} (${raised}) · ` : "";
  const trouble = kind === "available" ? "" : `⚠ ${t(kind)} · `;
  const title = `${mark}${trouble}${state?.robot ?? "Patrol"}`;
  if (document.title !== title) document.title = title;
  alarms.watchOver(kind);
}

function renderAll() {
  alarms.renderSound();
  renderBanner();
  if (state) render();
  renderEvents(recent);
  history.relabel();
  tellNames();
}

function turnPage() {
  if (!["", "#live", "#history"].includes(location.hash)) return;  // the skip link
  const past = location.hash === "#history";
  at("page-live").hidden = past;
  at("page-history").hidden = !past;
  for (const [id, here] of [["to-live", !past], ["to-history", past]]) {
    if (here) at(id).setAttribute("aria-current", "page");
    else at(id).removeAttribute("aria-current");
  }
  if (past) history.open();
  else if (state) render();
}

function frame() {  // drawn at most once for each picture of the screen, and never for a page that nobody sees
  if (changed && state) {
    changed = false;
    render();
  }
  requestAnimationFrame(frame);
}

at("language").addEventListener("click", () => {
  switchLanguage();
  renderAll();
});
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value);
  at("token").value = "";
  alarms.allow();
  live.reopen();
  eventLink?.reopen();
});
addEventListener("hashchange", turnPage);

applyLanguage();
renderAll();
turnPage();
loadCodes().then(renderAll).catch(() => {});
fetch("/about.json").then((answer) => answer.json()).then(({ tokens }) => {
  if (tokens && state === null && !sessionStorage.getItem("token")) askToken();  // at once, not after the robot has waited for one
}).catch(() => {});
const live = new Connection({
  path: () => "/live", onText: onState, onBinary: show, onUnauthenticated: askToken, watched: true,
  onSilent: () => eventLink?.reopen(),  // events may be silent for hours, so this is how their link learns that the cable was pulled
});
requestAnimationFrame(frame);
setInterval(() => {
  if (document.hidden && changed && state) alarms.render();
  renderBanner();
  tellAges();
  if (state) alarms.tellAges(robotNow());
}, 500);
