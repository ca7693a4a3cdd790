//! The end-to-end tests: the real binary, and two real Chromium processes.

import { defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { conditions: ["causeway-source"] },
	ssr: { resolve: { conditions: ["causeway-source"] } },
	test: {
		dir: import.meta.dirname,
		include: ["**/*.test.ts"],
		// One after another: each moves as many bytes as the machine can.
		fileParallelism: false,
		// Node 20 has the browser's WebSocket behind this flag; later versions take it and do nothing.
		execArgv: ["--experimental-websocket"],
		testTimeout: 120_000,
		hookTimeout: 60_000,
		// A busy machine needs longer than vitest's second for a connection to stand.
		expect: { poll: { timeout: 60_000, interval: 100 } },
		reporters: ["verbose"],
	},
});
