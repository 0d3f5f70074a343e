// The day's temperatures: everybody measured, what is usual (the cohort's baseline), and the threshold.
import { COLOUR } from "/views.js";

const MARGIN = { left: 58, right: 16, top: 14, bottom: 34 };
const GAP_S = 3600;  // where nobody came for so long, the baseline is not drawn through

export function drawChart(canvas, { points, threshold_c, from }) {
  canvas.width = Math.max(640, Math.round(canvas.clientWidth * Math.min(2, devicePixelRatio)));
  const unit = canvas.width / Math.max(320, canvas.clientWidth || canvas.width);
  canvas.height = Math.round(320 * unit);
  const pen = canvas.getContext("2d");
  const low = Math.floor(Math.min(35.5, ...points.map(([, body, spread]) => body - 2 * spread)) * 2) / 2;
  const high = Math.ceil(Math.max(threshold_c + 0.7, ...points.map(([, body, spread]) => body + 2 * spread)) * 2) / 2;
  const [left, right] = [MARGIN.left * unit, canvas.width - MARGIN.right * unit];
  const [top, bottom] = [MARGIN.top * unit, canvas.height - MARGIN.bottom * unit];
  // A quiet day is not a few dots in a corner: the axis runs over the hours in which people came, two at least.
  const hours = points.map(([time]) => (time - from) / 3600);
  const first = points.length ? Math.max(0, Math.min(Math.floor(hours[0]), 22)) : 0;
  const last = points.length ? Math.min(24, Math.max(Math.ceil(hours.at(-1)), first + 2)) : 24;
  const x = (time) => left + (((time - from) / 3600 - first) / (last - first)) * (right - left);
  const y = (body) => bottom - ((body - low) / (high - low)) * (bottom - top);
  drawAxes(pen, unit, { first, last, low, high, left, right, top, bottom, x: (hour) => x(from + hour * 3600), y });
  pen.strokeStyle = "#ffb454";
  pen.lineWidth = 2 * unit;
  pen.setLineDash([8 * unit, 6 * unit]);
  pen.beginPath();
  pen.moveTo(left, y(threshold_c));
  pen.lineTo(right, y(threshold_c));
  pen.stroke();
  pen.setLineDash([]);
  for (const [time, body, uncertainty, verdict] of points) drawPoint(pen, unit, x(time), y(body), y(body - uncertainty) - y(body), verdict);
  drawBaseline(pen, unit, points, x, y);
}

function drawAxes(pen, unit, { first, last, low, high, left, right, top, bottom, x, y }) {
  pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
  pen.font = `${14 * unit}px system-ui`;
  pen.lineWidth = unit;
  pen.strokeStyle = "#2f3b4a";
  pen.fillStyle = "#a9b8c9";
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (let body = low; body <= high + 1e-6; body += high - low > 5 ? 1 : 0.5) {
    pen.beginPath();
    pen.moveTo(left, y(body));
    pen.lineTo(right, y(body));
    pen.stroke();
    pen.fillText(`${body.toFixed(1)} °C`, left - 6 * unit, y(body));
  }
  pen.textAlign = "center";
  pen.textBaseline = "top";
  const step = last - first > 12 ? 3 : 1;
  for (let hour = first; hour <= last; hour += step) {
    pen.beginPath();
    pen.moveTo(x(hour), top);
    pen.lineTo(x(hour), bottom);
    pen.stroke();
    pen.fillText(`${String(hour).padStart(2, "0")}:00`, Math.min(Math.max(x(hour), left), right - 12 * unit), bottom + 8 * unit);
  }
}

function drawPoint(pen, unit, x, y, spread, verdict) {
  pen.strokeStyle = pen.fillStyle = COLOUR[verdict] ?? COLOUR.pending;
  pen.globalAlpha = verdict === "elevated" ? 0.8 : 0.22;
  pen.lineWidth = unit;
  pen.beginPath();
  pen.moveTo(x, y - 2 * spread);  // two standard uncertainties to each side, as everywhere on the page
  pen.lineTo(x, y + 2 * spread);
  pen.stroke();
  pen.globalAlpha = verdict === "elevated" ? 1 : 0.8;
  const size = (verdict === "elevated" ? 7 : 3.5) * unit;
  pen.beginPath();
  if (verdict === "elevated") {
    pen.moveTo(x, y - size);
    pen.lineTo(x + size, y);
    pen.lineTo(x, y + size);
    pen.lineTo(x - size, y);
  } else pen.arc(x, y, size, 0, 2 * Math.PI);
  pen.fill();
  pen.globalAlpha = 1;
}

function drawBaseline(pen, unit, points, x, y) {
  pen.strokeStyle = "#eaf0f6";
  pen.lineWidth = 2.5 * unit;
  pen.beginPath();
  let before = null;
  for (const [time, , , , baseline] of points) {
    if (baseline == null) before = null;
    else {
      if (before === null || time - before > GAP_S) pen.moveTo(x(time), y(baseline));
      else pen.lineTo(x(time), y(baseline));
      before = time;
    }
  }
  pen.stroke();
}
