//! How files are cut into blocks, the unit of hashing, of asking again and of what lies on disk.

const MIB = 1024 * 1024;

/** The least and the greatest length of a block, in bytes. */
export const MIN_BLOCK_LENGTH = MIB;
export const MAX_BLOCK_LENGTH = 4 * MIB;

/** The length of blocks for this much data: longer ones keep the tree of a large transfer small. */
export function blockLengthFor(totalBytes: number): number {
	if (totalBytes < 4096 * MIB) return MIN_BLOCK_LENGTH;
	return totalBytes < 16384 * MIB ? 2 * MIB : MAX_BLOCK_LENGTH;
}

/** How many blocks a file has; an empty one has none. */
export function blockCount(size: number, blockLength: number): number {
	return Math.ceil(size / blockLength);
}

/** How long one block of a file is. */
export function lengthOfBlock(size: number, blockLength: number, block: number): number {
	return Math.max(0, Math.min(blockLength, size - block * blockLength));
}
