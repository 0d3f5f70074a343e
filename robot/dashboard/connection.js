// A websocket that comes back by itself. A token, if one is needed, goes as the first message, never into an address.
const SILENCE_MS = 5000;

export class Connection {
  // path() gives the address at each attempt, so that it can carry the newest `since`.
  constructor({ path, onText, onBinary = () => {}, onUnauthenticated, onClosed = () => {}, watched = false }) {
    Object.assign(this, { path, onText, onBinary, onUnauthenticated, onClosed, watched });
    this.wait = 500;
    this.open();
    if (watched) setInterval(() => this.check(), 1000);
  }

  open() {
    clearTimeout(this.timer);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.path()}`);
    this.socket = socket;
    this.heard = Date.now();
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const token = sessionStorage.getItem("token");
      if (token) socket.send(JSON.stringify({ op: "auth", token }));
    };
    socket.onmessage = ({ data }) => {
      this.heard = Date.now();
      this.wait = 500;
      if (typeof data === "string") this.onText(JSON.parse(data));
      else this.onBinary(data);
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.onClosed(event);
      if (event.code === 4401) {
        this.onUnauthenticated();
        return;
      }
      this.timer = setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, 5000);
    };
  }

  // A cable that is pulled closes nothing: after a silence the connection is given up and made anew.
  check() {
    if (this.socket.readyState === WebSocket.OPEN && Date.now() - this.heard > SILENCE_MS) {
      const silent = this.socket;
      this.open();
      silent.close();
    }
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
