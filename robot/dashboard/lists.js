// Tables and lists of the live page; each is written only when what it says has changed.
import { at, element } from "/dom.js";
import { clock, code, detailOf, deviceName, figure, help, t } from "/i18n.js";

function rewrite(id, key, make) {
  const node = at(id);
  const said = JSON.stringify([document.documentElement.lang, code("advice", "elevated"), key]);
  if (node.dataset.said === said) return;
  node.dataset.said = said;
  node.replaceChildren(...make());
}

export function renderPeople(people) {
  const rows = people.map((one) => ({ ...one, metres: Math.hypot(one.position_m[0], one.position_m[1]).toFixed(1), position_m: null }));
  rows.sort((a, b) => a.person - b.person);
  rewrite("people", rows, () => (rows.length ? rows.map(personRow) : [wide(4, t("nobody"))]));
}

function personRow(one) {
  const please = one.reason && !one.verdict ? help(one.reason) : "";
  const open = one.verdict == null || one.verdict === "not_measured";  // of who has a figure it does not matter what the last picture lacked
  const reason = open && one.reason ? [code("not_measured", one.reason), please].filter(Boolean).join(" — ") : "";
  const result = one.state === "hidden" && !one.verdict ? t("hidden") : one.verdict ? t(one.verdict) : t("pending");
  const mark = { elevated: "▲ ", normal: "● ", not_measured: "⊘ " }[one.verdict] ?? "○ ";
  const told = element("td", one.verdict ?? "", mark + result);
  if (reason) told.append(element("small", "", reason));
  return element("tr", "", element("td", "", `#${one.person}`), element("td", "", `${one.metres} m`),
    element("td", "", figure(one.body_c, one.uncertainty_c)), told);
}

export function wide(columns, text) {
  const cell = element("td", "quiet", text);
  cell.colSpan = columns;
  return element("tr", "", cell);
}

export function renderCounts(coverage) {
  if (!coverage) return;
  const missed = Object.entries(coverage.not_measured).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  const total = missed.reduce((sum, [, count]) => sum + count, 0);
  const figures = [["seen", coverage.seen], ["measured", coverage.measured], ["elevated", coverage.elevated],
    ["notMeasured", total], ["unmatchedWarm", coverage.unmatched_warm ?? 0], ["inView", coverage.in_view_now]];
  rewrite("counts", figures, () => figures.map(([key, count]) =>
    element("div", "", element("dt", "", t(key)), element("dd", "", String(count)))));
  rewrite("unmeasured", missed, () => missed.map(([reason, count]) =>
    element("li", "", `${code("not_measured", reason)}: ${count}`)));
}

export function renderDevices(devices) {
  rewrite("devices", devices, () => Object.entries(devices).map(([name, device]) => {
    const problem = !device.alive ? "dead" : !device.valid ? "invalid" : !device.rate_ok ? "slow" : null;
    const condition = element("td", problem ? "fault" : "ok", `${problem ? "✕" : "✓"} ${t(problem ?? "alive")}`);
    if (device.detail) condition.append(element("small", "", detailOf(device.detail)));
    return element("tr", "", element("td", "", deviceName(name)), condition,
      element("td", "", `${device.rate_hz.toFixed(1)} / ${device.declared_hz.toFixed(0)} Hz`));
  }));
}

/** One event in words. */
export function tell(event) {
  const data = { ...event.data };
  if (data.reading) data.figure = figure(data.reading.body_c, data.reading.uncertainty_c);
  if (data.verdict) data.verdict = t(data.verdict) + (data.reading ? t("comma") + data.figure : data.reason ? t("comma") + code("not_measured", data.reason) : "");
  if (data.screening) data.screening = [t(data.screening), data.reasons.map((one) => code("unavailable", one)).join(t("comma"))].filter(Boolean).join(t("colon"));
  return t(event.type, data);
}

export function renderEvents(recent) {
  rewrite("events", recent.map((event) => event.seq), () => recent.map((event) =>
    element("li", event.type.replace(".", "-"), element("time", "", clock(event.t_utc)), element("span", "", tell(event)))));
}
