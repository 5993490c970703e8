import { render } from "preact";
import { App } from "./app";
import { store } from "./state/store";
import "./styles.css";

// `?again` begins with the first event that the node has kept, and goes through all since.
void store.run(new URLSearchParams(location.search).has("again"));
const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(<App />, root);
}
