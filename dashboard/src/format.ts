// Numbers and names as people read them.

export const percent = (share: number, digits = 0) => `${(100 * share).toFixed(digits)} %`;

export function bytes(count: number): string {
  if (count < 1 << 20) return `${(count / 1024).toFixed(0)} KiB`;
  if (count < 1 << 30) return `${(count / (1 << 20)).toFixed(0)} MiB`;
  return `${(count / (1 << 30)).toFixed(1)} GiB`;
}

/** Credits without the decimals that nobody reads. */
export function credits(text: string): string {
  const [whole = "0", part = ""] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return part ? `${grouped || "0"}.${part.padEnd(2, "0").slice(0, 2)}` : grouped || "0";
}

export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export const clock = (at_ms: number) =>
  new Date(at_ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

/** The end of a long name, by which it can be told from others. */
export const tail = (text: string) => (text.length > 8 ? `…${text.slice(-6)}` : text);

export const head = (text: string) => (text.length > 14 ? `${text.slice(0, 8)}…${text.slice(-4)}` : text);

export const many = (count: number, one: string, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
/** Small numbers in letters. */
export const letters = (count: number) => NUMBERS[count] ?? String(count);
export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** A list as it is read aloud. */
export function listed(items: readonly string[], most = 4): string {
  const shown = items.length > most ? [...items.slice(0, most - 1), `${items.length - most + 1} more`] : items;
  return shown.length < 2 ? (shown[0] ?? "") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}
