// A websocket that comes back by itself. A token, if one is needed, goes as the first message, never into an address.
const SILENCE_MS = 4000;
const GREETING_MS = 8000;  // the robot waits five seconds for a token, and then says that it does

export class Connection {
  // path() gives the address at each attempt, so that it can carry the newest `since`; `key` names the token in the session.
  constructor({ path, onText, onBinary = () => {}, onUnauthenticated, onClosed = () => {}, onSilent = () => {}, watched = false, key = "token", plain = false }) {
    Object.assign(this, { path, onText, onBinary, onUnauthenticated, onClosed, onSilent, watched, key, plain });
    this.wait = 500;
    this.open();
    if (watched) setInterval(() => this.check(), 1000);
    addEventListener("online", () => this.retry());
  }

  open() {
    clearTimeout(this.timer);
    this.timer = null;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.path()}`);
    this.socket = socket;
    this.heard = Date.now();
    this.greeted = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const token = sessionStorage.getItem(this.key);
      if (token) socket.send(JSON.stringify({ op: "auth", token }));
    };
    socket.onmessage = ({ data }) => {
      this.heard = Date.now();
      this.wait = 500;
      this.greeted = true;
      if (typeof data !== "string") this.onBinary(data);
      else this.onText(this.plain ? data : JSON.parse(data));
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.onClosed(event);
      if (event.code === 4401 || (event.code === 4403 && !this.greeted)) {
        this.onUnauthenticated(event.code);
        return;
      }
      this.timer = setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, 2000);
    };
  }

  // A cable that is pulled closes nothing: after a silence the connection is given up and made anew.
  check() {
    if (this.socket.readyState === WebSocket.OPEN && Date.now() - this.heard > (this.greeted ? SILENCE_MS : GREETING_MS)) {
      const silent = this.socket;
      this.open();
      silent.close();
      this.onSilent();
    }
  }

  retry() {
    if (this.timer) this.reopen();
  }

  reopen() {
    const old = this.socket;
    this.wait = 500;
    this.open();
    old.close();
  }

  send(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }
}
