//! Unit tests of the client and the demo. The end-to-end tests have a configuration of their own.

import { defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { conditions: ["causeway-source"] },
	ssr: { resolve: { conditions: ["causeway-source"] } },
	oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
	test: {
		include: ["client/tests/**/*.test.ts", "web-demo/tests/**/*.test.{ts,tsx}"],
		testTimeout: 20_000,
	},
});
