// Curves. uPlot draws them on a canvas; what they show is said in words for who cannot see them.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Curve {
  label: string;
  /** One of the page's colours: `together`, `alone`, `faint`, `good`. */
  colour: string;
  values: (number | null)[];
  width?: number;
  dash?: number[];
  /** With a dot at each value. */
  points?: boolean;
}

interface Props {
  /** What a screen reader says. */
  label: string;
  xs: number[];
  curves: Curve[];
  height?: number;
  format?: (value: number) => string;
  /** What is shown at least, from below to above. */
  range?: [number, number];
  xlabel?: (x: number) => string;
}

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function Plot({ label, xs, curves, height = 220, format = (v) => v.toFixed(2), range, xlabel = (x) => String(x) }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shape = curves.map((curve) => `${curve.label}${curve.colour}${curve.dash}${curve.points}`).join("|");
  const data = [xs, ...curves.map((curve) => curve.values)] as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const holder = box.current;
    if (!holder) return;
    const make = () => {
      plot.current?.destroy();
      const axis = { stroke: () => colour("quiet"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
      plot.current = new uPlot(
        {
          width: Math.max(120, holder.clientWidth),
          height,
          legend: { show: false },
          cursor: { y: false, points: { size: 6 } },
          padding: [8, 8, 0, 0],
          scales: {
            x: { time: false },
            y: range
              ? { range: (_, low, high) => [Math.min(range[0], low ?? range[0]), Math.max(range[1], high ?? range[1])] }
              : { range: (_, low, high) => (low === high ? [low - 1, high + 1] : uPlot.rangeNum(low, high, 0.1, true)) },
          },
          axes: [
            { ...axis, size: 28, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? xlabel(tick) : "")) },
            { ...axis, size: 52, values: (_, ticks) => ticks.map(format) },
          ],
          series: [
            {},
            ...curves.map((curve) => ({
              label: curve.label,
              stroke: () => colour(curve.colour),
              width: curve.width ?? 1.5,
              dash: curve.dash ?? [],
              spanGaps: true,
              points: { show: curve.points ?? false, size: 7, fill: () => colour(curve.colour) },
            })),
          ],
        },
        latest.current,
        holder,
      );
    };
    make();
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(120, holder.clientWidth), height }));
    sizes.observe(holder);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      sizes.disconnect();
      scheme.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, height]);

  useEffect(() => plot.current?.setData(data));

  return (
    <figure class="plot">
      <div ref={box} role="img" aria-label={label} style={{ height: `${height}px` }} />
      <Legend curves={curves} format={format} />
    </figure>
  );
}

function Legend({ curves, format }: { curves: Curve[]; format: (value: number) => string }) {
  const shown = curves.filter((curve) => curve.colour !== "faint");
  const faint = curves.length - shown.length;
  return (
    <figcaption class="legend">
      {shown.map((curve) => {
        const last = curve.values.findLast((value) => value !== null);
        return (
          <span key={curve.label}>
            <i class={`key ${curve.colour}${curve.dash ? " dashed" : ""}`} />
            {curve.label} <b>{last === undefined || last === null ? "–" : format(last)}</b>
          </span>
        );
      })}
      {faint > 0 && (
        <span>
          <i class="key faint" />
          each of them
        </span>
      )}
    </figcaption>
  );
}

/** A small curve in a line of text. */
export function Spark({ values, label, tone = "together" }: { values: number[]; label: string; tone?: string }) {
  const [width, height] = [96, 24];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const y = (value: number) => height - 3 - ((value - low) / (high - low || 1)) * (height - 6);
  const points = values.map((value, at) => `${((at / Math.max(1, values.length - 1)) * (width - 4) + 2).toFixed(1)},${y(value).toFixed(1)}`);
  return (
    <svg class={`spark ${tone}`} width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      {points.length > 1 && <polyline points={points.join(" ")} fill="none" stroke-width="1.5" stroke-linejoin="round" />}
    </svg>
  );
}
