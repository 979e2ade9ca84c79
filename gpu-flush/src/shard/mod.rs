//! Shard packing: runs of compressed chunks, the tail carried between batches, the index.
