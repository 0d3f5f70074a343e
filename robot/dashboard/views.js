// Pictures from /live. A picture: header length (4 bytes, big-endian), JSON header, JPEG; the thermal one is grey and coloured here.
import { at, button, element, setText } from "/dom.js";
import { deviceName, duration, figure, t } from "/i18n.js";
import { PALETTE, colourise } from "/palette.js";

export const COLOUR = { normal: "#7fe0b0", elevated: "#ff9d94", not_measured: "#c3ccd6", pending: "#8cc8ff" };
const STALE_MS = 2000;
const SCALE_PX = 74;  // strip beside the thermal picture
const decoder = new TextDecoder();
const views = new Map();
let large = "thermal";

export function show(buffer) {
  const size = new DataView(buffer).getUint32(0);
  const header = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, size)));
  const view = views.get(header.name) ?? create(header);
  view.taken = performance.now() - header.age_ms;
  view.latest = [header, new Blob([new Uint8Array(buffer, 4 + size)], { type: "image/jpeg" })];
  if (!view.busy && !document.hidden) draw(view);
}

function create(header) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  const name = button("", "", () => enlarge(header.name));
  const age = element("span", "picture-age");
  const box = element("figure", header.kind, canvas, element("figcaption", "", name, age));
  const view = { box, canvas, name, age, header, busy: false, order: header.kind === "thermal" ? "" : header.name };
  views.set(header.name, view);
  tellName(view);
  const sorted = [...views.values()].sort((a, b) => a.order.localeCompare(b.order));
  at("views").replaceChildren(...sorted.map((one) => one.box));
  mark();
  return view;
}

/** Gives the large place to a view; pressed again, the thermal picture has it back. */
function enlarge(name) {
  large = large === name ? "thermal" : name;
  mark();
}

function mark() {
  for (const [one, view] of views) {
    view.box.classList.toggle("large", one === large);
    view.name.setAttribute("aria-pressed", String(one === large));
  }
}

async function draw(view) {
  view.busy = true;
  while (view.latest) {  // newest wins: what came while one was being decoded is drawn next, older ones never
    const [header, blob] = view.latest;
    view.latest = null;
    try {
      const bitmap = await createImageBitmap(blob);
      paint(view, header, bitmap);
      bitmap.close();
    } catch {
      view.taken = -Infinity;  // a picture that cannot be decoded is shown as stale, not as the last good one
    }
  }
  view.busy = false;
}

function paint(view, header, bitmap) {
  const { canvas } = view;
  const thermal = header.kind === "thermal";
  const scale = thermal ? Math.max(1, Math.round(560 / bitmap.width)) : Math.max(1, Math.round(480 / bitmap.width));
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  if (canvas.width !== width + (thermal ? SCALE_PX : 0)) canvas.width = width + (thermal ? SCALE_PX : 0);
  if (canvas.height !== height) canvas.height = height;
  const unit = Math.max(canvas.width / Math.max(canvas.clientWidth, 160), canvas.height / Math.max(canvas.clientHeight, 90));  // canvas pixels for one on the screen
  const pen = canvas.getContext("2d", { willReadFrequently: thermal });
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, width, height);
  if (thermal) {
    const image = pen.getImageData(0, 0, width, height);
    colourise(image);
    pen.putImageData(image, 0, 0);
    drawScale(pen, width, height, header, Math.min(17, Math.max(15, 10 * unit)));
  }
  for (const box of header.boxes) drawBox(pen, box, scale, unit, width, height);
  view.header = header;
  tellName(view);
}

/** The view's name and what its picture shows, in the page's language: from its first moment on, and when the language changes. */
function tellName({ header, name, canvas }) {
  const called = header.kind === "thermal" ? t("thermal") : deviceName(header.name);
  setText(name, called);
  name.setAttribute("aria-label", t("enlarge", { name: called }));
  const told = [called, ...header.boxes.map(words)].filter(Boolean).join("; ");
  if (canvas.getAttribute("aria-label") !== told) canvas.setAttribute("aria-label", told);
}

export function tellNames() {
  for (const view of views.values()) tellName(view);
}

const metres = (box) => (box.distance_m == null ? "" : `${box.distance_m.toFixed(1)} m`);
const words = (box) => [`${t("person")} ${box.person ?? "?"}`, box.verdict ? t(box.verdict) : "", box.body_c == null ? "" : figure(box.body_c, box.uncertainty_c), metres(box)].filter(Boolean).join(", ");

function drawBox(pen, box, scale, unit, width, height) {
  const [x, y, w, h] = box.box_px.map((value) => value * scale);
  const elevated = box.verdict === "elevated";
  pen.lineWidth = (elevated ? 4 : 2) * unit;
  pen.strokeStyle = COLOUR[box.verdict] ?? COLOUR.pending;
  pen.setLineDash(box.verdict === "not_measured" ? [6 * unit, 4 * unit] : []);
  pen.strokeRect(x, y, w, h);
  pen.setLineDash([]);
  const lines = [box.body_c == null ? "" : `${elevated ? "▲ " : ""}${figure(box.body_c, box.uncertainty_c)}`, metres(box)].filter(Boolean);
  if (!lines.length) return;
  const letter = 13 * unit;
  pen.font = `600 ${letter}px system-ui`;
  pen.textAlign = "left";
  pen.textBaseline = "top";
  const wide = Math.max(...lines.map((line) => pen.measureText(line).width)) + letter * 0.6;
  const tall = lines.length * letter * 1.2 + letter * 0.3;
  const left = Math.max(0, Math.min(x, width - wide));
  const top = y >= tall ? y - tall : Math.min(y + h, height - tall);
  pen.fillStyle = "#0b0f14d9";
  pen.fillRect(left, top, wide, tall);
  pen.fillStyle = pen.strokeStyle;
  lines.forEach((line, index) => pen.fillText(line, left + letter * 0.3, top + letter * (0.25 + 1.2 * index)));
}

function drawScale(pen, left, height, { min_c, max_c }, letter) {
  const [top, bottom] = [14, height - 14];
  pen.fillStyle = "#0b0f14";
  pen.fillRect(left, 0, SCALE_PX, height);
  PALETTE.forEach(([red, green, blue], index) => {
    const y = bottom - ((bottom - top) * (index + 1)) / PALETTE.length;
    pen.fillStyle = `rgb(${red} ${green} ${blue})`;
    pen.fillRect(left + 8, Math.floor(y), 16, Math.ceil((bottom - top) / PALETTE.length) + 1);
  });
  if (min_c == null) return;
  const step = [0.5, 1, 2, 5, 10, 20, 50].find((one) => (max_c - min_c) / one <= 8) ?? 100;
  pen.fillStyle = "#eaf0f6";
  pen.font = `${letter}px system-ui`;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  for (let value = Math.ceil(min_c / step) * step; value <= max_c + 1e-6; value += step) {
    const y = bottom - ((value - min_c) / (max_c - min_c)) * (bottom - top);
    pen.fillRect(left + 24, y - 1, 5, 2);
    pen.fillText(`${value.toFixed(step < 1 ? 1 : 0)}°`, left + 32, y);
  }
}

export function tellAges() {
  for (const view of views.values()) {
    const age = performance.now() - view.taken;
    const stale = age > STALE_MS;
    view.box.classList.toggle("stale", stale);
    view.age.textContent = !stale ? "" : Number.isFinite(age) ? t("old", { age: duration(age / 1000) }) : t("noPicture");
  }
}
