//! The end-to-end tests: the real binary, and two real Chromium processes.

import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		dir: import.meta.dirname,
		include: ["**/*.test.ts"],
		// One after another: each moves as many bytes as the machine can.
		fileParallelism: false,
		testTimeout: 120_000,
		hookTimeout: 60_000,
		reporters: ["verbose"],
	},
});
