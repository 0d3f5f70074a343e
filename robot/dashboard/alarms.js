// Alarms: first, large, audible; acknowledged by name; one step from their evidence.
import { at, button, element, setText, sign } from "/dom.js";
import { showEvidence } from "/evidence.js";
import { clock, code, duration, figure, placeOf, t } from "/i18n.js";

const CONFIRM_MS = 4000;
const BEEP_MS = 2000;

export class Alarms {
  constructor(send) {
    this.send = send;
    this.open = [];
    this.more = 0;  // older ones, which the state counts only
    this.early = new Map();  // heard as events, not yet in a state
    this.spoken = new Set();
    this.asked = new Map();  // alarm -> when it was acknowledged here
    this.forbidden = false;
    this.sound = null;
    this.kind = "waiting";
    at("name").value = localStorage.getItem("name") ?? "";
    at("name").addEventListener("input", () => {
      at("name").setCustomValidity("");
      localStorage.setItem("name", at("name").value);
    });
    at("sound").addEventListener("click", () => this.toggleSound());
    const wake = ({ target }) => {  // browsers allow sound only after somebody has touched the page: the first touch brings it
      for (const kind of ["pointerdown", "keydown"]) removeEventListener(kind, wake);
      if (!this.sound && localStorage.getItem("sound") !== "off" && target.id !== "sound") this.toggleSound();
    };
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, wake);
    setInterval(() => this.raised && this.beep([[0, 880], [0.22, 660]]), BEEP_MS);
  }

  /** What an empty list means: only while people are measured is it good news. */
  get nothing() {
    return { lost: "alarmsUnknown", unavailable: "noAlarmsUnmeasured" }[this.kind] ?? "noAlarms";
  }

  get raised() {
    return this.open.filter((alarm) => alarm.state === "raised").length + this.more;
  }

  take(state) {
    for (const [id, { seq }] of this.early) if (seq <= state.last_seq) this.early.delete(id);
    this.more = state.more_alarms ?? 0;
    const known = new Set(state.alarms.map((alarm) => alarm.alarm));
    this.open = [...state.alarms, ...[...this.early.values()].filter((alarm) => !known.has(alarm.alarm))];
    this.open.sort((a, b) => (b.state === "raised") - (a.state === "raised") || b.t_utc.localeCompare(a.t_utc));
  }

  hear({ seq, type, t_utc, place, where, data }) {
    if (type !== "alarm.raised" || this.open.some((alarm) => alarm.alarm === data.alarm)) return;
    const { alarm, person, reading } = data;
    const entry = { seq, alarm, person, state: "raised", t_utc, body_c: reading.body_c, uncertainty_c: reading.uncertainty_c, distance_m: reading.distance_m, place, place_zh: where?.place_zh ?? "" };
    this.early.set(alarm, entry);
    this.open = [entry, ...this.open];
    this.render();
  }

  forbid() {
    this.forbidden = true;
    this.asked.clear();
    setText(at("alarm-problem"), t("mayNot"));
    this.render();
  }

  allow() {
    this.forbidden = false;
    setText(at("alarm-problem"), "");
  }

  render() {
    const now = Date.now();
    for (const [id, since] of this.asked) {
      const alarm = this.open.find((one) => one.alarm === id);
      if (alarm?.state === "raised" && now - since > CONFIRM_MS) {
        setText(at("alarm-problem"), t("notConfirmed"));
        this.asked.delete(id);
      } else if (alarm?.state !== "raised") this.asked.delete(id);
    }
    this.speak();
    const said = this.open.map(({ alarm, state, by, body_c }) => [alarm, state, by, body_c]);  // not the time: it is worked out anew with each state
    const key = JSON.stringify([said, this.more, this.nothing, [...this.asked.keys()], this.forbidden, document.documentElement.lang, code("advice", "elevated")]);
    const list = at("alarms");
    if (list.dataset.key === key) return;  // a button must not vanish under the finger
    list.dataset.key = key;
    const held = document.activeElement?.closest?.("[data-alarm]")?.dataset.alarm;
    list.replaceChildren(...(this.open.length ? this.open.map((alarm) => this.card(alarm)) : [element("p", "quiet", t(this.nothing))]));
    if (this.more) list.append(element("p", "quiet", t("moreAlarms", { count: this.more })));
    if (held) (list.querySelector(`[data-alarm="${CSS.escape(held)}"] button:not([disabled])`) ?? at("alarm-title")).focus();
  }

  card(alarm) {
    const when = clock(alarm.t_utc);
    const raised = alarm.state === "raised";
    const away = alarm.distance_m == null ? "" : ` · ${alarm.distance_m.toFixed(1)} m`;
    const about = element("div", "about",
      element("p", "advice", code("advice", "elevated")),
      element("p", "", `${t("person")} ${alarm.person}${away} · ${when}${raised ? "" : ` · ${t("acknowledgedBy", { by: alarm.by ?? "" })}`}`));
    if (raised) {
      const waits = element("p", "waits");
      waits.dataset.since = alarm.t_utc;
      about.append(waits);
    }
    const place = placeOf(alarm.place, alarm.place_zh);
    if (place) about.append(element("p", "where", sign("pin"), ` ${place}`));
    const node = element("article", `alarm ${alarm.state}`, element("p", "figure", `▲ ${figure(alarm.body_c, alarm.uncertainty_c)}`), about);
    node.dataset.alarm = alarm.alarm;
    const buttons = element("div", "row");
    if (raised && !this.forbidden) {
      const asked = this.asked.has(alarm.alarm);
      const acknowledge = button(t(asked ? "sending" : "acknowledge"), "main", () => this.acknowledge(alarm.alarm));
      acknowledge.disabled = asked;
      buttons.append(acknowledge);
    }
    buttons.append(button(t("evidence"), "", () => showEvidence(alarm)));
    node.append(buttons);
    return node;
  }

  /** Says how long each alarm has been waiting, by the robot's own clock. */
  tellAges(robotNow) {
    for (const waits of document.querySelectorAll("#alarms .waits")) {
      const seconds = Math.max(0, (robotNow - Date.parse(waits.dataset.since)) / 1000);
      setText(waits, seconds < 3 ? "" : t("waits", { age: duration(Math.floor(seconds)) }));
    }
  }

  acknowledge(alarm) {
    const by = at("name").value.trim();
    if (!by) {
      at("name").setCustomValidity(t("needName"));
      at("name").reportValidity();
      at("name").focus();
      return;
    }
    const sent = this.send({ op: "ack", alarm, by });
    setText(at("alarm-problem"), sent ? "" : t("notConfirmed"));
    if (sent) this.asked.set(alarm, Date.now());
    this.render();
  }

  speak() {
    const fresh = this.open.filter((alarm) => alarm.state === "raised" && !this.spoken.has(alarm.alarm));
    for (const { alarm } of fresh) this.spoken.add(alarm);
    const said = fresh.map(({ person, body_c, uncertainty_c }) => t("alarmSpoken", { person, figure: figure(body_c, uncertainty_c) }));
    if (fresh.length) setText(at("spoken"), said.join(" "));  // of two at once both: a later text would silence the one before
    if (fresh.length) this.beep([[0, 880], [0.22, 660], [0.44, 880]]);
  }

  /** Is told how things stand; when screening stops being available, one low tone says so. */
  watchOver(kind) {
    if (kind !== this.kind && (kind === "unavailable" || kind === "lost")) this.beep([[0, 330], [0.3, 247]]);
    const changed = kind !== this.kind;
    this.kind = kind;
    if (changed) this.render();
  }

  beep(tones) {
    if (!this.sound) return;
    for (const [start, pitch] of tones) {
      const begin = this.sound.currentTime + start;
      const tone = this.sound.createOscillator();
      const volume = this.sound.createGain();
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.25, begin);
      volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.2);
      tone.connect(volume).connect(this.sound.destination);
      tone.start(begin);
      tone.stop(begin + 0.2);
    }
  }

  toggleSound() {
    if (this.sound) {
      this.sound.close();
      this.sound = null;
    } else {
      this.sound = new AudioContext();
      this.beep([[0, 660]]);
    }
    localStorage.setItem("sound", this.sound ? "on" : "off");
    this.renderSound();
  }

  renderSound() {
    at("sound").replaceChildren(sign(this.sound ? "bell" : "silent"), ` ${t(this.sound ? "soundOn" : "soundOff")}`);
    at("sound").setAttribute("aria-pressed", String(this.sound !== null));
  }
}
