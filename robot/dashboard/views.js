// Pictures from /live and the view from above. A picture: header length (4 bytes, big-endian), JSON header, JPEG.
import { duration, figure, t } from "/i18n.js";

const COLOUR = { normal: "#7fe0b0", elevated: "#ff6b5e", not_measured: "#c3ccd6" };
const STALE_MS = 2000;
const decoder = new TextDecoder();
const views = new Map();

export function show(buffer) {
  const size = new DataView(buffer).getUint32(0);
  const header = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, size)));
  const view = views.get(header.name) ?? create(header);
  view.taken = performance.now() - header.age_ms;
  view.latest = [header, new Blob([new Uint8Array(buffer, 4 + size)], { type: "image/jpeg" })];
  if (!view.busy) draw(view);
}

function create(header) {
  const box = document.createElement("figure");
  box.className = header.kind;
  const canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption");
  const name = document.createElement("span");
  const age = document.createElement("span");
  caption.append(name, age);
  box.append(canvas, caption);
  const view = { box, canvas, name, age, busy: false, order: header.kind === "thermal" ? "" : header.name };
  views.set(header.name, view);
  const sorted = [...views.values()].sort((a, b) => a.order.localeCompare(b.order));
  document.getElementById("views").replaceChildren(...sorted.map((one) => one.box));
  return view;
}

async function draw(view) {
  view.busy = true;
  while (view.latest) {  // newest wins: what came while one was being decoded is drawn next, older ones never
    const [header, blob] = view.latest;
    view.latest = null;
    try {
      paint(view, header, await createImageBitmap(blob));
    } catch {
      view.taken = -Infinity;  // a picture that cannot be decoded is shown as stale, not as the last good one
    }
  }
  view.busy = false;
}

function paint(view, header, bitmap) {
  const { canvas } = view;
  const scale = Math.max(1, Math.round(480 / bitmap.width));
  canvas.width = bitmap.width * scale;
  canvas.height = bitmap.height * scale;
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  pen.lineWidth = 3;
  const letter = Math.round(canvas.width / (header.kind === "thermal" ? 26 : 15));
  pen.font = `600 ${letter}px system-ui`;
  for (const { box_px, verdict, body_c } of header.boxes) {
    const [x, y, w, h] = box_px.map((value) => value * scale);
    pen.strokeStyle = pen.fillStyle = COLOUR[verdict] ?? "#8cc8ff";
    pen.strokeRect(x, y, w, h);
    if (body_c != null) pen.fillText(`${body_c.toFixed(1)} °C`, x, y > letter ? y - 5 : y + h + letter);
  }
  const range = header.min_c == null ? "" : ` ${header.min_c.toFixed(1)} … ${header.max_c.toFixed(1)} °C`;
  view.name.textContent = (header.kind === "thermal" ? t("thermal") : header.name) + range;
}

export function tellAges() {
  for (const view of views.values()) {
    const age = performance.now() - view.taken;
    view.box.classList.toggle("stale", age > STALE_MS);
    view.age.textContent = age > STALE_MS && Number.isFinite(age) ? t("old", { age: duration(age / 1000) }) : "";
  }
}

export function drawMap(canvas, people) {
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  const reach = 5;  // metres shown to each side; people further away are drawn at the rim
  const centre = [width / 2, height / 2];
  const scale = (Math.min(width, height) / 2 - 44) / reach;  // room for the labels of those at the rim
  pen.clearRect(0, 0, width, height);
  pen.font = "16px system-ui";
  pen.textAlign = "center";
  pen.lineWidth = 1;
  for (let metres = 1; metres <= reach; metres++) {
    pen.strokeStyle = "#33404f";
    pen.beginPath();
    pen.arc(...centre, metres * scale, 0, 2 * Math.PI);
    pen.stroke();
    pen.fillStyle = "#a9b8c9";
    pen.fillText(`${metres} m`, centre[0] + 16, centre[1] - metres * scale + 18);
  }
  pen.fillStyle = "#8cc8ff";
  pen.beginPath();
  pen.moveTo(centre[0], centre[1] - 18);
  pen.lineTo(centre[0] + 13, centre[1] + 13);
  pen.lineTo(centre[0] - 13, centre[1] + 13);
  pen.fill();
  for (const person of people) {
    const [x, y] = person.position_m;
    const shrink = Math.min(1, reach / Math.max(Math.hypot(x, y), 1e-6));
    dot(pen, centre[0] - y * scale * shrink, centre[1] - x * scale * shrink, person);
  }
}

function dot(pen, x, y, person) {
  pen.fillStyle = pen.strokeStyle = COLOUR[person.verdict] ?? "#8cc8ff";
  pen.beginPath();
  if (person.verdict === "elevated") {  // another shape too, not only another colour
    pen.moveTo(x, y - 17);
    pen.lineTo(x + 17, y);
    pen.lineTo(x, y + 17);
    pen.lineTo(x - 17, y);
    pen.closePath();
  } else pen.arc(x, y, 11, 0, 2 * Math.PI);
  pen.lineWidth = 3;
  if (person.verdict === "normal" || person.verdict === "elevated") pen.fill();
  else pen.stroke();
  pen.fillStyle = "#eaf0f6";
  pen.font = "600 18px system-ui";
  pen.fillText(person.body_c == null ? `#${person.person}` : figure(person.body_c, person.uncertainty_c), x, y + 36);
}
