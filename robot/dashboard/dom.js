// The few things that every part of the page does with the document.
export const at = (id) => document.getElementById(id);

export function element(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

export function button(text, className, onClick) {
  const node = element("button", className, text);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const SIGNS = {  // drawn, not letters: a robot's screen need not have a font with pictures in it
  bell: "M12 3a6 6 0 0 0-6 6v4l-2 3h16l-2-3V9a6 6 0 0 0-6-6M10 19a2 2 0 0 0 4 0",
  silent: "M12 3a6 6 0 0 0-6 6v4l-2 3h16l-2-3V9a6 6 0 0 0-6-6M10 19a2 2 0 0 0 4 0M4 4l16 16",
  pin: "M12 21c-4-5-6-8-6-11a6 6 0 0 1 12 0c0 3-2 6-6 11M12 12a2 2 0 1 0 0-4 2 2 0 0 0 0 4",
};

/** A small picture beside words that say the same. */
export function sign(name) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("class", "sign");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", SIGNS[name]);
  picture.append(line);
  return picture;
}

export function setText(node, text) {  // a live region speaks at every write: write only what has changed
  if (node.textContent !== text) node.textContent = text;
}

/** Fetches what needs a token; the token goes in a header, never into an address. */
export function ask(path, method = "GET") {
  const token = sessionStorage.getItem("token");
  return fetch(path, { method, headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
}

/** Lets the browser keep a blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
