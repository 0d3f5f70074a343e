"""What tests ask of a page: whether it is there, whether all its text can be read and everything in it has a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Keep = Callable[..., None]
CARD = "#alarms article"
PALE_TEXT = """() => {
  // Every visible text with less contrast than WCAG AA asks, against the nearest opaque ground behind it.
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const shine = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * shine(r) + 0.7152 * shine(g) + 0.0722 * shine(b);
  const grounds = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const stripes = style.backgroundImage.match(/rgba?\\([^)]+\\)/g);
      if (stripes) return stripes.map(parse);
      const colour = parse(style.backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return [colour];
    }
    return [[255, 255, 255]];
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility({ visibilityProperty: true }) || node.closest("noscript, .unseen, :disabled, option")) continue;
    const style = getComputedStyle(node);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    for (const ground of grounds(node)) {
      const [low, high] = [luminance(parse(style.color)), luminance(ground)].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < least) pale.push(`${text.data.trim().slice(0, 30)}: ${ratio.toFixed(2)} ${style.color} on ${ground}`);
    }
  }
  return pale;
}"""
NAMELESS = """() => [...document.querySelectorAll("button, input, select, a, img, canvas, dialog, section")].filter((node) => {
  if (!node.checkVisibility()) return false;
  const label = node.getAttribute("aria-label") || (node.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
  const own = node.matches("button, a") ? node.textContent.trim() : node.matches("input, select") ? [...(node.labels ?? [])].map((one) => one.textContent).join("") : node.alt;
  return !(label || own) && node.id !== "banner";
}).map((node) => node.outerHTML.slice(0, 80))"""


def ready(page: Any) -> None:
    """All six pictures are there, and drawn: a canvas is 300 pixels wide before."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('#views canvas')].filter((one) => one.width !== 300).length === 6"
    )
