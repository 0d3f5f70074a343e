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
