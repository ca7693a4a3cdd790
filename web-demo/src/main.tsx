//! The demo's entry.

import { render } from "preact";
import { App } from "./app/app.tsx";
import "./style.css";

const root = document.querySelector("#app");
if (root !== null) render(<App path={location.pathname} fragment={location.hash} />, root);
// Another link pasted into the same tab changes only the fragment, and a page belongs to one link.
addEventListener("hashchange", () => location.reload());
