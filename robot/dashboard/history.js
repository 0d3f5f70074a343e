// What happened: search, export, and the day's temperatures. Asked for when the page is opened, never on its own account.
import { drawChart } from "/chart.js";
import { ask, at, button, element, save, setText } from "/dom.js";
import { showEvidence } from "/evidence.js";
import { stamp, t } from "/i18n.js";
import { tell, wide } from "/lists.js";

const KINDS = {
  alarm: "alarm.raised,alarm.acknowledged,alarm.cleared", screening: "screening.completed", health: "health.changed",
  coverage: "coverage.summary", system: "system.started,system.stopping,calibration.loaded",
};
const PAGE = 100;
const CHART_EVERY_MS = 60000;
const DAY_MS = 86400000;

export class History {
  /** `now` tells the robot's time: the clock of a screen may be wrong, and days are the robot's. */
  constructor(now) {
    this.now = now;
    this.events = [];
    this.more = false;
    this.answer = null;
    at("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.search();
    });
    at("csv").addEventListener("click", () => this.export());
    at("older").addEventListener("click", () => this.search(this.last));
    at("day").addEventListener("change", () => {
      this.chosen = at("day").value !== this.today();
      this.chart();
    });
    setInterval(() => !at("page-history").hidden && !document.hidden && this.chart(), CHART_EVERY_MS);
  }

  today() {
    const now = new Date(this.now());
    return new Date(now.getTime() - now.getTimezoneOffset() * 60000).toISOString().slice(0, 10);
  }

  open() {
    this.search();
    this.chart();
  }

  relabel() {
    const chosen = at("kind").value;
    const options = [["", t("anyKind")], ...Object.keys(KINDS).map((kind) => [kind, t(`kind.${kind}`)])];
    at("kind").replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    at("kind").value = chosen;
    this.render();
    this.draw();
  }

  question(extra) {
    const asked = new URLSearchParams(extra);
    for (const name of ["from", "to"]) if (at(name).value) asked.set(name, new Date(at(name).value).toISOString());
    if (at("kind").value) asked.set("type", KINDS[at("kind").value]);
    if (at("text").value.trim()) asked.set("q", at("text").value.trim());
    return `/history?${asked}`;
  }

  async read(path) {
    const answer = await ask(path).catch(() => null);
    if (answer?.ok) return answer;
    setText(at("found"), t("notRead", { status: answer?.status ?? "–" }));
    return null;
  }

  async search(before = null) {
    const asked = this.asked = Symbol();
    const answer = await this.read(this.question({ limit: PAGE, ...(before === null ? {} : { before }) }));
    const found = await answer?.json();
    if (!found || asked !== this.asked) return;  // the answer to what was asked last is shown, whichever comes last
    this.events = before === null ? found.events : [...this.events, ...found.events];
    this.more = found.more;
    this.last = found.last;
    this.searched = true;
    this.render();
  }

  async export() {
    const answer = await this.read(this.question({ format: "csv" }));
    if (answer) save(await answer.blob(), `patrol-${this.today()}.csv`);
  }

  render() {
    if (!this.searched) return;
    const rows = this.events.map((event) => {
      const detail = element("td", "");
      if (event.type === "alarm.raised") detail.append(button(t("evidence"), "", () => showEvidence({ ...event.data, t_utc: event.t_utc })));
      const time = element("td", "", stamp(event.t_utc));
      return element("tr", event.type.replace(".", "-"), time, element("td", "", tell(event)), detail);
    });
    at("rows").replaceChildren(...(rows.length ? rows : [wide(3, t("nothingFound"))]));
    setText(at("found"), t(this.more ? "foundMore" : "found", { count: this.events.length }));
    at("older").hidden = !this.more;
  }

  async chart() {
    if (!this.chosen) at("day").value = this.today();  // a page that stays open sees the next day, too
    const from = new Date(`${at("day").value}T00:00`);
    if (Number.isNaN(from.getTime())) return;
    const to = new Date(from.getTime() + DAY_MS);
    const asked = new URLSearchParams({ format: "chart", from: from.toISOString(), to: to.toISOString() });
    const answer = await this.read(`/history?${asked}`);
    if (!answer) return;
    this.answer = { ...(await answer.json()), from: from.getTime() / 1000 };
    this.draw();
  }

  draw() {
    if (!this.answer) return;
    setText(at("baseline-name"), t(this.answer.points.some(([, , , , usual]) => usual != null) ? "baseline" : "baselineNone", { people: this.answer.cohort_people }));
    setText(at("chart-summary"), summary(this.answer));
    drawChart(at("chart"), this.answer);
  }
}

function summary({ points, more }) {
  if (!points.length) return t("chartNone");
  const values = points.map(([, body]) => body).sort((a, b) => a - b);
  const middle = values.length >> 1;
  const median = values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  const text = t("chartSummary", {
    count: points.length, elevated: points.filter(([, , , verdict]) => verdict === "elevated").length,
    median: median.toFixed(1), low: values[0].toFixed(1), high: values.at(-1).toFixed(1),
  });
  return more ? `${text} ${t("chartMore")}` : text;
}
