//! Checks for data from outside: small predicates that combine into the shape of a message.

/** Says whether a value from outside has the type `T`. */
export type Check<T> = (value: unknown) => value is T;

/** A field that may be absent. */
export interface Optional<T> {
	readonly optional: Check<T>;
}

type Shape = Readonly<Record<string, Check<unknown> | Optional<unknown>>>;
type OptionalKeys<S extends Shape> = { [K in keyof S]: S[K] extends Optional<unknown> ? K : never }[keyof S];

/** The type that a shape describes. */
export type ShapeOf<S extends Shape> = {
	readonly [K in Exclude<keyof S, OptionalKeys<S>>]: S[K] extends Check<infer T> ? T : never;
} & { readonly [K in OptionalKeys<S>]?: S[K] extends Optional<infer T> ? T : never };

/** An object that is not an array. */
export const isRecord: Check<Record<string, unknown>> = (value): value is Record<string, unknown> =>
	typeof value === "object" && value !== null && !Array.isArray(value);

/** Text. */
export const isString: Check<string> = (value): value is string => typeof value === "string";

/** True or false. */
export const isBoolean: Check<boolean> = (value): value is boolean => typeof value === "boolean";

/** A whole number from 0 to 2^53 − 1: every number of the protocol is one. */
export const isCount: Check<number> = (value): value is number =>
	typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** A value that is there; its meaning belongs to the application. */
export const isAnything: Check<unknown> = (value): value is unknown => value !== undefined;

/** One of the given texts. */
export function isOneOf<const T extends string>(...texts: readonly T[]): Check<T> {
	const known: ReadonlySet<string> = new Set(texts);
	return (value): value is T => typeof value === "string" && known.has(value);
}

/** A list whose every item passes. */
export function isListOf<T>(check: Check<T>): Check<readonly T[]> {
	return (value): value is readonly T[] => Array.isArray(value) && value.every((item) => check(item));
}

/** Marks a field as one that may be absent. */
export function optional<T>(check: Check<T>): Optional<T> {
	return { optional: check };
}

/** An object with at least these fields. Unknown fields pass, so that a newer server can add some. */
export function isShape<const S extends Shape>(shape: S): Check<ShapeOf<S>> {
	const fields = Object.entries(shape);
	return (value): value is ShapeOf<S> =>
		isRecord(value) &&
		fields.every(([name, rule]) => {
			const field = value[name];
			return typeof rule === "function" ? rule(field) : field === undefined || rule.optional(field);
		});
}
