//! Builds the demo into static files that a strict Content-Security-Policy allows: nothing inline, nothing from elsewhere.

import { defineConfig } from "vite";

export default defineConfig({
	root: import.meta.dirname,
	resolve: { conditions: ["causeway-source"] },
	oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
	worker: { format: "es" },
	build: {
		target: "es2022",
		// A data: URL would need an exception in the policy.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
	},
});
