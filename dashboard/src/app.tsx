// The frame around the pages: where one is, how it goes in a sentence, and whether the node still answers.
import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { State } from "./api/types";
import { Chain } from "./pages/chain";
import { Flock } from "./pages/flock";
import { Learning } from "./pages/learning";
import { MachinePage } from "./pages/machine";
import { Proof } from "./pages/proof";
import { Rounds } from "./pages/rounds";
import { useStore } from "./state/store";
import { health } from "./state/words";
import { Say } from "./ui/pieces";

const PAGES: Record<string, { title: string; icon: string; page: FunctionComponent<{ state: State }> }> = {
  flock: { title: "Flock", icon: "M3 14c4-1 5-6 9-6s5 5 9 6c-3 1-6-1-8-2-1 3-1 4-1 5-1-1-1-2-1-5-2 1-5 3-8 2z", page: Flock },
  learning: { title: "Learning", icon: "M4 19V5M4 19h16M7 15l4-4 3 2 5-6", page: Learning },
  rounds: { title: "Rounds", icon: "M12 4a8 8 0 1 1-8 8M12 8v4l3 2", page: Rounds },
  proof: { title: "Proof", icon: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2 2 4-4", page: Proof },
  chain: { title: "Chain", icon: "M9 12h6M10 8H7a4 4 0 0 0 0 8h3M14 8h3a4 4 0 0 1 0 8h-3", page: Chain },
  machine: { title: "Machine", icon: "M5 5h14v10H5zM9 19h6M12 15v4", page: MachinePage },
};

const here = () => {
  const name = location.hash.replace(/^#\/?/, "").split("/")[0] ?? "";
  return name in PAGES ? name : "flock";
};

export function App() {
  const { state, line, trouble } = useStore();
  const [name, go] = useState(here());
  const [now, tick] = useState(Date.now());
  useEffect(() => {
    const moved = () => {
      go(here());
      document.getElementById("page")?.scrollTo(0, 0);
      window.scrollTo(0, 0);
    };
    addEventListener("hashchange", moved);
    const clock = setInterval(() => tick(Date.now()), 1000);
    return () => {
      removeEventListener("hashchange", moved);
      clearInterval(clock);
    };
  }, []);
  const { title, page: Page } = PAGES[name] ?? PAGES.flock!;
  useEffect(() => {
    document.title = `${title} · Starling`;
  }, [title]);
  const words = state ? health(state, now) : null;

  return (
    <>
      <a class="skip" href="#page" onClick={(event) => skip(event)}>
        To the page
      </a>
      <nav aria-label="Pages">
        <div class="brand">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d={PAGES.flock!.icon} />
          </svg>
          <b>Starling</b>
        </div>
        {Object.entries(PAGES).map(([key, { title, icon }]) => (
          <a key={key} href={`#/${key}`} aria-current={key === name ? "page" : undefined}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d={icon} />
            </svg>
            <span>{title}</span>
          </a>
        ))}
      </nav>
      <main id="page" tabIndex={-1} data-event={state?.last ?? 0}>
        <header class="top">
          <div>
            <h1>{title}</h1>
            <p class="swarm">{state?.swarm || "a swarm"}</p>
          </div>
          <p class={`line ${line}`} role="status">
            <i aria-hidden="true" />
            {line === "live" ? "live" : line === "lost" ? "not connected" : "connecting"}
          </p>
        </header>
        {line === "lost" && (
          <Say
            tone="bad"
            words={trouble ?? "The node does not answer. If its terminal is closed, start it again with the same command; this page connects by itself."}
          />
        )}
        <p class={`health ${words?.tone ?? "plain"}`}>{words?.words ?? "Asking the node…"}</p>
        {state ? <Page state={inOrder(state)} /> : <div class="card wide waiting" aria-busy="true" />}
      </main>
    </>
  );
}

/** By name, who is alone last; the state itself has them in the order in which they first told something. */
function inOrder(state: State): State {
  const nodes = [...state.nodes].sort((a, b) => Number(a.alone) - Number(b.alone) || a.name.localeCompare(b.name, undefined, { numeric: true }));
  return { ...state, nodes };
}

function skip(event: Event) {
  event.preventDefault();
  document.getElementById("page")?.focus();
}
