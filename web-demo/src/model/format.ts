//! Numbers as people read them.

/** An amount of data, in the decimal units that file managers show. */
export function formatBytes(bytes: number): string {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let value = bytes;
	let unit = 0;
	while (value >= 999.5 && unit < units.length - 1) {
		value /= 1000;
		unit += 1;
	}
	const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	return `${value.toFixed(digits)} ${units[unit] ?? "B"}`;
}

/** A duration in words, rounded so that it stays calm. */
export function formatDuration(seconds: number): string {
	if (seconds < 1.5) return "1 second";
	if (seconds < 59.5) return `${Math.round(seconds)} seconds`;
	const minutes = seconds / 60;
	if (minutes < 1.5) return "1 minute";
	if (minutes < 59.5) return `${Math.round(minutes)} minutes`;
	const whole = Math.round(minutes);
	return `${Math.floor(whole / 60)} h ${whole % 60} min`;
}

/** A share in whole percent; 100 only when nothing is left. */
export function formatPercent(part: number, whole: number): string {
	return `${whole === 0 ? 100 : Math.floor((100 * part) / whole)} %`;
}

/** Hexadecimal digits in groups that the eye can compare. */
export function groupHex(hex: string): string {
	return hex.replace(/(.{8})(?=.)/g, "$1 ");
}
