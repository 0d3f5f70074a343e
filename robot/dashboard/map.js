// The view from above: robot in the middle, ahead is up; range rings, fields of view, people.
import { deviceName, figure, t } from "/i18n.js";
import { COLOUR } from "/views.js";

const REACH_M = 5;  // people further away are drawn at the rim

export function drawMap(canvas, people, fields) {
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  const centre = [width / 2, height / 2];
  const scale = (Math.min(width, height) / 2 - 40) / REACH_M;
  pen.clearRect(0, 0, width, height);
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  for (const [name, field] of Object.entries(fields)) drawField(pen, centre, scale, name, field);
  drawRings(pen, centre, scale);
  pen.fillStyle = "#eaf0f6";
  pen.beginPath();
  pen.moveTo(centre[0], centre[1] - 17);
  pen.lineTo(centre[0] + 12, centre[1] + 12);
  pen.lineTo(centre[0], centre[1] + 6);
  pen.lineTo(centre[0] - 12, centre[1] + 12);
  pen.fill();
  for (const person of people) {
    const [x, y] = person.position_m;
    const shrink = Math.min(1, REACH_M / Math.max(Math.hypot(x, y), 1e-6));
    drawPerson(pen, centre[0] - y * scale * shrink, centre[1] - x * scale * shrink, person);
  }
}

const bearing = (degrees) => -Math.PI / 2 - (degrees * Math.PI) / 180;  // to the left is counted up, a canvas turns right

function drawField(pen, centre, scale, name, { heading_deg, half_deg }) {
  const thermal = name === "thermal";
  pen.beginPath();
  pen.moveTo(...centre);
  pen.arc(...centre, REACH_M * scale, bearing(heading_deg + half_deg), bearing(heading_deg - half_deg));
  pen.closePath();
  pen.fillStyle = thermal ? "#ffb45422" : "#8cc8ff0d";
  pen.fill();
  pen.lineWidth = thermal ? 2 : 1;
  pen.strokeStyle = thermal ? "#ffb454aa" : "#47607c";
  pen.stroke();
  pen.font = "16px system-ui";
  pen.fillStyle = thermal ? "#ffc983" : "#a9b8c9";
  const away = thermal ? REACH_M * scale * 0.92 : REACH_M * scale + 20;
  const angle = bearing(heading_deg);
  pen.fillText(thermal ? t("thermalField") : deviceName(name), centre[0] + away * Math.cos(angle), centre[1] + away * Math.sin(angle) + 6);
}

function drawRings(pen, centre, scale) {
  pen.lineWidth = 1;
  pen.font = "14px system-ui";
  for (let metres = 1; metres <= REACH_M; metres++) {
    pen.strokeStyle = "#3a4858";
    pen.beginPath();
    pen.arc(...centre, metres * scale, 0, 2 * Math.PI);
    pen.stroke();
    pen.fillStyle = "#a9b8c9";
    pen.fillText(`${metres} m`, centre[0] + metres * scale * 0.766, centre[1] + metres * scale * 0.643 + 5);
  }
}

// Another shape for each result, not only another colour.
function drawPerson(pen, x, y, person) {
  pen.globalAlpha = person.state === "hidden" ? 0.5 : 1;
  pen.fillStyle = pen.strokeStyle = COLOUR[person.verdict] ?? COLOUR.pending;
  pen.lineWidth = 3;
  pen.beginPath();
  if (person.verdict === "elevated") {
    pen.moveTo(x, y - 17);
    pen.lineTo(x + 17, y);
    pen.lineTo(x, y + 17);
    pen.lineTo(x - 17, y);
    pen.closePath();
  } else pen.arc(x, y, 11, 0, 2 * Math.PI);
  if (person.verdict === "normal" || person.verdict === "elevated") pen.fill();
  else pen.stroke();
  if (person.verdict === "not_measured") {
    pen.beginPath();
    pen.moveTo(x - 8, y + 8);
    pen.lineTo(x + 8, y - 8);
    pen.stroke();
  }
  const label = person.body_c == null ? `#${person.person}` : `#${person.person}  ${figure(person.body_c, person.uncertainty_c)}`;
  pen.font = "600 17px system-ui";
  const half = pen.measureText(label).width / 2;
  const middle = Math.min(Math.max(x, half + 4), pen.canvas.width - half - 4);
  pen.lineWidth = 5;
  pen.strokeStyle = "#10151c";
  const line = y < pen.canvas.height / 2 ? y - 22 : y + 33;  // on the far side of the robot
  pen.strokeText(label, middle, line);
  pen.fillStyle = "#eaf0f6";
  pen.fillText(label, middle, line);
  pen.globalAlpha = 1;
}
