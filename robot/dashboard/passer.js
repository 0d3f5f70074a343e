// A screen on the robot for passers-by: what to do, in a picture and two languages. It is sent one word and knows nothing else.
import { Connection } from "/connection.js";

const SAID = {
  off: ["暂未测温", "Not measuring at the moment"],
  welcome: ["您好", "Welcome"],
  closer: ["请靠近一点", "Please come closer"],
  front: ["请站到前方", "Please step in front"],
  still: ["请稍等", "One moment, please stand still"],
  look: ["请看这里", "Please look here"],
  forehead: ["请露出额头", "Please show your forehead"],
  glasses: ["请摘下眼镜", "Please take off your glasses"],
  thanks: ["谢谢", "Thank you"],
};
const CALM_MS = 900;  // no word goes sooner: a sign that flickers is read by nobody
const SILENCE_MS = 6000;
let since = 0;
let wanted = "off";
let heard = -Infinity;

// The token comes in the fragment, which a browser keeps to itself, and is taken out of the address at once.
const [, given] = location.hash.match(/^#(?:token=)?(.+)$/) ?? [];
if (given) {
  sessionStorage.setItem("display-token", decodeURIComponent(given));
  window.history.replaceState(null, "", location.pathname);
}

function show(word) {
  const [zh, en] = SAID[word] ?? SAID.off;
  document.body.className = word in SAID ? word : "off";
  document.getElementById("zh").textContent = zh;
  document.getElementById("en").textContent = en;
}

function settle() {
  const now = performance.now();
  const word = now - heard > SILENCE_MS ? "off" : wanted;
  if (document.body.className === word || now - since < CALM_MS) return;
  since = now;
  show(word);
}

show("off");
new Connection({
  path: () => "/passer/word",
  onText: (word) => {
    heard = performance.now();
    wanted = word;
    settle();
  },
  onUnauthenticated: () => show("off"),
  watched: true,
  key: "display-token",
  plain: true,
});
setInterval(settle, 200);
