//! The README's examples compile under the strictest flags, against what the package really exports.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const CLIENT = join(import.meta.dirname, "..");

/** What each example leans on. */
const PREAMBLES = [
	"",
	'import type { Session } from "@causeway/client";\ndeclare const session: Session;\n',
	'import type { Session } from "@causeway/client";\ndeclare const session: Session;\n',
	"declare const server: string;\ndeclare const room: string;\n",
	"declare const server: string;\ndeclare const room: string;\n",
];

test("every example compiles", () => {
	const readme = readFileSync(join(CLIENT, "README.md"), "utf8");
	const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
	expect(examples.length).toBe(PREAMBLES.length);
	expect(examples[0]?.split("\n").length).toBeLessThanOrEqual(15);
	// Inside the package, so that its own name resolves.
	const folder = mkdtempSync(join(CLIENT, "tests", "readme-"));
	try {
		for (const [index, example] of examples.entries()) {
			writeFileSync(join(folder, `example-${index}.ts`), `${PREAMBLES[index]}${example}\nexport {};\n`);
		}
		writeFileSync(
			join(folder, "tsconfig.json"),
			JSON.stringify({
				extends: "../../../tsconfig.base.json",
				compilerOptions: { lib: ["ES2023", "DOM", "DOM.Iterable"], types: [] },
				include: ["."],
			}),
		);
		const tsc = join(CLIENT, "../node_modules/typescript/bin/tsc");
		const output = run(() => execFileSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" }));
		expect(output).toBe("");
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});

/** What the compiler says, also when it refuses. */
function run(compile: () => string): string {
	try {
		return compile();
	} catch (error) {
		return error instanceof Error && "stdout" in error ? String(error.stdout) : String(error);
	}
}
