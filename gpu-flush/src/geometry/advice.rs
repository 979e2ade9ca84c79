//! Chunk and shard sizes for a user who names none: from a target chunk size, weights per dimension and a memory budget.
