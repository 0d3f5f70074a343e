// What an alarm rests on: every step from the sensor's figure to the estimate, and the pictures if any were kept.
import { ask, at, element, save, setText } from "/dom.js";
import { clock, figure, placeOf, t } from "/i18n.js";

const STEPS = ["raw_c", "reference_correction_c", "emissivity_correction_c", "atmosphere_correction_c", "size_of_source_correction_c", "skin_c", "site_offset_c", "body_c"];
const SUMS = new Set(["raw_c", "skin_c", "body_c"]);
let shown = null;
let links = [];

export async function showEvidence({ alarm, person, t_utc }) {
  forget();
  const opening = shown = { alarm };  // opened, closed and opened again: what was asked the first time is no answer
  at("evidence-title").textContent = t("evidenceOf", { person, time: clock(t_utc) });
  at("evidence-numbers").replaceChildren();
  at("evidence-zip").hidden = true;
  setText(at("evidence-note"), t("loading"));
  at("evidence").showModal();
  const [numbers, ...pictures] = await Promise.all([numbersOf(alarm), picture(alarm, "thermal.png", "thermalCrop"), picture(alarm, "face.jpg", "faceCrop")].map((one) => one.catch(() => null)));
  if (shown !== opening) return;
  at("evidence-numbers").replaceChildren(...(numbers ?? []));
  const kept = pictures.filter(Boolean);
  at("evidence-pictures").replaceChildren(...kept);
  setText(at("evidence-note"), kept.length ? "" : t("noEvidence"));
  const zip = kept.length ? { ok: true } : await ask(zipOf(alarm), "HEAD").catch(() => null);  // the numbers alone may have been kept
  if (shown === opening) at("evidence-zip").hidden = !zip?.ok;
}

const zipOf = (alarm) => `/evidence/${encodeURIComponent(alarm)}.zip`;

async function numbersOf(alarm) {
  const answer = await ask(`/history?type=alarm.raised&limit=1&q=${encodeURIComponent(alarm)}`);
  const { data, place, where } = (await answer.json()).events[0] ?? {};
  if (!data) return [];
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)} °C`;
  const steps = STEPS.map((name) => row(t(name), name === "body_c" ? figure(data.reading.body_c, data.reading.uncertainty_c)
    : SUMS.has(name) ? `${data.reading[name].toFixed(2)} °C` : signed(data.reading[name]), SUMS.has(name)));
  return [...steps,
    row(t("threshold"), `${data.threshold_c.toFixed(1)} °C`), row(t("readings"), String(data.readings)),
    row(t("distance"), `${data.reading.distance_m.toFixed(1)} m`), row(t("place"), t(`region.${data.reading.roi}`)), row(t("calibration"), data.calibration_id),
    row(t("robotPlace"), placeOf(place, where?.place_zh) || "–")];
}

function row(name, value, sum = false) {
  const head = element("th", "", name);
  head.scope = "row";
  return element("tr", sum ? "sum" : "", head, element("td", "", value));
}

async function picture(alarm, name, title) {
  const answer = await ask(`/evidence/${encodeURIComponent(alarm)}/${name}`);
  if (!answer.ok) return null;
  const image = element("img");
  image.src = URL.createObjectURL(await answer.blob());
  image.alt = t(title);
  links.push(image.src);
  return element("figure", "", image, element("figcaption", "", t(title)));
}

function forget() {
  shown = null;
  links.forEach((link) => URL.revokeObjectURL(link));
  links = [];
  at("evidence-pictures").replaceChildren();
}

at("evidence-close").addEventListener("click", () => at("evidence").close());
at("evidence").addEventListener("close", forget);
at("evidence-zip").addEventListener("click", async () => {
  const { alarm } = shown;
  const answer = await ask(zipOf(alarm)).catch(() => null);
  if (answer?.ok) save(await answer.blob(), `alarm-${alarm}.zip`);
  else setText(at("evidence-note"), t("notRead", { status: answer?.status ?? "–" }));
});
