// Server-sent events, read from a stream of text as it comes.

export interface Frame {
  event: string;
  id: string | null;
  data: string;
}

/** The longest frame that is believed: no event of ours comes near it. */
const LIMIT = 4 << 20;

/** Takes text in pieces of any size, and gives the frames that are whole. */
export class Frames {
  #rest = "";

  push(text: string): Frame[] {
    this.#rest += text;
    if (this.#rest.length > LIMIT) throw new Error("the node sends an event that does not end");
    const frames: Frame[] = [];
    for (;;) {
      const end = this.#rest.indexOf("\n\n");
      if (end < 0) return frames;
      const frame = parse(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
      if (frame) frames.push(frame);
    }
  }
}

/** A frame without data is a sign of life. */
function parse(text: string): Frame | null {
  const frame: Frame = { event: "message", id: null, data: "" };
  let found = false;
  for (const line of text.split("\n")) {
    const at = line.indexOf(":");
    if (at < 1) continue;
    const value = line.slice(at + 1).replace(/^ /, "");
    const name = line.slice(0, at);
    if (name === "event") frame.event = value;
    else if (name === "id") frame.id = value;
    else if (name === "data") {
      frame.data += (found ? "\n" : "") + value;
      found = true;
    }
  }
  return found ? frame : null;
}
